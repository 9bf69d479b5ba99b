"""Letting a device ask the bootstrap server, and asking it to."""

import httpx

from tests.unit.api.company import Company


async def test_a_key_for_the_bootstrap_server_is_shown_once(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.device()

    made = await admin.post(f"/devices/{device.id}/bootstrap", json={"identity": "factory-1"})
    shown = await admin.get(f"/devices/{device.id}/bootstrap")

    assert made.status_code == 201
    assert len(bytes.fromhex(made.json()["key"])) == 16
    assert shown.json() == {name: made.json()[name] for name in ("identity", "created_at", "created_by")}
    assert shown.json()["identity"] == "factory-1"


async def test_it_can_be_taken_back(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.device()
    path = f"/devices/{device.id}/bootstrap"
    await admin.post(path, json={})

    assert (await admin.delete(path)).status_code == 204
    assert (await admin.delete(path)).status_code == 404
    assert (await admin.get(path)).status_code == 404


async def test_a_deleted_device_takes_it_along(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.device()
    await admin.post(f"/devices/{device.id}/bootstrap", json={"identity": "factory-1"})

    assert (await admin.delete(f"/devices/{device.id}")).status_code == 204

    other = (await admin.post("/devices", json={"endpoint": "s-18"})).json()["id"]
    assert (await admin.post(f"/devices/{other}/bootstrap", json={"identity": "factory-1"})).status_code == 201


async def test_a_device_is_asked_to_go_there(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.device()
    early = await admin.post(f"/devices/{device.id}:bootstrap")
    await admin.post(f"/devices/{device.id}/bootstrap", json={})

    asked = await admin.post(f"/devices/{device.id}:bootstrap")

    assert early.status_code == 409
    assert asked.status_code == 202
    assert (asked.json()["operation"], asked.json()["path"]) == ("execute", "/1/0/9")


async def test_neither_a_viewer_nor_another_tenant_may(
    company: Company, viewer: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    device = await company.device()
    path = f"/devices/{device.id}/bootstrap"

    assert (await viewer.post(path, json={})).status_code == 403
    assert (await viewer.post(f"/devices/{device.id}:bootstrap")).status_code == 403
    for answer in (
        await stranger.post(path, json={}),
        await stranger.get(path),
        await stranger.delete(path),
        await stranger.post(f"/devices/{device.id}:bootstrap"),
    ):
        assert answer.status_code == 404
