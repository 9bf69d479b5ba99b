"""What a device proves itself with."""

import httpx

from shoal.storage import sealed
from tests.unit.api.company import Company


async def test_a_new_key_takes_the_place_of_the_old_one_and_is_shown_once(
    company: Company, admin: httpx.AsyncClient
) -> None:
    device = await company.device()

    first = await admin.post(f"/devices/{device.id}/credentials", json={"mode": "psk", "identity": "oxy"})
    second = await admin.post(f"/devices/{device.id}/credentials", json={"mode": "psk", "identity": "oxy"})
    read = await admin.get(f"/devices/{device.id}/credentials")

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["key"] != second.json()["key"]
    assert read.json()["identity"] == "oxy"
    assert read.json()["created_by"] == "administrator of the test"
    assert "key" not in read.json()


async def test_a_device_without_a_credential_says_so(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.device()

    assert (await admin.get(f"/devices/{device.id}/credentials")).status_code == 404


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
