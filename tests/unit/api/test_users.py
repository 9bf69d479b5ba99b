"""People who may log in."""

import httpx
import pytest

from shoal.access.policy import Role
from tests.unit.api.company import PASSWORD, Company

IDA = {"email": "ida@nordvik.example", "name": "Ida Vik", "role": "administrator", "password": PASSWORD}
JON = {"email": "jon@nordvik.example", "name": "Jon Aas", "role": "viewer", "password": PASSWORD}


async def created(admin: httpx.AsyncClient, person: dict[str, str]) -> str:
    answer = await admin.post("/users", json=person)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def logged_in(company: Company, person: dict[str, str]) -> httpx.AsyncClient:
    body = {"email": person["email"], "password": person["password"]}
    answer = await company.bearing(None).post("/sessions", json=body)
    return company.bearing(answer.json().get("token", "none"))


async def test_people_are_created_listed_and_changed(admin: httpx.AsyncClient) -> None:
    ida, jon = await created(admin, IDA), await created(admin, JON)

    listed = (await admin.get("/users")).json()["items"]
    changed = await admin.patch(f"/users/{jon}", json={"name": "Jon Aase", "role": "administrator"})

    assert {one["id"] for one in listed} == {ida, jon}
    assert all("password" not in str(one) for one in listed)
    assert (changed.json()["name"], changed.json()["role"]) == ("Jon Aase", "administrator")


async def test_who_is_shut_out_is_out_at_once(company: Company, admin: httpx.AsyncClient) -> None:
    jon = await created(admin, JON)
    client = await logged_in(company, JON)
    before = await client.get("/me")

    await admin.patch(f"/users/{jon}", json={"disabled": True})
    after = await client.get("/me")

    assert (before.status_code, after.status_code) == (200, 401)


async def test_people_see_and_change_themselves_only(company: Company, admin: httpx.AsyncClient) -> None:
    ida, jon = await created(admin, IDA), await created(admin, JON)
    client = await logged_in(company, JON)

    own = await client.get(f"/users/{jon}")
    others = await client.get(f"/users/{ida}")
    everybody = await client.get("/users")
    password = await client.put(f"/users/{ida}/password", json={"password": "another password"})

    assert own.status_code == 200
    assert [others.status_code, everybody.status_code, password.status_code] == [403] * 3


async def test_another_password_ends_all_logins_and_holds_from_then_on(
    company: Company, admin: httpx.AsyncClient
) -> None:
    jon = await created(admin, JON)
    client = await logged_in(company, JON)

    answer = await client.put(f"/users/{jon}/password", json={"password": "another password"})

    assert answer.status_code == 204
    assert (await client.get("/me")).status_code == 401
    renewed = await logged_in(company, JON | {"password": "another password"})
    assert (await renewed.get("/me")).json()["user"]["name"] == "Jon Aas"


async def test_the_last_administrator_stays_one(admin: httpx.AsyncClient) -> None:
    ida = await created(admin, IDA)

    answer = await admin.patch(f"/users/{ida}", json={"role": "viewer"})

    assert answer.status_code == 409


@pytest.mark.parametrize(
    "wrong", [{"email": "nobody"}, {"role": "king"}, {"password": "short"}, {"name": " "}], ids=lambda w: next(iter(w))
)
async def test_what_cannot_be_a_person_is_refused(admin: httpx.AsyncClient, wrong: dict[str, str]) -> None:
    answer = await admin.post("/users", json=IDA | wrong)

    assert (answer.status_code, answer.json()["type"]) == (400, "invalid")
    assert IDA["password"] not in answer.text


async def test_an_address_is_taken_once(admin: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    await created(admin, IDA)

    assert (await stranger.post("/users", json=IDA)).status_code == 409


async def test_another_tenant_reaches_nobody(admin: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    ida = await created(admin, IDA)

    answers = [
        await stranger.get(f"/users/{ida}"),
        await stranger.patch(f"/users/{ida}", json={"role": "viewer"}),
        await stranger.put(f"/users/{ida}/password", json={"password": "another password"}),
    ]

    assert [answer.status_code for answer in answers] == [404] * 3
    assert (await stranger.get("/users")).json()["items"] == []


async def test_people_come_in_pages(admin: httpx.AsyncClient, company: Company) -> None:
    for number in range(3):
        await company.installation.identity.create_user(
            company.tenant, email=f"u{number}@nordvik.example", name="U", role=Role.VIEWER, password=PASSWORD
        )

    first = (await admin.get("/users", params={"limit": 2})).json()
    second = (await admin.get("/users", params={"limit": 2, "cursor": first["next"]})).json()

    assert len({one["id"] for one in (*first["items"], *second["items"])}) == 3
    assert second["next"] is None
