"""Several paths of a device with one request."""

import httpx
import msgspec
import pytest

from shoal.commands.command import State
from tests.unit.api.company import Company

TWO = {
    "content": [
        {"path": "/3/0/9", "value": 87, "type": "integer"},
        {"path": "/3303/0/5700", "value": 9.1, "type": "float"},
    ],
    "failed": [{"path": "/3/0/99", "code": "4.04", "detail": "no such resource"}],
}


async def test_several_paths_are_read_at_once(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    company.gateway.answers["read_composite", "/"] = TWO

    answer = await admin.post(
        f"/devices/{device.id}:read-composite", json={"paths": ["/3/0/9", "3303/0", "/3/0/99", "/3/0/9"]}
    )

    said = answer.json()
    assert (answer.status_code, said["values"]) == (200, {"/3/0/9": 87, "/3303/0/5700": 9.1})
    assert said["failed"] == [{"path": "/3/0/99", "code": "4.04", "detail": "no such resource"}]
    [seen] = company.gateway.seen
    assert seen.paths == ("/3/0/9", "/3303/0", "/3/0/99")
    command = (await admin.get(f"/commands/{said['command']}")).json()
    assert (command["operation"], command["paths"]) == ("read_composite", ["/3/0/9", "/3303/0", "/3/0/99"])
    assert command["value"] == said["values"]


async def test_of_several_paths_it_is_told_what_json_does_not(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered(objects=("/3/0", "/49000/0"))
    company.gateway.answers["read_composite", "/"] = {
        "content": [
            {"path": "/3/0/9", "value": 87, "type": "integer"},
            {"path": "/49000/0/3", "value": "AAEC", "type": "opaque"},
        ]
    }

    answer = await admin.post(f"/devices/{device.id}:read-composite", json={"paths": ["/3/0/9", "/49000/0/3"]})

    said = answer.json()
    assert (said["values"], said["kinds"]) == ({"/3/0/9": 87, "/49000/0/3": "AAEC"}, {"/49000/0/3": "opaque"})


async def test_several_resources_are_written_at_once(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    company.gateway.answers["write_composite", "/"] = {}

    values = {"3/0/14": "+01", "/3/0/13": "2026-11-01T06:00:00Z", "/3/0/11": {"0": 0, "1": 4}}
    answer = await admin.post(f"/devices/{device.id}:write-composite", json={"values": values})

    written = {"/3/0/14": "+01", "/3/0/13": 1_793_512_800, "/3/0/11": {"0": 0, "1": 4}}
    assert (answer.status_code, answer.json()["values"]) == (200, written)
    [seen] = company.gateway.seen
    assert seen.body is not None
    assert msgspec.json.decode(seen.body) == {"values": written}
    audit = (await admin.get("/audit")).json()["items"]
    assert (audit[0]["action"], audit[0]["thing"]) == ("write-composite", device.id)


async def test_a_sleeping_device_is_asked_for_several_paths_when_it_wakes(
    company: Company, admin: httpx.AsyncClient
) -> None:
    device = await company.registered(queue_mode=True)
    await company.falls_asleep()

    read = await admin.post(f"/devices/{device.id}:read-composite", json={"paths": ["/3/0/9", "/3303/0"]})
    written = await admin.post(f"/devices/{device.id}:write-composite", json={"values": {"/3/0/14": "+01"}})

    assert (read.status_code, written.status_code) == (202, 202)
    assert read.headers["Location"] == f"/api/v1/commands/{read.json()['id']}"
    assert [command.state for command in await company.commands.unfinished(0)] == [State.QUEUED] * 2


async def test_a_refusal_of_all_comes_with_the_devices_code(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    company.gateway.answers["write_composite", "/"] = ("4.05", "/3/0/9: 4.05; written before that: /3/0/14")

    answer = await admin.post(f"/devices/{device.id}:write-composite", json={"values": {"/3/0/9": 5}})

    problem = answer.json()
    assert (answer.status_code, problem["type"], problem["code"]) == (502, "device-refused", "4.05")
    assert problem["detail"] == "/3/0/9: 4.05; written before that: /3/0/14"


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("read", {"paths": []}),
        ("read", {"paths": ["/"]}),
        ("read", {"paths": ["battery"]}),
        ("read", {"paths": [f"/3303/{number}" for number in range(65)]}),
        ("write", {"values": {}}),
        ("write", {"values": {"/3/0": 1}}),
        ("write", {"values": {"/3/0/11/0": {"0": 1}}}),
        ("write", {"values": {"/3/0/13": "tomorrow"}}),
    ],
)
async def test_what_makes_no_sense_is_refused_before_it_is_a_command(
    company: Company, admin: httpx.AsyncClient, verb: str, body: dict[str, object]
) -> None:
    device = await company.registered()

    answer = await admin.post(f"/devices/{device.id}:{verb}-composite", json=body)

    assert 400 <= answer.status_code < 500
    assert company.gateway.seen == []


async def test_a_viewer_reads_several_paths_and_writes_none(company: Company, viewer: httpx.AsyncClient) -> None:
    device = await company.registered()
    company.gateway.answers["read_composite", "/"] = TWO

    read = await viewer.post(f"/devices/{device.id}:read-composite", json={"paths": ["/3/0/9"]})
    written = await viewer.post(f"/devices/{device.id}:write-composite", json={"values": {"/3/0/14": "+01"}})

    assert (read.status_code, written.status_code) == (200, 403)


async def test_nobody_reads_devices_of_another_tenant(company: Company, stranger: httpx.AsyncClient) -> None:
    device = await company.registered()

    answer = await stranger.post(f"/devices/{device.id}:read-composite", json={"paths": ["/3/0/9"]})

    assert answer.status_code == 404
