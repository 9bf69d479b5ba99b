"""The people who are told of alerts."""

import httpx

from tests.unit.api.company import Company

KARI = {"name": "Kari Moe", "email": "kari@nordvik.example", "min_severity": "high"}


async def test_a_contact_is_created_changed_tried_and_deleted(admin: httpx.AsyncClient) -> None:
    created = await admin.post("/contacts", json=KARI)
    path = f"/contacts/{created.json()['id']}"

    changed = await admin.patch(path, json={"min_severity": "critical"})
    tried = await admin.post(f"{path}:test")
    deleted = await admin.delete(path)

    assert created.status_code == 201
    assert changed.json() == created.json() | {"min_severity": "critical"}
    assert (tried.status_code, tried.json()["state"]) == (202, "waiting")
    assert deleted.status_code == 204
    assert (await admin.get(path)).status_code == 404


async def test_what_cannot_be_a_contact_is_refused(admin: httpx.AsyncClient) -> None:
    await admin.post("/contacts", json=KARI)

    assert (await admin.post("/contacts", json=KARI)).status_code == 409
    assert (await admin.post("/contacts", json=KARI | {"email": "nobody"})).status_code == 400
    assert (await admin.post("/contacts", json=KARI | {"min_severity": "apocalyptic"})).status_code == 400


async def test_neither_a_viewer_nor_another_tenant_changes_a_contact(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    path = f"/contacts/{(await admin.post('/contacts', json=KARI)).json()['id']}"

    assert (await viewer.post("/contacts", json=KARI)).status_code == 403
    assert (await viewer.delete(path)).status_code == 403
    assert (await stranger.get(path)).status_code == 404
    assert (await stranger.patch(path, json={"name": "Mine"})).status_code == 404
    assert (await stranger.post(f"{path}:test")).status_code == 404
    assert (await stranger.get("/contacts")).json()["items"] == []
