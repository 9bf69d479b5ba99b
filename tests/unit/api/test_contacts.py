"""The people who are told of alerts, and the ways to them."""

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
    assert changed.json() == created.json() | {"min_severity": "critical", "version": 2}
    assert (tried.status_code, [(test["channel"], test["state"]) for test in tried.json()["items"]]) == (
        202,
        [("email", "waiting")],
    )
    assert deleted.status_code == 204
    assert (await admin.get(path)).status_code == 404


async def test_a_contact_has_several_ways_in_an_order(admin: httpx.AsyncClient) -> None:
    hook = (await admin.post("/channels", json={"name": "Phone", "url": "https://hooks.example/"})).json()["id"]
    methods = [{"channel": "webhook", "address": hook}, {"channel": "dashboard"}]
    created = await admin.post("/contacts", json=KARI | {"methods": methods})

    shown = [(method["channel"], method["address"]) for method in created.json()["methods"]]
    assert shown == [("webhook", hook), ("dashboard", ""), ("email", "kari@nordvik.example")]
    tests = (await admin.post(f"/contacts/{created.json()['id']}:test")).json()["items"]
    assert [test["channel"] for test in tests] == ["webhook", "dashboard", "email"]


async def test_what_cannot_be_a_contact_is_refused(admin: httpx.AsyncClient) -> None:
    await admin.post("/contacts", json=KARI)

    assert (await admin.post("/contacts", json=KARI)).status_code == 409
    assert (await admin.post("/contacts", json=KARI | {"email": "nobody"})).status_code == 400
    assert (await admin.post("/contacts", json={"name": "Kari"})).status_code == 400
    assert (await admin.post("/contacts", json=KARI | {"min_severity": "apocalyptic"})).status_code == 400
    unknown = KARI | {"email": None, "methods": [{"channel": "webhook", "address": "chn-00000000"}]}
    assert (await admin.post("/contacts", json=unknown)).status_code == 400


async def test_who_has_not_seen_the_latest_version_changes_nothing(admin: httpx.AsyncClient) -> None:
    created = await admin.post("/contacts", json=KARI)
    path, seen = f"/contacts/{created.json()['id']}", {"If-Match": created.headers["ETag"]}
    await admin.patch(path, json={"name": "Kari M."}, headers=seen)

    late = await admin.patch(path, json={"name": "Kari N."}, headers=seen)

    assert (late.status_code, late.json()["type"]) == (412, "outdated")
    assert (await admin.delete(path, headers=seen)).status_code == 412
    assert (await admin.get(path)).headers["ETag"] == '"2"'


async def test_a_contact_whom_a_policy_tells_stays(admin: httpx.AsyncClient) -> None:
    contact = (await admin.post("/contacts", json=KARI)).json()["id"]
    policy = {"name": "Night", "steps": [{"contacts": [contact]}]}
    made = (await admin.post("/escalation-policies", json=policy)).json()["id"]

    refused = await admin.delete(f"/contacts/{contact}")

    assert (refused.status_code, refused.json()["policy"]) == (409, made)
    await admin.delete(f"/escalation-policies/{made}")
    assert (await admin.delete(f"/contacts/{contact}")).status_code == 204


async def test_tests_are_bounded(admin: httpx.AsyncClient) -> None:
    path = f"/contacts/{(await admin.post('/contacts', json=KARI)).json()['id']}:test"
    for _ in range(10):
        assert (await admin.post(path)).status_code == 202

    refused = await admin.post(path)

    assert (refused.status_code, refused.json()["type"]) == (429, "too-many-requests")
    assert refused.headers["Retry-After"] == "60"


async def test_neither_a_viewer_nor_another_tenant_changes_a_contact(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    path = f"/contacts/{(await admin.post('/contacts', json=KARI)).json()['id']}"

    assert (await viewer.post("/contacts", json=KARI)).status_code == 403
    assert (await viewer.delete(path)).status_code == 403
    assert (await viewer.post(f"{path}:test")).status_code == 403
    assert (await stranger.get(path)).status_code == 404
    assert (await stranger.patch(path, json={"name": "Mine"})).status_code == 404
    assert (await stranger.post(f"{path}:test")).status_code == 404
    assert (await stranger.get("/contacts")).json()["items"] == []
