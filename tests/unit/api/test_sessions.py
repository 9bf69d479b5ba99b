"""Logging in and out, and who is logged in."""

import httpx

from shoal.access.policy import Role
from shoal.bff import heard_access
from tests.unit.api.company import PASSWORD, Company


async def ida(company: Company, role: Role = Role.ADMINISTRATOR) -> None:
    await company.installation.identity.create_user(
        company.tenant, email="ida@nordvik.example", name="Ida Vik", role=role, password=PASSWORD
    )


async def logged_in(company: Company) -> tuple[httpx.Response, httpx.AsyncClient]:
    answer = await company.bearing(None).post("/sessions", json={"email": "Ida@Nordvik.example ", "password": PASSWORD})
    return answer, company.bearing(answer.json()["token"])


async def test_a_person_logs_in_and_is_known_from_then_on(company: Company) -> None:
    await ida(company)

    answer, client = await logged_in(company)
    me = await client.get("/me")

    session = heard_access.Session.model_validate(answer.json())
    assert answer.status_code == 201
    assert (session.user, session.role) == ("Ida Vik", "administrator")
    assert session.expires_at > company.clock.now()
    said = heard_access.Me.model_validate(me.json())
    assert (said.user, said.role, said.tenant) == ("Ida Vik", "administrator", "Nordvik Seafarms")
    assert "write" in me.json()["operations"]


async def test_a_wrong_password_is_refused_like_an_unknown_address(company: Company) -> None:
    await ida(company)
    client = company.bearing(None)

    wrong = await client.post("/sessions", json={"email": "ida@nordvik.example", "password": "wrong"})
    unknown = await client.post("/sessions", json={"email": "eve@nordvik.example", "password": PASSWORD})

    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.json() | {"request": ""} == unknown.json() | {"request": ""}


async def test_guessing_ends_after_some_tries_with_when_to_come_back(company: Company) -> None:
    await ida(company)
    client = company.bearing(None)
    for _ in range(5):
        await client.post("/sessions", json={"email": "ida@nordvik.example", "password": "wrong"})

    answer = await client.post("/sessions", json={"email": "ida@nordvik.example", "password": PASSWORD})

    assert (answer.status_code, answer.json()["type"]) == (429, "too-many-attempts")
    assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60


async def test_a_login_ends_at_once_when_its_person_logs_out(company: Company) -> None:
    await ida(company)
    _, client = await logged_in(company)

    out = await client.delete("/sessions/current")
    after = await client.get("/me")

    assert (out.status_code, after.status_code) == (204, 401)


async def test_a_service_is_somebody_without_an_address_and_has_no_login_to_end(admin: httpx.AsyncClient) -> None:
    me = await admin.get("/me")
    out = await admin.delete("/sessions/current")

    assert me.json()["user"]["name"] == "administrator of the test"
    assert me.json()["user"]["email"] is None
    assert out.status_code == 409


async def test_a_token_sees_its_own_tenant_only(
    company: Company, admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    mine, theirs = await admin.get("/tenants"), await stranger.get("/tenants")

    assert mine.json() == [{"id": company.tenant, "name": "Nordvik Seafarms"}]
    assert [one["name"] for one in theirs.json()] == ["Another company"]
