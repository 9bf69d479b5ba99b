"""Devices through the API."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from shoal.bff import heard
from shoal.credentials.proofs import proofs_of
from shoal.events.device import Claim
from shoal.inventory.device import Kind
from shoal.inventory.paging import cursor_after
from shoal.storage import directory
from tests.unit.api.company import Company


def wish(company: Company, **more: Any) -> dict[str, Any]:
    return {
        "endpoint": "s-17",
        "kind": "sensor",
        "enclosure": company.enclosure,
        "security": {"mode": "psk", "identity": "s-17"},
    } | more


async def test_a_device_is_created_with_a_key_that_is_shown_once(company: Company, admin: httpx.AsyncClient) -> None:
    created = await admin.post("/devices", json=wish(company))
    read = await admin.get(f"/devices/{created.json()['id']}")

    security = created.json()["security"]
    assert created.status_code == 201
    assert created.headers["Location"] == f"/api/v1/devices/{created.json()['id']}"
    assert (security["mode"], security["identity"], len(bytes.fromhex(security["key"]))) == ("psk", "s-17", 16)
    assert "key" not in read.json()["security"]
    assert security["key"] not in read.text


async def test_the_gateway_finds_a_new_device_by_its_identity(company: Company, admin: httpx.AsyncClient) -> None:
    key = "00112233445566778899aabbccddeeff"
    security = {"mode": "psk", "identity": "s-17", "key": key}

    created = await admin.post("/devices", json=wish(company, security=security))

    [entry] = await directory.changed(company.installation.database, 0, 10)
    [proof] = (await proofs_of(company.installation.database, [entry.device_id]))[entry.device_id]
    assert created.json()["security"]["key"] == key
    assert (proof.identity, entry.endpoint, entry.enclosure_id) == ("s-17", "s-17", company.enclosure)
    assert proof.key_encrypted is not None
    assert company.installation.vault.decrypt(proof.key_encrypted, entry.device_id).hex() == key


async def test_the_least_that_can_be_said_of_a_device_is_enough(admin: httpx.AsyncClient) -> None:
    created = (await admin.post("/devices", json={"endpoint": "s-18"})).json()

    assert created["name"] == "s-18"
    assert created["kind"] == "sensor"
    assert created["place"]["enclosure"] is None
    assert created["security"]["identity"] == created["id"]
    assert created["profile"]["key"] == "battery-sensor"


async def test_a_device_without_security_has_no_key(company: Company, admin: httpx.AsyncClient) -> None:
    created = await admin.post("/devices", json=wish(company, security={"mode": "none"}))

    assert created.status_code == 201
    assert created.json()["security"] == {
        "mode": "none",
        "identity": None,
        "created_at": None,
        "needs_key": False,
        "key": None,
    }


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"endpoint": ""}, 400),
        ({"endpoint": "x" * 200}, 422),
        ({"kind": "toaster"}, 422),
        ({"enclosure": "enc-00000000"}, 404),
        ({"enclosure": "pen one"}, 400),
        ({"profile": "no such"}, 404),
        ({"security": {"mode": "rpk"}}, 400),
        ({"security": {"mode": "none", "identity": "s-17"}}, 400),
        ({"security": {"mode": "psk", "key": "not hex"}}, 400),
        ({"security": {"mode": "psk", "key": "00"}}, 400),
    ],
    ids=str,
)
async def test_what_cannot_be_a_device_is_refused_and_nothing_is_left_behind(
    company: Company, admin: httpx.AsyncClient, wrong: dict[str, Any], status: int
) -> None:
    answer = await admin.post("/devices", json=wish(company, **wrong))

    assert answer.status_code == status, answer.text
    assert (await admin.get("/devices")).json()["total"] == 0


async def test_a_key_that_was_refused_is_not_repeated(company: Company, admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/devices", json=wish(company, security={"key": "deadbeef-not-hex" * 30}))

    assert answer.status_code == 422
    assert "deadbeef" not in answer.text


async def test_an_endpoint_is_taken_once_in_a_tenant(company: Company, admin: httpx.AsyncClient) -> None:
    first = (await admin.post("/devices", json=wish(company))).json()["id"]

    answer = await admin.post("/devices", json=wish(company, security={"mode": "psk", "identity": "another"}))

    assert answer.status_code == 409
    assert answer.json()["device"] == first


async def test_an_identity_is_taken_once_in_the_installation(
    company: Company, admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    first = (await admin.post("/devices", json=wish(company))).json()["id"]

    answer = await stranger.post("/devices", json=wish(company, enclosure=None))

    assert answer.status_code == 409
    assert first not in answer.text
    assert (await stranger.get("/devices")).json()["items"] == []


async def test_a_profile_is_named_by_its_id_its_key_or_its_name(company: Company, admin: httpx.AsyncClient) -> None:
    profiles = (await admin.get("/profiles")).json()["items"]
    mains = next(one for one in profiles if one["key"] == "mains-sensor")

    found = [
        (await admin.post("/devices", json={"endpoint": f"s-{number}", "profile": said})).json()["profile"]["id"]
        for number, said in enumerate((mains["id"], "mains-sensor", mains["name"]))
    ]

    assert found == [mains["id"]] * 3


async def test_the_pages_read_all_of_a_device(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered(claim=Claim(enclosure=company.enclosure, via="option"))
    await company.reports(device, {"/3/0/9": 87, "/3/0/1": "Tidemark S1", "/4/0/2": -91})

    said = heard.Device.model_validate((await admin.get(f"/devices/{device.id}")).json())

    assert (said.endpoint, said.kind, said.status, said.model) == ("oxy-0101", "sensor", "healthy", "Tidemark S1")
    assert said.place == heard.Place(
        farm=company.farm,
        enclosure=company.enclosure,
        names=heard.Names(farm="Storholmen", enclosure="Pen 1"),
        state="agreed",
    )
    assert said.claim is not None
    assert (said.claim.enclosure, said.claim.name, said.claim.via) == (company.enclosure, "Pen 1", "option")
    assert said.registration is not None
    assert (said.registration.id, said.registration.lifetime_s, said.registration.secure) == ("r-1", 300, True)
    assert said.vitals.battery_percent == heard.Vital(value=87, at=company.clock.now())
    assert said.vitals.signal_dbm == heard.Vital(value=-91, at=company.clock.now())
    assert said.last_heard_at == company.clock.now()
    assert said.flags == heard.Flags(asleep=False, stale=False)


async def test_devices_are_found_by_place_kind_and_name(company: Company, admin: httpx.AsyncClient) -> None:
    shoal = company.installation
    south = await shoal.create_farm(company.tenant, "South")
    pond = await shoal.create_enclosure(company.tenant, south, "Pond 2")
    await shoal.create_device(company.tenant, "oxy-1", company.enclosure)
    await shoal.create_device(company.tenant, "cam-1", pond, kind=Kind.CAMERA)
    await shoal.create_device(company.tenant, "oxy-2", None)

    async def found(**query: Any) -> list[str]:
        return [one["endpoint"] for one in (await admin.get("/devices", params=query)).json()["items"]]

    assert await found() == ["cam-1", "oxy-1", "oxy-2"]
    assert await found(farm=south) == ["cam-1"]
    assert await found(enclosure=company.enclosure) == ["oxy-1"]
    assert await found(kind="camera") == ["cam-1"]
    assert await found(q="OXY") == ["oxy-1", "oxy-2"]
    assert await found(placed="false") == ["oxy-2"]


async def test_devices_come_in_pages_with_their_number_in_all(company: Company, admin: httpx.AsyncClient) -> None:
    for number in range(5):
        await company.installation.create_device(company.tenant, f"oxy-{number}", company.enclosure)

    first = (await admin.get("/devices", params={"limit": 3})).json()
    second = (await admin.get("/devices", params={"limit": 3, "cursor": first["next"]})).json()

    assert [one["endpoint"] for one in (*first["items"], *second["items"])] == [f"oxy-{n}" for n in range(5)]
    assert (first["total"], second["next"]) == (5, None)


async def test_a_cursor_that_somebody_made_up_finds_what_comes_after_it(
    company: Company, admin: httpx.AsyncClient
) -> None:
    await company.device("oxy-0101")

    answer = await admin.get("/devices", params={"cursor": cursor_after("nobody\0")})

    assert answer.status_code == 200
    assert [item["endpoint"] for item in answer.json()["items"]] == ["oxy-0101"]


async def test_devices_are_found_by_status_page_by_page(company: Company, admin: httpx.AsyncClient) -> None:
    well = [(await company.registered(f"oxy-{number}")).id for number in range(5)]
    await company.device("cam-new")

    first = (await admin.get("/devices", params={"status": "healthy", "limit": 3})).json()
    second = (await admin.get("/devices", params={"status": "healthy", "limit": 3, "cursor": first["next"]})).json()
    fresh = (await admin.get("/devices", params={"status": "new"})).json()
    named = (await admin.get("/devices", params={"status": "healthy", "q": "oxy-4"})).json()

    assert [one["id"] for one in (*first["items"], *second["items"])] == sorted(well)
    assert (first["total"], second["next"]) == (5, None)
    assert [one["endpoint"] for one in fresh["items"]] == ["cam-new"]
    assert ([one["endpoint"] for one in named["items"]], named["total"], named["next"]) == (["oxy-4"], None, None)


async def test_a_device_is_renamed_moved_and_taken_out(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.device()
    other = await company.installation.create_enclosure(company.tenant, company.farm, "Pen 2")
    path = f"/devices/{device.id}"

    moved = await admin.patch(path, json={"name": "Oxygen, north side", "enclosure": other})
    taken_out = await admin.patch(path, json={"enclosure": None}, headers={"If-Match": moved.headers["ETag"]})

    assert (moved.json()["name"], moved.json()["place"]["enclosure"]) == ("Oxygen, north side", other)
    assert taken_out.json()["place"]["enclosure"] is None
    assert taken_out.json()["name"] == "Oxygen, north side"


async def test_a_change_of_what_changed_meanwhile_is_refused_as_a_whole(
    company: Company, admin: httpx.AsyncClient
) -> None:
    device = await company.device()
    etag = (await admin.get(f"/devices/{device.id}")).headers["ETag"]
    await admin.patch(f"/devices/{device.id}", json={"name": "First"})

    answer = await admin.patch(
        f"/devices/{device.id}", json={"name": "Second", "enclosure": None}, headers={"If-Match": etag}
    )

    assert (answer.status_code, answer.json()["type"]) == (412, "outdated")
    now = (await admin.get(f"/devices/{device.id}")).json()
    assert (now["name"], now["place"]["enclosure"]) == ("First", company.enclosure)


async def test_a_deleted_device_leaves_nothing_behind(company: Company, admin: httpx.AsyncClient) -> None:
    created = (await admin.post("/devices", json=wish(company))).json()
    await admin.get(f"/devices/{created['id']}/objects/3/0/9")

    deleted = await admin.delete(f"/devices/{created['id']}")
    again = await admin.post("/devices", json=wish(company))

    assert deleted.status_code == 204
    assert (await admin.get(f"/devices/{created['id']}")).status_code == 404
    assert await company.commands.unfinished(0) == []
    assert again.status_code == 201


async def test_a_claim_is_accepted_and_the_inventory_follows(company: Company, admin: httpx.AsyncClient) -> None:
    other = await company.installation.create_enclosure(company.tenant, company.farm, "Pen 2")
    device = await company.registered(claim=Claim(enclosure=other, via="option"))
    disputed = heard.Device.model_validate((await admin.get(f"/devices/{device.id}")).json())

    answer = await admin.post(f"/devices/{device.id}:accept-claim", json={})

    settled = (await admin.get(f"/devices/{device.id}")).json()
    assert disputed.place.state == "mismatch"
    assert disputed.claim is not None
    assert disputed.claim.name == "Pen 2"
    assert answer.status_code == 204
    assert (settled["place"]["enclosure"], settled["place"]["state"]) == (other, "agreed")


async def test_a_claim_is_refused_and_the_device_stays(company: Company, admin: httpx.AsyncClient) -> None:
    other = await company.installation.create_enclosure(company.tenant, company.farm, "Pen 2")
    device = await company.registered(claim=Claim(enclosure=other, via="option"))

    answer = await admin.post(f"/devices/{device.id}:refuse-claim", json={})

    settled = (await admin.get(f"/devices/{device.id}")).json()
    assert answer.status_code == 204
    assert (settled["place"]["enclosure"], settled["place"]["state"]) == (company.enclosure, "agreed")


async def test_there_is_nothing_to_settle_where_all_agree(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()

    answers = [await admin.post(f"/devices/{device.id}:{verb}-claim", json={}) for verb in ("accept", "refuse")]

    assert [answer.status_code for answer in answers] == [409, 409]


async def test_another_tenant_sees_nothing_of_a_device(company: Company, stranger: httpx.AsyncClient) -> None:
    device = await company.registered()
    path = f"/devices/{device.id}"

    answers = [
        await stranger.get(path),
        await stranger.patch(path, json={"name": "Mine"}),
        await stranger.delete(path),
        await stranger.post(f"{path}:accept-claim", json={}),
    ]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert (await stranger.get("/devices")).json() == {"items": [], "next": None, "total": 0}
    assert (await stranger.get("/devices", params={"status": "healthy"})).json()["items"] == []


async def test_another_tenants_enclosure_is_no_place_for_a_device(
    company: Company, stranger: httpx.AsyncClient
) -> None:
    created = await stranger.post("/devices", json=wish(company))
    own = (await stranger.post("/devices", json={"endpoint": "mine"})).json()["id"]
    moved = await stranger.patch(f"/devices/{own}", json={"enclosure": company.enclosure})

    assert (created.status_code, moved.status_code) == (404, 404)


async def test_a_viewer_changes_no_device(company: Company, viewer: httpx.AsyncClient) -> None:
    device = await company.device()
    path = f"/devices/{device.id}"

    refused = [
        await viewer.post("/devices", json=wish(company)),
        await viewer.patch(path, json={"name": "Mine"}),
        await viewer.delete(path),
        await viewer.post(f"{path}:accept-claim", json={}),
    ]

    assert [answer.status_code for answer in refused] == [403] * 4
    assert (await viewer.get(path)).status_code == 200


async def test_a_silent_device_says_why(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    # In steps of a heartbeat that comes in time: a longer gap would be an outage of ours.
    for _ in range(60):
        await company.installation.advance(timedelta(seconds=10))

    said = heard.Device.model_validate((await admin.get(f"/devices/{device.id}")).json())

    assert said.status == "silent"
    assert said.verdict is not None
    assert said.verdict.says
    assert said.verdict.evidence
