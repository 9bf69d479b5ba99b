"""Who is let in, and what an id may look like."""

from datetime import timedelta

import httpx
import pytest

from shoal.access.policy import Role
from tests.unit.api.company import Company


async def test_nobody_is_let_in_without_a_token(company: Company) -> None:
    answer = await company.bearing(None).get("/farms")

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["type"] == "unauthenticated"


@pytest.mark.parametrize("secret", ["nonsense", "shoal_" + "x" * 43, "shoal_" + "x" * 500])
async def test_a_token_that_is_none_of_ours_is_refused(company: Company, secret: str) -> None:
    answer = await company.bearing(secret).get("/farms")

    assert answer.status_code == 401


async def test_an_expired_token_is_refused(company: Company) -> None:
    identity, clock = company.installation.identity, company.clock
    async with company.installation.database.transaction() as tx:
        new = await identity.create_token(
            tx, company.tenant, name="short", role=Role.VIEWER, expires_at=clock.now() + timedelta(hours=1)
        )
    client = company.bearing(new.secret)
    before = await client.get("/farms")

    clock.advance(timedelta(hours=2))
    after = await client.get("/farms")

    assert (before.status_code, after.status_code) == (200, 401)
    assert "expired" in after.json()["title"]


async def test_who_sends_no_token_does_not_learn_what_else_is_wrong(company: Company) -> None:
    answer = await company.bearing(None).get("/farms/nonsense")

    assert answer.status_code == 401


async def test_an_id_is_understood_as_people_type_it(company: Company, admin: httpx.AsyncClient) -> None:
    typed = company.farm.lower().replace("0", "o").replace("1", "l")

    answer = await admin.get(f"/farms/{typed}")

    assert answer.json()["id"] == company.farm


async def test_a_mistyped_id_is_refused_with_what_was_meant(company: Company, admin: httpx.AsyncClient) -> None:
    head, body = company.farm.split("-")
    swaps = (body[:i] + body[i + 1] + body[i] + body[i + 2 :] for i in range(7) if body[i] != body[i + 1])
    mistyped = f"{head}-{next(swaps)}"

    in_path = await admin.get(f"/farms/{mistyped}")
    in_query = await admin.get("/enclosures", params={"farm": mistyped})

    assert (in_path.status_code, in_query.status_code) == (404, 400)
    assert in_path.json()["type"] == in_query.json()["type"] == "mistyped-id"
    assert in_path.json()["did_you_mean"] == [company.farm]
    assert company.farm in in_path.json()["detail"]


async def test_what_another_tenant_has_is_never_suggested(company: Company, stranger: httpx.AsyncClient) -> None:
    head, body = company.farm.split("-")
    swaps = (body[:i] + body[i + 1] + body[i] + body[i + 2 :] for i in range(7) if body[i] != body[i + 1])

    answer = await stranger.get(f"/farms/{head}-{next(swaps)}")

    assert answer.status_code == 404
    assert answer.json()["did_you_mean"] == []


async def test_an_id_of_another_kind_is_refused(company: Company, admin: httpx.AsyncClient) -> None:
    answer = await admin.get(f"/devices/{company.farm}")

    assert (answer.status_code, answer.json()["type"]) == (404, "mistyped-id")
