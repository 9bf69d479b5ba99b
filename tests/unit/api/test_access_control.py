"""What other servers may do on a device: wanted, found, and why the two differ; only of what the caller may read."""

from typing import Any

import httpx
import pytest

from shoal.inventory.device import Device
from tests.harness.shared_device import OURS, SUPPLIER, Listed, SharedDevice, carry
from tests.harness.voices import Voice
from tests.unit.api.company import Company


def to_server(server: str, *operations: str, effect: str = "allow", **more: Any) -> dict[str, Any]:
    return {"effect": effect, "who": {"kind": "server", "id": server}, "operations": list(operations), **more}


@pytest.fixture
def peer() -> SharedDevice:
    return SharedDevice(controls={0: Listed(3, 0), 1: Listed(3303, 0, SUPPLIER, {SUPPLIER: 15})})


async def shared(company: Company, peer: SharedDevice) -> Device:
    """A device with two servers that registered and was read."""
    device = await company.device()
    voice = Voice(
        device.id, tenant=company.tenant, farm=company.farm, enclosure=company.enclosure, endpoint=device.endpoint
    )
    objects = tuple(path for path, _ in peer.objects)
    await company.hear(voice.registered(company.clock.now(), objects=objects))
    await carry(company.installation, peer)
    return device


async def settled(company: Company, peer: SharedDevice) -> None:
    await company.installation.settle()
    await carry(company.installation, peer)


def at(answer: httpx.Response, path: str) -> Any:
    return next(one for one in answer.json()["controls"] if one["path"] == path)


async def test_a_device_with_one_server_has_nothing_to_say(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()

    answer = await admin.get(f"/devices/{device.id}/access-control")

    assert answer.status_code == 200
    assert (answer.json()["shared"], answer.json()["controls"], answer.json()["drift"]) == (False, [], False)


async def test_wanted_and_found_stand_side_by_side_with_the_reason(
    company: Company, admin: httpx.AsyncClient, peer: SharedDevice
) -> None:
    device = await shared(company, peer)
    before = await admin.get(f"/devices/{device.id}/access-control")
    made = await admin.post("/policies", json=to_server("102", "read", "write", place=company.farm))
    await settled(company, peer)

    after = await admin.get(f"/devices/{device.id}/access-control")

    assert made.json()["says"] == "Server 102 may read and write at Storholmen"
    assert (before.json()["ruled"], at(before, "/3303/0")["state"]) == (False, "left")
    assert at(before, "/3/0")["ours"] == ["read", "write", "execute", "delete"], "an owner without an entry has all"
    assert peer.controls[0].acl == {0: 0, OURS: 15, SUPPLIER: 3}
    assert (after.json()["own"], after.json()["ruled"], after.json()["drift"]) == (OURS, True, True)
    ours, theirs = at(after, "/3/0"), at(after, "/3303/0")
    assert (ours["state"], ours["owner"], ours["ours"]) == ("as-wanted", OURS, ["read", "write", "execute", "delete"])
    assert {"server": "102", "wanted": ["read", "write"], "found": ["read", "write"]} in ours["rights"]
    assert (theirs["state"], theirs["drift"], theirs["owner"]) == ("foreign", True, SUPPLIER)
    assert theirs["reason"] == "Server 102 owns it, and only the owner may change it"


async def test_a_policy_about_a_resource_grants_nothing_and_is_named(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient, peer: SharedDevice
) -> None:
    device = await shared(company, peer)
    made = (await admin.post("/policies", json=to_server("102", "read", paths=["/3/0/9"]))).json()
    await settled(company, peer)

    by_admin = at(await admin.get(f"/devices/{device.id}/access-control"), "/3/0")
    by_viewer = at(await viewer.get(f"/devices/{device.id}/access-control"), "/3/0")

    assert peer.changes == []
    assert by_admin["unsaid"] == [{"policy": made["id"], "says": made["says"]}]
    assert by_viewer["unsaid"] == [], "policies are for administrators to read"


async def test_what_one_may_not_read_is_not_shown(
    company: Company,
    admin: httpx.AsyncClient,
    viewer: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    peer: SharedDevice,
) -> None:
    device = await shared(company, peer)
    denial = {"effect": "deny", "who": {"kind": "role", "id": "viewer"}, "operations": ["read"], "paths": ["/3303/*"]}
    await admin.post("/policies", json=denial)

    seen = (await viewer.get(f"/devices/{device.id}/access-control")).json()["controls"]

    assert [one["path"] for one in seen] == ["/3/0"]
    assert (await stranger.get(f"/devices/{device.id}/access-control")).status_code == 404


async def test_why_a_server_may_or_may_not_is_explained_for_a_whole_instance(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    device = await company.registered()
    granted = (await admin.post("/policies", json=to_server("102", "read", "create"))).json()
    await admin.post("/policies", json=to_server("*", "read", effect="deny", paths=["/3/0/9"]))

    async def explained(subject: str = "server:102", **asked: Any) -> httpx.Response:
        return await admin.post("/policies:explain", json={"subject": subject, "device": device.id, **asked})

    yes = (await explained(operation="read", path="/3303/0/5700")).json()
    no = (await explained(operation="read", path="/3/0/11")).json()
    assert (yes["decision"], yes["because"][0]["policy"]) == ("allowed", granted["id"])
    assert no["decision"] == "denied"
    assert no["says"] == "No: All other servers of a device may not read /3/0/9 everywhere."
    assert (await explained(operation="create", path="/3303/7")).json()["decision"] == "allowed"
    assert (await explained("server:103", operation="read", path="/3303/0")).json()["decision"] == "denied"
    for wrong in (
        {"operation": "read"},
        {"operation": "read", "path": "/3"},
        {"operation": "observe", "path": "/3/0"},
        {"operation": "read", "path": "/3/0", "subject": "server:0"},
        {"operation": "read", "path": "/3/0", "subject": "server:"},
    ):
        assert (await explained(**wrong)).status_code == 400, wrong
    asked = {"operation": "read", "path": "/3/0", "subject": "server:102"}
    assert (await viewer.post("/policies:explain", json=asked)).status_code == 403


async def test_what_can_be_no_policy_about_a_server_is_refused(company: Company, admin: httpx.AsyncClient) -> None:
    pen = str(company.enclosure)
    mistyped = pen[:-2] + ("2" if pen[-2] != "2" else "3") + pen[-1]
    for wrong in (
        to_server("0", "read"),
        to_server("65535", "read"),
        to_server("-1", "read"),
        to_server("1.5", "read"),
        to_server("", "read"),
        to_server(None, "read"),  # type: ignore[arg-type]  # nobody said which
        to_server("102", "observe"),
        to_server("102", "read", "administer"),
        to_server("102", "read", paths=["/"]),
        to_server("102", "read", paths=["/3/0/9/1"]),
        to_server("102", "read", place=mistyped),
        to_server("102", "read", place="enc-"),
    ):
        answer = await admin.post("/policies", json=wrong)
        assert answer.status_code in {400, 422}, (wrong, answer.text)
    assert (await admin.get("/policies")).json()["items"] == []


async def test_a_preview_says_what_it_means_and_that_nobody_gains(company: Company, admin: httpx.AsyncClient) -> None:
    answer = (await admin.post("/policies:preview", json=to_server("*", "read", paths=["/3/*"]))).json()

    assert answer["says"] == "All other servers of a device may read /3/* everywhere"
    assert (answer["gain"], answer["lose"], answer["warnings"]) == (0, 0, [])
