"""Every change through the API is in the audit log, with what it was before, and without a secret."""

from datetime import timedelta
from typing import Any

import httpx

from shoal.access.policy import Role
from tests.unit.api.company import PASSWORD, Company


async def entries(client: httpx.AsyncClient, **wanted: str) -> list[dict[str, Any]]:
    answer = await client.get("/audit", params=wanted)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]  # type: ignore[no-any-return]


async def test_a_change_tells_who_from_where_what_and_what_it_was(company: Company, admin: httpx.AsyncClient) -> None:
    farm = (await admin.post("/farms", json={"name": "North"})).json()["id"]
    company.clock.advance(timedelta(minutes=1))
    await admin.patch(f"/farms/{farm}", json={"name": "South"})
    company.clock.advance(timedelta(minutes=1))
    await admin.delete(f"/farms/{farm}")

    deleted, changed, created = await entries(admin)

    me = (await admin.get("/me")).json()
    assert (changed["by"], changed["by_name"]) == (me["user"]["id"], "administrator of the test")
    assert changed["address"] == "127.0.0.1"
    assert changed["path"] == f"/farms/{farm}"
    assert [(each["action"], each["resource"], each["thing"]) for each in (created, changed, deleted)] == [
        ("create", "farms", farm),
        ("change", "farms", farm),
        ("delete", "farms", farm),
    ]
    assert (created["before"], created["after"]) == (None, {"name": "North"})
    assert (changed["before"], changed["after"]) == ({"name": "North"}, {"name": "South"})
    assert (deleted["before"], deleted["after"]) == ({"name": "South"}, None)


async def test_what_was_refused_or_only_looked_at_leaves_no_entry(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    await admin.post("/farms", json={"name": ""})
    await viewer.post("/farms", json={"name": "North"})
    await company.bearing("shoal_nobody").post("/farms", json={"name": "North"})
    await admin.patch(f"/farms/{company.farm}", json={"name": "South"}, headers={"If-Match": '"99"'})
    await admin.get("/farms")

    assert await entries(admin) == []


async def test_no_secret_is_in_any_entry(company: Company, admin: httpx.AsyncClient) -> None:
    key = "00112233445566778899aabbccddeeff"
    device = (await admin.post("/devices", json={"endpoint": "s-17", "security": {"key": key}})).json()
    renewed = (await admin.post(f"/devices/{device['id']}/credentials", json={})).json()
    token = (await admin.post("/tokens", json={"name": "script", "role": "viewer"})).json()
    who = {"email": "ida@nordvik.example", "name": "Ida", "role": "viewer", "password": PASSWORD}
    user = (await admin.post("/users", json=who)).json()
    await admin.put(f"/users/{user['id']}/password", json={"password": "another password"})
    session = (await company.bearing(None).post("/sessions", json={**who, "password": "another password"})).json()

    said = (await admin.get("/audit")).text

    for secret in (key, renewed["key"], token["token"], PASSWORD, "another password", session["token"]):
        assert secret not in said
    assert [each["action"] + " " + each["resource"] for each in reversed(await entries(admin))] == [
        "create devices",
        "create credentials",
        "create tokens",
        "create users",
        "set password",
        "log-in sessions",
    ]


async def test_every_route_that_changes_something_leaves_its_entry(company: Company, admin: httpx.AsyncClient) -> None:
    pen = (await admin.post(f"/farms/{company.farm}/enclosures", json={"name": "Pen 9", "kind": "pen"})).json()["id"]
    device = (await admin.post("/devices", json={"endpoint": "s-17", "enclosure": pen})).json()["id"]
    await admin.patch(f"/devices/{device}", json={"name": "By the bridge", "enclosure": None})
    contact = (await admin.post("/contacts", json={"name": "Ola", "email": "ola@nordvik.example"})).json()["id"]
    await admin.patch(f"/contacts/{contact}", json={"name": "Ola Nord"})

    found = {(each["action"], each["thing"]): each for each in await entries(admin)}

    assert found["change", device]["before"] == {"name": "s-17", "enclosure": pen}
    assert found["change", device]["after"] == {"name": "By the bridge", "enclosure": None}
    assert found["create", pen]["after"] == {"name": "Pen 9", "kind": "pen", "farm": company.farm}
    assert found["change", contact]["after"] == {"name": "Ola Nord"}


async def test_a_login_and_a_logout_are_told_with_the_person(company: Company, admin: httpx.AsyncClient) -> None:
    user = await company.installation.identity.create_user(
        company.tenant, email="ida@nordvik.example", name="Ida", role=Role.VIEWER, password=PASSWORD
    )
    await company.bearing(None).post("/sessions", json={"email": "ida@nordvik.example", "password": "wrong"})
    session = await company.bearing(None).post("/sessions", json={"email": "ida@nordvik.example", "password": PASSWORD})
    company.clock.advance(timedelta(minutes=1))
    await company.bearing(session.json()["token"]).delete("/sessions/current")

    assert [(each["action"], each["by"], each["by_name"]) for each in await entries(admin)] == [
        ("delete", user.id, "Ida"),
        ("log-in", user.id, "Ida"),
    ]


async def test_a_repeated_request_leaves_one_entry(admin: httpx.AsyncClient) -> None:
    for _ in range(3):
        await admin.post("/farms", json={"name": "North"}, headers={"Idempotency-Key": "one"})

    assert len(await entries(admin)) == 1


async def test_the_log_is_for_administrators_of_the_tenant_in_pages_and_by_filters(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    for name in ("A", "B", "C"):
        await admin.post("/farms", json={"name": name})
    await admin.post("/tokens", json={"name": "script", "role": "viewer"})

    first = (await admin.get("/audit", params={"resource": "farms", "limit": 2})).json()
    second = (await admin.get("/audit", params={"resource": "farms", "limit": 2, "cursor": first["next"]})).json()

    assert [each["after"]["name"] for each in (*first["items"], *second["items"])] == ["C", "B", "A"]
    assert second["next"] is None
    assert await entries(stranger) == []
    assert (await viewer.get("/audit")).status_code == 403
    assert len(await entries(admin, **{"from": company.clock.now().isoformat()})) == 4
    assert await entries(admin, to=company.clock.now().isoformat()) == []
    for wrong in ({"cursor": "nonsense"}, {"from": "yesterday"}, {"limit": "0"}):
        assert (await admin.get("/audit", params=wrong)).status_code in {400, 422}
