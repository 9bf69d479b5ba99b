"""What a device proves itself with."""

from datetime import timedelta

import httpx

from shoal.ids import Prefix, derived_id
from shoal.inventory.claim import Arrival
from shoal.inventory.device import Kind, Security
from shoal.storage import sealed
from tests.unit.api.company import Company


async def test_a_new_key_goes_beside_the_old_one_and_is_shown_once(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.device()
    path = f"/devices/{device.id}/credentials"

    first = await admin.post(path, json={"mode": "psk", "identity": "oxy"})
    company.installation.clock.advance(timedelta(minutes=1))
    second = await admin.post(path, json={"mode": "psk", "overlap_s": 3600, "until": "end"})
    read = (await admin.get(path)).json()

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["key"] != second.json()["key"]
    assert read["next"] is None
    assert [(one["id"], one["state"]) for one in read["items"]] == [
        (second.json()["id"], "next"),
        (first.json()["id"], "retiring"),
    ]
    assert read["items"][1]["identity"] == "oxy"
    assert read["items"][1]["expires_at"] is not None
    assert read["items"][0]["created_by"] == "administrator of the test"
    assert all("key" not in one for one in read["items"])


async def test_an_overlap_of_nothing_ends_the_old_one_at_once(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.device()
    path = f"/devices/{device.id}/credentials"
    await admin.post(path, json={})
    company.installation.clock.advance(timedelta(minutes=1))

    await admin.post(path, json={"overlap_s": 0})

    assert [one["state"] for one in (await admin.get(path)).json()["items"]] == ["current", "revoked"]
    assert (await admin.post(path, json={"overlap_s": 91 * 86_400})).status_code == 422


async def test_a_credential_is_revoked_and_the_last_one_only_by_a_word(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    device = await company.device()
    path = f"/devices/{device.id}/credentials"
    one = f"{path}/{(await admin.post(path, json={})).json()['id']}"

    assert (await viewer.delete(one)).status_code == 403
    assert (await stranger.delete(one)).status_code == 404
    assert (await admin.delete(one)).status_code == 409
    assert (await admin.delete(f"{one}?last=true")).status_code == 204
    assert (await admin.delete(f"{path}/crd-00000000")).status_code == 404
    assert [shown["state"] for shown in (await admin.get(path)).json()["items"]] == ["revoked"]
    entries = (await admin.get("/audit")).json()["items"]
    assert any(entry["path"] == one and entry["before"] for entry in entries), entries[:3]


async def test_a_device_goes_over_from_a_key_to_a_certificate(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.device()
    path = f"/devices/{device.id}/credentials"
    await admin.post(path, json={})

    made = await admin.post(path, json={"mode": "x509"})

    assert made.status_code == 201
    assert (made.json()["key"], made.json()["identity"], made.json()["state"]) == (None, device.endpoint, "next")
    assert (await admin.post(path, json={"mode": "x509", "identity": "x"})).status_code == 400
    assert (await admin.post(path, json={"mode": "psk", "certificate": "x"})).status_code == 400
    created = (await admin.post("/devices", json={"endpoint": "cam-9", "security": {"mode": "x509"}})).json()
    assert (created["security"]["mode"], created["security"]["key"]) == ("x509", None)


async def test_what_ends_by_itself_is_listed_the_soonest_first(
    company: Company, admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    device, other = await company.device("a"), await company.device("b")
    for one, overlap_s in ((device, 7_200), (other, 3_600)):
        for more in ({}, {"overlap_s": overlap_s}):
            await admin.post(f"/devices/{one.id}/credentials", json=more)

    whole = (await admin.get("/credentials")).json()
    first = (await admin.get("/credentials", params={"limit": 1})).json()
    second = (await admin.get("/credentials", params={"limit": 1, "cursor": first["next"]})).json()
    soon = whole["items"][1]["expires_at"]

    assert [one["device"] for one in whole["items"]] == [other.id, device.id]
    assert (first["items"], second["items"], second["next"]) == (whole["items"][:1], whole["items"][1:], None)
    assert (await admin.get("/credentials", params={"expires_before": soon})).json()["items"] == whole["items"][:1]
    assert (await admin.get("/credentials", params={"state": "revoked"})).json()["items"] == []
    assert (await admin.get("/credentials", params={"expires_before": "2026-01-01T00:00:00"})).status_code == 400
    assert (await admin.get("/credentials", params={"cursor": "x"})).status_code == 400
    assert (await stranger.get("/credentials")).json()["items"] == []


async def test_a_device_without_a_credential_has_an_empty_list(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.device()

    assert (await admin.get(f"/devices/{device.id}/credentials")).json() == {"items": [], "next": None}


async def test_a_device_does_not_lose_its_security(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.device()

    assert (await admin.post(f"/devices/{device.id}/credentials", json={"mode": "none"})).status_code == 409


async def test_neither_a_viewer_nor_another_tenant_gets_a_key(
    company: Company, viewer: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    device = await company.device()
    path = f"/devices/{device.id}/credentials"

    assert (await viewer.post(path, json={})).status_code == 403
    assert (await stranger.post(path, json={})).status_code == 404
    assert (await stranger.get(path)).status_code == 404


async def test_a_key_that_was_lost_is_shown_as_missing_until_there_is_a_new_one(
    company: Company, admin: httpx.AsyncClient
) -> None:
    made = (await admin.post("/devices", json={"endpoint": "s-17"})).json()
    assert made["security"]["needs_key"] is False

    await sealed.give_up(company.installation.database, None)

    assert (await admin.get(f"/devices/{made['id']}")).json()["security"]["needs_key"] is True
    await admin.post(f"/devices/{made['id']}/credentials", json={})
    assert (await admin.get(f"/devices/{made['id']}")).json()["security"]["needs_key"] is False


async def test_a_device_that_came_by_itself_waits_for_a_person(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    made = (await admin.post("/devices", json={"endpoint": "cam-9", "security": {"mode": "x509"}})).json()["id"]
    path = f"/devices/{made}/credentials"
    async with company.installation.database.transaction() as tx:
        await company.installation.credentials.remove(tx, company.tenant, made)
        await company.installation.credentials.introduce(tx, company.tenant, made, is_approved=False)
    [waiting] = (await admin.get(path)).json()["items"]
    one = f"{path}/{waiting['id']}:approve"

    assert waiting["state"] == "waiting"
    listed = {"state": "waiting", "limit": 1}
    assert (await viewer.get("/credentials", params=listed)).json() == {"items": [waiting], "next": None}
    assert (await viewer.get("/credentials")).json()["items"] == []
    late = await viewer.get("/credentials", params=listed | {"expires_before": "2027-01-01T00:00:00Z"})
    assert late.status_code == 400
    assert (await admin.get(f"/devices/{made}")).json()["security"]["needs_key"] is False
    assert (await viewer.post(one)).status_code == 403
    assert (await admin.post(one)).json()["state"] == "current"
    assert (await viewer.get("/credentials", params=listed)).json()["items"] == []
    assert (await admin.post(one)).status_code == 409
    assert (await admin.post(f"{path}/crd-00000000:approve")).status_code == 404


async def test_whoever_approves_a_device_puts_it_where_it_says_it_is(
    company: Company, admin: httpx.AsyncClient
) -> None:
    shoal = company.installation
    async with shoal.database.transaction() as tx:
        made = await shoal.inventory.create_device(
            tx, company.tenant, endpoint="cam-9", kind=Kind.CAMERA, security=Security.X509, arrival=Arrival.WAITING
        )
        await shoal.credentials.introduce(tx, company.tenant, made.id, is_approved=False)
    path = f"/devices/{made.id}/credentials"
    [waiting] = (await admin.get(path)).json()["items"]
    one = f"{path}/{waiting['id']}:approve"
    farm = (await admin.post("/farms", json={"name": "North"})).json()["id"]
    pen = (await admin.post(f"/farms/{farm}/enclosures", json={"name": "Pen 4", "kind": "pen"})).json()["id"]
    assert (await admin.get(f"/devices/{made.id}")).json()["place"]["arrival"] == "waiting"

    assert (await admin.post(one, json={"enclosure": derived_id(Prefix.ENCLOSURE, b"none")})).status_code == 404
    assert (await admin.post(one, json={"enclosure": pen})).json()["state"] == "current"

    place = (await admin.get(f"/devices/{made.id}")).json()["place"]
    assert (place["enclosure"], place["state"], place["arrival"]) == (pen, "agreed", None)
    assert (await admin.post(one, json={"enclosure": pen})).status_code == 409
