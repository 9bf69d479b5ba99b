"""The first person comes in by a link that works once."""

import httpx

from shoal.access.policy import Role
from shoal.api.guesses import WRONG_MAX
from tests.unit.api.company import PASSWORD, Company

KARI = {"name": "Kari Nord", "email": "kari@nordvik.example", "password": PASSWORD}


async def invited(company: Company) -> str:
    async with company.installation.database.transaction() as tx:
        return (await company.installation.identity.invite(tx, company.tenant, Role.ADMINISTRATOR)).secret


async def test_a_link_is_looked_at_and_then_used_once(company: Company) -> None:
    secret, nobody = await invited(company), company.bearing(None)

    seen = await nobody.post("/invitations:look", json={"secret": secret})
    session = await nobody.post("/invitations:accept", json={"secret": secret, **KARI})
    again = await nobody.post("/invitations:accept", json={"secret": secret, **KARI, "email": "ola@nordvik.example"})
    late = await nobody.post("/invitations:look", json={"secret": secret})

    assert seen.json()["tenant"] == {"id": company.tenant, "name": "Nordvik Seafarms"}
    assert (seen.json()["role"], seen.json()["password_characters_min"]) == ("administrator", 8)
    assert session.status_code == 201
    me = (await company.bearing(session.json()["token"]).get("/me")).json()
    assert (me["user"]["name"], me["role"]) == ("Kari Nord", "administrator")
    assert [(answer.status_code, answer.json()["type"]) for answer in (again, late)] == [(404, "invitation-over")] * 2


async def test_a_short_password_is_refused_with_how_long_it_must_be_and_never_repeated(company: Company) -> None:
    secret = await invited(company)

    answer = await company.bearing(None).post(
        "/invitations:accept", json={"secret": secret, **KARI, "password": "salmon1"}
    )

    assert (answer.status_code, answer.json()["title"]) == (400, "password: 7 characters, expected 8 to 1024")
    assert "salmon1" not in answer.text


async def test_an_address_that_somebody_has_is_a_conflict(company: Company) -> None:
    await company.installation.identity.create_user(
        company.tenant, email=KARI["email"], name="Kari", role=Role.VIEWER, password=PASSWORD
    )

    answer = await company.bearing(None).post("/invitations:accept", json={"secret": await invited(company), **KARI})

    assert (answer.status_code, answer.json()["type"]) == (409, "conflict")


async def test_who_guesses_links_has_to_wait(company: Company) -> None:
    client: httpx.AsyncClient = company.bearing(None)
    for number in range(WRONG_MAX):
        assert (await client.post("/invitations:look", json={"secret": f"shoal_{number}"})).status_code == 404

    refused = await client.post("/invitations:look", json={"secret": "shoal_next"})

    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
