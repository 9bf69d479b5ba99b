"""Objects of a device: the tree, and what can be done to it, live."""

from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from shoal.bff import heard
from shoal.commands.command import Operation, State
from shoal.events.device import Reading, ReadingsReported
from shoal.ids import CommandId
from tests.unit.api.company import Company

BATTERY = {"content": [{"path": "/3/0/9", "value": 87, "type": "integer"}]}


async def test_the_pages_read_the_tree_of_a_device(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    await company.reports(device, {"/3/0/9": 87, "/3303/0/5700": 9.1})

    answer = await admin.get(f"/devices/{device.id}/objects")

    objects = [heard.Object.model_validate(one) for one in answer.json()["items"]]
    battery = next(one for one in objects[1].instances[0].resources if one.path == "/3/0/9")
    assert [one.object for one in objects] == [1, 3, 3303]
    assert (battery.name, battery.type, battery.operations, battery.units) == ("Battery Level", "integer", "R", "%")
    assert (battery.value, battery.at, battery.observed) == (87, company.clock.now(), True)


async def test_a_device_that_never_registered_has_an_empty_tree(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.device()

    assert (await admin.get(f"/devices/{device.id}/objects")).json() == {"items": [], "next": None}


async def test_a_device_that_listens_answers_a_read(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    company.gateway.answers["read", "/3/0/9"] = BATTERY

    answer = await admin.get(f"/devices/{device.id}/objects/3/0/9")

    said = heard.Answer.model_validate(answer.json())
    assert answer.status_code == 200
    assert said == heard.Answer(path="/3/0/9", value=87, type="integer", at=company.clock.now(), source="device")


async def test_a_read_of_an_instance_answers_all_of_it(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    company.gateway.answers["read", "/3/0"] = {
        "content": [
            {"path": "/3/0/9", "value": 87, "type": "integer"},
            {"path": "/3/0/11/0", "value": 0, "type": "integer"},
            {"path": "/3/0/11/1", "value": 4, "type": "integer"},
        ]
    }

    answer = await admin.get(f"/devices/{device.id}/objects/3/0")

    assert answer.json()["value"] == {"9": 87, "11": {"0": 0, "1": 4}}


async def test_a_reading_with_a_time_of_its_own_keeps_it(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    taken = company.clock.now() - timedelta(minutes=3)
    content = [{"path": "/3303/0/5700", "value": 9.1, "type": "float", "time": taken.timestamp()}]
    company.gateway.answers["read", "/3303/0/5700"] = {"content": content}

    answer = await admin.get(f"/devices/{device.id}/objects/3303/0/5700")

    assert heard.Answer.model_validate(answer.json()).at == taken


async def test_a_sleeping_device_is_asked_when_it_wakes(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered(queue_mode=True)
    await company.falls_asleep()

    answer = await admin.get(f"/devices/{device.id}/objects/3/0/9")

    command = heard.Command.model_validate(answer.json())
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/v1/commands/{command.id}"
    assert (command.operation, command.path, command.state) == ("read", "/3/0/9", "queued")
    assert command.by == "administrator of the test"
    assert command.expected_at is not None
    assert command.expected_at > company.clock.now()
    assert command.expires_at == company.clock.now() + timedelta(hours=24)


async def test_waiting_for_a_sleeping_device_answers_when_it_does(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered(queue_mode=True)
    await company.falls_asleep()
    company.gateway.answers["read", "/3/0/9"] = BATTERY

    answer = await admin.get(f"/devices/{device.id}/objects/3/0/9", params={"wait": "30s"})

    assert (answer.status_code, answer.json()["value"]) == (200, 87)


async def test_waiting_ends_with_the_command_that_stands(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered(queue_mode=True)
    await company.falls_asleep()

    answer = await admin.get(f"/devices/{device.id}/objects/3/0/9", params={"wait": "50ms", "ttl": "12h"})

    assert answer.status_code == 202
    [waiting] = await company.commands.unfinished(0)
    assert waiting.id == answer.json()["id"]
    assert waiting.expires_at == company.clock.now() + timedelta(hours=12)
    assert waiting.wait_for_wake


async def test_no_answer_in_time_of_a_device_that_should_listen_is_a_problem_with_its_command(
    company: Company, admin: httpx.AsyncClient
) -> None:
    device = await company.registered()

    answer = await admin.get(f"/devices/{device.id}/objects/3/0/9", params={"wait": "50ms"})

    assert (answer.status_code, answer.json()["type"]) == (504, "no-answer")
    command = await admin.get(f"/commands/{answer.json()['command']}")
    assert command.json()["state"] == "queued"


async def test_the_devices_own_refusal_comes_with_its_code(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    company.gateway.answers["execute", "/3/0/4"] = ("4.05", "method not allowed")

    answer = await admin.post(f"/devices/{device.id}/objects/3/0/4")

    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (502, "device-refused")
    assert (problem["code"], problem["detail"]) == ("4.05", "method not allowed")
    assert problem["title"] == "oxy-0101 refused the execute"


async def test_a_device_that_left_meanwhile_does_not_answer(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    company.gateway.answers["read", "/3/0/9"] = (None, "not registered")

    answer = await admin.get(f"/devices/{device.id}/objects/3/0/9")

    assert (answer.status_code, answer.json()["type"]) == (504, "no-answer")


async def test_what_the_gateway_cannot_send_is_the_callers_mistake(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    company.gateway.answers["write", "/1/0/1"] = (None, "/1/0/1: not an integer")

    answer = await admin.put(f"/devices/{device.id}/objects/1/0/1", json={"value": "much"})

    assert (answer.status_code, answer.json()["type"]) == (400, "invalid")
    assert "not an integer" in answer.json()["title"]


async def test_what_was_last_known_asks_nobody(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered(queue_mode=True)
    await company.reports(device, {"/3/0/9": 87})
    heard_at = company.clock.now()
    await company.falls_asleep()

    answer = await admin.get(f"/devices/{device.id}/objects/3/0/9", params={"source": "last-known"})
    unknown = await admin.get(f"/devices/{device.id}/objects/3/0/10", params={"source": "last-known"})

    assert heard.Answer.model_validate(answer.json()) == heard.Answer(
        path="/3/0/9", value=87, type="integer", at=heard_at, source="last-known"
    )
    assert unknown.status_code == 404
    assert await company.commands.unfinished(0) == []


async def test_what_nobody_defined_has_the_types_that_the_device_told(
    company: Company, admin: httpx.AsyncClient
) -> None:
    device = await company.registered(objects=("/3/0", "/49000/0"))
    told = [("/49000/0/3", "AAEC", "opaque"), ("/49000/0/4", "3303:0", "objlnk"), ("/49000/0/5", "calm", None)]
    readings = [Reading(path=path, value=value, kind=kind) for path, value, kind in told]
    await company.hear(ReadingsReported(**company.head(device, "readings"), via="send", readings=readings))
    company.gateway.answers["read", "/49000/0"] = {
        "content": [{"path": path, "value": value, "type": kind or "string"} for path, value, kind in told]
    }
    company.gateway.answers["read", "/49000/0/3"] = {
        "content": [{"path": "/49000/0/3", "value": "AAEC", "type": "opaque"}]
    }
    at = f"/devices/{device.id}/objects"

    tree = (await admin.get(at)).json()["items"]
    known = (await admin.get(f"{at}/49000/0?source=last-known")).json()
    bytes_known = (await admin.get(f"{at}/49000/0/3?source=last-known")).json()
    read = (await admin.get(f"{at}/49000/0")).json()
    bytes_read = (await admin.get(f"{at}/49000/0/3")).json()
    command = (await admin.get(f"/commands/{read['command']}")).json()

    [unknown] = [one for one in tree if one["object"] == 49_000]
    types = {one["path"]: one["type"] for one in unknown["instances"][0]["resources"]}
    assert types == {"/49000/0/3": "opaque", "/49000/0/4": "objlnk", "/49000/0/5": "string"}
    kinds = {"/49000/0/3": "opaque", "/49000/0/4": "objlnk"}
    for answer in (known, read, command):
        assert answer["value"] == {"3": "AAEC", "4": "3303:0", "5": "calm"}
        assert answer["kinds"] == kinds
    for answer in (bytes_known, bytes_read):
        assert (answer["value"], answer["type"], answer["kinds"]) == ("AAEC", "opaque", {"/49000/0/3": "opaque"})


@pytest.mark.parametrize(
    ("method", "path", "body", "operation", "sent"),
    [
        ("PUT", "/1/0/1", {"value": 600}, "write", {"value": 600}),
        ("PUT", "/1/0", {"resources": {"1": 60}}, "write", {"resources": {"1": 60}}),
        ("PATCH", "/1/0", {"resources": {"1": 60}}, "write_partial", {"resources": {"1": 60}}),
        ("PUT", "/3/0/11", {"values": {"0": 1}}, "write", {"values": {"0": 1}}),
        ("PUT", "/3/0/11/0", {"value": 1}, "write", {"value": 1}),
        ("PUT", "/3/0/13", {"value": "2026-11-01T06:00:00Z"}, "write", {"value": 1_793_512_800}),
        (
            "PUT",
            "/3/0",
            {"resources": {"13": "2026-11-01T07:00:00+01:00"}},
            "write",
            {"resources": {"13": 1_793_512_800}},
        ),
        ("PUT", "/49000/0/3", {"value": {"opaque": "AAEC"}}, "write", {"value": {"opaque": "AAEC"}}),
        (
            "PATCH",
            "/49000/0/3",
            {"values": {"0": {"time": "2026-11-01T06:00:00Z"}}},
            "write_partial",
            {"values": {"0": {"time": 1_793_512_800}}},
        ),
        (
            "PUT",
            "/49000/0/3",
            {"value": {"unsigned integer": "18446744073709551615"}},
            "write",
            {"value": {"unsigned integer": 2**64 - 1}},
        ),
        ("POST", "/3/0/4", None, "execute", None),
        ("POST", "/3/0/4", {}, "execute", None),
        ("POST", "/3/0/4", {"arguments": {"0": "x"}}, "execute", {"arguments": {"0": "x"}}),
        ("DELETE", "/3303/1", None, "delete", None),
    ],
)
async def test_what_is_asked_reaches_the_gateway_as_it_takes_it(
    company: Company, admin: httpx.AsyncClient, method: str, path: str, body: Any, operation: str, sent: Any
) -> None:
    device = await company.registered()
    company.gateway.answers[operation, path] = {}

    answer = await admin.request(method, f"/devices/{device.id}/objects{path}", json=body)

    [command] = company.gateway.seen
    assert answer.status_code == 200, answer.text
    assert heard.Answer.model_validate(answer.json()).source == "device"
    assert (command.operation.value, command.path) == (operation, path)
    assert (None if command.body is None else msgspec.json.decode(command.body)) == sent


async def test_a_written_value_comes_back_with_the_moment_the_device_took_it(
    company: Company, admin: httpx.AsyncClient
) -> None:
    device = await company.registered()
    company.gateway.answers["write", "/1/0/1"] = {}

    answer = await admin.put(f"/devices/{device.id}/objects/1/0/1", json={"value": 600})

    assert (answer.json()["value"], answer.json()["source"]) == (600, "device")
    assert heard.Answer.model_validate(answer.json()).at == company.clock.now()


async def test_a_value_that_came_with_its_type_comes_back_without(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    company.gateway.answers["write", "/49000/0/3"] = {}

    answer = await admin.put(f"/devices/{device.id}/objects/49000/0/3", json={"value": {"opaque": "AAEC"}})

    assert answer.json()["value"] == "AAEC"


async def test_a_new_instance_is_told_with_its_path(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    company.gateway.answers["create", "/3303"] = {"path": "/3303/7"}

    answer = await admin.post(f"/devices/{device.id}/objects/3303", json={"instance": 7, "resources": {"5700": 1.5}})

    [command] = company.gateway.seen
    assert (answer.status_code, answer.json()["path"]) == (201, "/3303/7")
    assert answer.headers["Location"].endswith("/objects/3303/7")
    assert msgspec.json.decode(command.body or b"") == {"instance": 7, "resources": {"5700": 1.5}}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/three", None),
        ("GET", "/3/0/9/0/1", None),
        ("GET", "/65535", None),
        ("PUT", "/3", {"value": 1}),
        ("PUT", "/3/0", {"value": 1}),
        ("PUT", "/3/0/9", {"resources": {"1": 1}}),
        ("PUT", "/3/0/11/0", {"values": {"0": 1}}),
        ("PUT", "/3/0/9", {}),
        ("PUT", "/3/0/9", {"value": 1, "values": {"0": 1}}),
        ("PUT", "/3/0/13", {"value": "yesterday"}),
        ("POST", "/3/0", {}),
        ("POST", "/3/0/11/0", {}),
        ("DELETE", "/3", None),
        ("DELETE", "/3/0/9", None),
    ],
)
async def test_what_fits_no_path_of_that_depth_is_refused_before_anybody_is_asked(
    company: Company, admin: httpx.AsyncClient, method: str, path: str, body: Any
) -> None:
    device = await company.registered()

    answer = await admin.request(method, f"/devices/{device.id}/objects{path}", json=body)

    assert (answer.status_code, answer.json()["type"]) == (400, "invalid"), answer.text
    assert company.gateway.seen == []


@pytest.mark.parametrize("wait", ["soon", "31s", "-1s", "1h"])
async def test_a_wait_that_nobody_waits_is_refused(company: Company, admin: httpx.AsyncClient, wait: str) -> None:
    device = await company.registered()

    answer = await admin.get(f"/devices/{device.id}/objects/3/0/9", params={"wait": wait})

    assert (answer.status_code, answer.json()["type"]) == (422, "invalid")


async def test_what_is_there_is_discovered(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    links = [{"path": "/3", "attributes": {"ver": "1.2"}}, {"path": "/3/0/9", "attributes": {"pmin": "10"}}]
    company.gateway.answers["discover", "/3"] = {"links": links}

    answer = await admin.post(f"/devices/{device.id}:discover", json={"path": "/3"})

    assert answer.status_code == 200
    assert answer.json()["links"] == links


async def test_discovering_a_sleeper_waits_like_everything_else(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered(queue_mode=True)
    await company.falls_asleep()

    answer = await admin.post(f"/devices/{device.id}:discover", json={"path": "/3"})

    assert (answer.status_code, answer.json()["operation"]) == (202, "discover")


async def test_what_a_sleeper_told_when_it_woke_is_kept_with_the_command(
    company: Company, admin: httpx.AsyncClient
) -> None:
    device = await company.registered(queue_mode=True)
    await company.falls_asleep()
    queued = (await admin.post(f"/devices/{device.id}:discover", json={"path": "/3"})).json()

    company.gateway.answers["discover", "/3"] = {"links": [{"path": "/3/0/9", "attributes": {"pmin": "10"}}]}
    await company.gateway.answer(await company.commands.command(company.tenant, CommandId(queued["id"])))

    woke = (await admin.get(f"/commands/{queued['id']}")).json()
    assert (woke["state"], woke["value"]) == ("answered", {"/3/0/9": {"pmin": "10"}})


async def test_attributes_are_sent_as_whole_numbers_where_they_are(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    company.gateway.answers["write_attributes", "/3/0/9"] = {}

    answer = await admin.post(
        f"/devices/{device.id}:send-attributes",
        json={"path": "/3/0/9", "attributes": {"pmin": 10, "gt": 1.5, "pmax": None}},
    )

    [command] = company.gateway.seen
    assert answer.status_code == 200
    assert command.body == b'{"pmin":10,"gt":1.5,"pmax":null}'


async def test_a_viewer_reads_and_does_nothing_else(company: Company, viewer: httpx.AsyncClient) -> None:
    device = await company.registered()
    company.gateway.answers["read", "/3/0/9"] = BATTERY
    path = f"/devices/{device.id}/objects"

    read = await viewer.get(f"{path}/3/0/9")
    refused = [
        await viewer.put(f"{path}/1/0/1", json={"value": 600}),
        await viewer.patch(f"{path}/1/0", json={"resources": {"1": 1}}),
        await viewer.post(f"{path}/3/0/4"),
        await viewer.post(f"{path}/3303", json={"resources": {}}),
        await viewer.delete(f"{path}/3303/0"),
        await viewer.post(f"/devices/{device.id}:discover", json={"path": "/3"}),
        await viewer.post(f"/devices/{device.id}:send-attributes", json={"path": "/3", "attributes": {}}),
    ]

    assert read.status_code == 200
    assert [answer.status_code for answer in refused] == [403] * 7
    assert len(company.gateway.seen) == 1


async def test_another_tenant_reaches_no_device(company: Company, stranger: httpx.AsyncClient) -> None:
    device = await company.registered()
    path = f"/devices/{device.id}/objects"

    answers = [
        await stranger.get(path),
        await stranger.get(f"{path}/3/0/9"),
        await stranger.get(f"{path}/3/0/9", params={"source": "last-known"}),
        await stranger.put(f"{path}/1/0/1", json={"value": 600}),
        await stranger.post(f"{path}/3/0/4"),
        await stranger.delete(f"{path}/3303/0"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 6
    assert company.gateway.seen == []


async def test_a_device_that_has_enough_to_do_takes_no_more(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered(queue_mode=True)
    await company.falls_asleep()
    answers = [await admin.put(f"/devices/{device.id}/objects/1/0/{number}", json={"value": 1}) for number in range(33)]

    assert [answer.status_code for answer in answers] == [202] * 32 + [409]
    assert {command.state for command in await company.commands.unfinished(0)} == {State.QUEUED}


async def test_whole_numbers_of_64_bit_arrive_as_they_are(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered(objects=("/3/0", "/3436/0"))
    largest = 2**64 - 1
    await company.reports(device, {"/31999/0/1": largest})
    company.gateway.answers["read", "/31999/0/1"] = {"content": [{"path": "/31999/0/1", "value": largest}]}
    company.gateway.answers["write", "/1/0/1"] = {}

    read = await admin.get(f"/devices/{device.id}/objects/31999/0/1")
    known = await admin.get(f"/devices/{device.id}/objects/31999/0/1?source=last-known")
    written = await admin.put(f"/devices/{device.id}/objects/1/0/1", json={"value": str(largest)})

    assert f'"value":{largest},' in read.text
    assert known.json()["value"] == largest
    assert written.status_code == 200
    sent = next(command for command in company.gateway.seen if command.operation is Operation.WRITE)
    assert sent.body == b'{"value":%d}' % largest
