"""Tokens for programs."""

from datetime import timedelta

import httpx

from tests.unit.api.company import PASSWORD, Company


async def person(company: Company, admin: httpx.AsyncClient, role: str) -> httpx.AsyncClient:
    email = f"{role}@nordvik.example"
    await admin.post("/users", json={"email": email, "name": role, "role": role, "password": PASSWORD})
    answer = await company.bearing(None).post("/sessions", json={"email": email, "password": PASSWORD})
    return company.bearing(answer.json()["token"])


async def test_a_service_token_works_until_it_is_revoked(company: Company, admin: httpx.AsyncClient) -> None:
    created = await admin.post("/tokens", json={"name": "exporter", "role": "viewer"})
    client = company.bearing(created.json()["token"])
    before = await client.get("/farms")

    revoked = await admin.delete(f"/tokens/{created.json()['id']}")
    after = await client.get("/farms")

    assert (created.status_code, before.status_code, revoked.status_code, after.status_code) == (201, 200, 204, 401)
    assert created.json()["kind"] == "service"


async def test_the_secret_of_a_token_is_never_listed(admin: httpx.AsyncClient) -> None:
    created = (await admin.post("/tokens", json={"name": "exporter", "role": "viewer"})).json()

    listed = await admin.get("/tokens")

    assert created["id"] in {one["id"] for one in listed.json()["items"]}
    assert created["token"] not in listed.text


async def test_people_make_their_own_tokens_and_no_service(company: Company, admin: httpx.AsyncClient) -> None:
    viewer = await person(company, admin, "viewer")

    own = await viewer.post("/tokens", json={"name": "script", "role": "viewer", "personal": True})
    service = await viewer.post("/tokens", json={"name": "script", "role": "viewer"})

    assert (own.status_code, own.json()["kind"]) == (201, "personal")
    assert service.status_code == 403


async def test_nobody_makes_a_token_that_may_more_than_they(company: Company, admin: httpx.AsyncClient) -> None:
    viewer = await person(company, admin, "viewer")

    answer = await viewer.post("/tokens", json={"name": "ladder", "role": "administrator", "personal": True})

    assert (answer.status_code, answer.json()["type"]) == (403, "forbidden")


async def test_a_service_has_no_tokens_of_its_own(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/tokens", json={"name": "script", "role": "viewer", "personal": True})

    assert answer.status_code == 403


async def test_a_token_may_end_itself_and_no_other(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    other = (await admin.post("/tokens", json={"name": "other", "role": "viewer"})).json()["id"]
    own = (await viewer.get("/me")).json()["token"]

    refused = await viewer.delete(f"/tokens/{other}")
    ended = await viewer.delete(f"/tokens/{own}")

    assert (refused.status_code, ended.status_code) == (403, 204)
    assert (await viewer.get("/farms")).status_code == 401


async def test_an_end_that_has_passed_is_refused(company: Company, admin: httpx.AsyncClient) -> None:
    past = (company.clock.now() - timedelta(days=1)).isoformat()

    answer = await admin.post("/tokens", json={"name": "late", "role": "viewer", "expires_at": past})

    assert answer.status_code == 400


async def test_another_tenant_neither_sees_nor_ends_a_token(
    admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    token = (await admin.post("/tokens", json={"name": "mine", "role": "viewer"})).json()["id"]

    assert (await stranger.delete(f"/tokens/{token}")).status_code == 404
    assert token not in (await stranger.get("/tokens")).text
