"""A repeated POST is answered as the first one was, and nothing is done twice."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from shoal.access.policy import Role
from shoal.credentials.store import Credentials
from shoal.errors import Unavailable
from shoal.inventory.store import Inventory
from shoal.storage import answers
from shoal.storage.answers import KEPT, WORKED_ON_MAX, kept_answers
from tests.unit.api.company import PASSWORD, Company

KEY = {"Idempotency-Key": "3f2c9d1e-0001"}


async def farms(client: httpx.AsyncClient) -> list[str]:
    return [farm["name"] for farm in (await client.get("/farms")).json()["items"] if farm["name"] != "Storholmen"]


async def test_a_repeated_request_gets_the_same_answer_and_makes_nothing_twice(admin: httpx.AsyncClient) -> None:
    first = await admin.post("/farms", json={"name": "North"}, headers=KEY)
    second = await admin.post("/farms", json={"name": "North"}, headers=KEY)

    assert (second.status_code, second.json()) == (201, first.json())
    for header in ("location", "etag", "content-type", "content-length"):
        assert second.headers[header] == first.headers[header]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert await farms(admin) == ["North"]


async def test_without_a_key_or_with_another_it_is_done_again(admin: httpx.AsyncClient) -> None:
    made = [await admin.post("/farms", json={"name": "North"}, headers={"Idempotency-Key": k}) for k in ("a", "b")]

    assert made[0].status_code == 201
    assert made[1].headers.get("idempotency-replayed") is None


async def test_the_key_of_a_device_comes_back_and_lies_encrypted_meanwhile(
    company: Company, admin: httpx.AsyncClient
) -> None:
    first = (await admin.post("/devices", json={"endpoint": "s-17"}, headers=KEY)).json()
    async with company.installation.database.reading() as connection:
        kept = await connection.scalar(select(kept_answers.c.answer_encrypted))
    second = (await admin.post("/devices", json={"endpoint": "s-17"}, headers=KEY)).json()

    assert second["security"]["key"] == first["security"]["key"]
    assert first["security"]["key"].encode() not in kept
    assert b"s-17" not in kept


@pytest.mark.parametrize(
    ("path", "body"),
    [("/farms", {"name": "South"}), ("/farms?x=1", {"name": "North"}), ("/profiles", {"name": "North"})],
)
async def test_a_key_that_belongs_to_another_request_is_refused(
    admin: httpx.AsyncClient, path: str, body: dict[str, str]
) -> None:
    await admin.post("/farms", json={"name": "North"}, headers=KEY)

    answer = await admin.post(path, json=body, headers=KEY)

    assert (answer.status_code, answer.json()["type"]) == (422, "key-reused")
    assert await farms(admin) == ["North"]


async def test_keys_of_two_callers_have_nothing_to_do_with_each_other(
    company: Company, admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    other = await company.client()
    made = [await client.post("/farms", json={"name": "A"}, headers=KEY) for client in (admin, stranger)]
    again = await other.post("/farms", json={"name": "B"}, headers=KEY)

    assert [answer.status_code for answer in (*made, again)] == [201, 201, 201]
    assert made[0].json()["id"] != made[1].json()["id"]


async def test_a_mistake_leaves_the_key_free(admin: httpx.AsyncClient, viewer: httpx.AsyncClient) -> None:
    refused = await admin.post("/farms", json={"name": ""}, headers=KEY)
    nonsense = await admin.post("/farms", json={"nam": "North"}, headers=KEY)
    corrected = await admin.post("/farms", json={"name": "North"}, headers=KEY)
    forbidden = await viewer.post("/farms", json={"name": "North"}, headers=KEY)

    assert [each.status_code for each in (refused, nonsense, corrected, forbidden)] == [400, 422, 201, 403]


async def test_a_token_that_counts_no_more_gets_no_kept_answer(company: Company, admin: httpx.AsyncClient) -> None:
    await admin.post("/devices", json={"endpoint": "s-17"}, headers=KEY)
    me = (await admin.get("/me")).json()
    await admin.delete(f"/tokens/{me['token']}")

    answer = await admin.post("/devices", json={"endpoint": "s-17"}, headers=KEY)

    assert answer.status_code == 401
    assert (await company.bearing(None).post("/farms", json={"name": "x"}, headers=KEY)).status_code == 401


@pytest.mark.parametrize("key", ["", "x" * 201, "a b"])
async def test_a_key_that_is_none_is_refused(admin: httpx.AsyncClient, key: str) -> None:
    answer = await admin.post("/farms", json={"name": "North"}, headers={"Idempotency-Key": key})

    assert (answer.status_code, answer.json()["type"]) == (400, "invalid")
    assert await farms(admin) == []


async def test_a_body_that_is_too_long_is_refused_as_without_a_key(admin: httpx.AsyncClient) -> None:
    async def pieces() -> Any:
        for _ in range(40):
            yield b" " * 10_000

    answer = await admin.post("/farms", content=pieces(), headers={**KEY, "Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["type"]) == (413, "too-large")


async def test_a_login_needs_no_key(company: Company) -> None:
    await company.installation.identity.create_user(
        company.tenant, email="ida@nordvik.example", name="Ida", role=Role.VIEWER, password=PASSWORD
    )
    wrong = await company.bearing(None).post(
        "/sessions", json={"email": "ida@nordvik.example", "password": "wrong"}, headers=KEY
    )
    right = await company.bearing(None).post(
        "/sessions", json={"email": "ida@nordvik.example", "password": PASSWORD}, headers=KEY
    )

    assert (wrong.status_code, right.status_code) == (401, 201)


async def test_an_upload_that_is_repeated_with_other_boundaries_is_the_same(
    company: Company, admin: httpx.AsyncClient
) -> None:
    def form(boundary: str) -> dict[str, Any]:
        return {
            "data": {"kind": "firmware", "name": "oxy", "version": "1"},
            "files": {"file": b"firmware"},
            "headers": {**KEY, "Content-Type": f"multipart/form-data; boundary={boundary}"},
        }

    first = await admin.post("/artifacts", **form("a" * 32))
    second = await admin.post("/artifacts", **form("b" * 32))

    assert (first.status_code, second.json()) == (201, first.json())
    assert second.headers["idempotency-replayed"] == "true"


async def test_what_a_device_refused_is_told_again_and_not_asked_again(
    company: Company, admin: httpx.AsyncClient
) -> None:
    device = await company.registered()
    company.gateway.answers["execute", "/3/0/4"] = ("4.05", "not allowed")

    answers_ = [await admin.post(f"/devices/{device.id}/objects/3/0/4", headers=KEY) for _ in range(2)]

    assert [answer.status_code for answer in answers_] == [502, 502]
    assert answers_[1].headers["idempotency-replayed"] == "true"
    assert len(company.gateway.seen) == 1


# -- at the same time, and when the process dies --------------------------------------------------------------------


async def died(*_: object) -> None:
    """What a process that ended does about its answers."""


async def test_who_asks_while_it_is_worked_on_hears_when_to_come_back(
    company: Company, admin: httpx.AsyncClient
) -> None:
    device = await company.registered()
    path = f"/devices/{device.id}/objects/3/0/4"
    first = asyncio.create_task(admin.post(path, headers=KEY))
    async with asyncio.timeout(10):
        while True:  # until it was asked of the device, which does not answer yet
            if company.gateway.seen:
                break
            await asyncio.sleep(0.01)

    meanwhile = await admin.post(path, headers=KEY)
    company.gateway.answers["execute", "/3/0/4"] = {}
    await company.gateway.answer(company.gateway.seen[0])

    assert (meanwhile.status_code, meanwhile.json()["type"]) == (409, "in-progress")
    assert int(meanwhile.headers["Retry-After"]) > 0
    assert (await first).status_code == 200
    assert (await admin.post(path, headers=KEY)).headers["idempotency-replayed"] == "true"
    assert len(company.gateway.seen) == 1


async def test_of_many_at_once_one_is_done(admin: httpx.AsyncClient) -> None:
    tried = await asyncio.gather(*(admin.post("/farms", json={"name": "North"}, headers=KEY) for _ in range(10)))

    assert {answer.status_code for answer in tried} <= {201, 409}
    assert len({answer.json()["id"] for answer in tried if answer.status_code == 201}) == 1
    assert await farms(admin) == ["North"]


async def test_a_process_that_died_before_the_change_leaves_the_key_to_the_next_one(
    company: Company, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("database", "the process died")

    with monkeypatch.context() as crash:
        crash.setattr(answers, "release", died)
        crash.setattr(Inventory, "create_farm", away)
        await admin.post("/farms", json={"name": "North"}, headers=KEY)

    early = await admin.post("/farms", json={"name": "North"}, headers=KEY)
    company.clock.advance(WORKED_ON_MAX)
    late = await admin.post("/farms", json={"name": "North"}, headers=KEY)

    assert (early.status_code, late.status_code) == (409, 201)
    assert await farms(admin) == ["North"]


async def test_a_process_that_died_after_the_change_leaves_word_that_it_is_done(
    company: Company, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as crash:
        crash.setattr(answers, "keep", died)
        await admin.post("/farms", json={"name": "North"}, headers=KEY)

    company.clock.advance(WORKED_ON_MAX)
    again = await admin.post("/farms", json={"name": "North"}, headers=KEY)

    assert (again.status_code, again.json()["type"]) == (409, "answer-lost")
    assert await farms(admin) == ["North"]


async def test_a_failure_between_two_changes_of_one_transaction_keeps_neither_them_nor_the_mark(
    company: Company, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: object, **__: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as bug:
        bug.setattr(Credentials, "create", breaks)
        broken = await admin.post("/devices", json={"endpoint": "s-17"}, headers=KEY)
    again = await admin.post("/devices", json={"endpoint": "s-17"}, headers=KEY)

    assert (broken.status_code, again.status_code) == (500, 201)
    assert (await admin.get("/devices")).json()["total"] == 1


async def test_after_a_day_a_key_is_new(company: Company, admin: httpx.AsyncClient) -> None:
    await admin.post("/farms", json={"name": "North"}, headers=KEY)
    company.clock.advance(KEPT - timedelta(seconds=1))
    assert (await admin.post("/farms", json={"name": "South"}, headers=KEY)).status_code == 422

    company.clock.advance(timedelta(seconds=1))
    assert (await admin.post("/farms", json={"name": "South"}, headers=KEY)).status_code == 201


async def test_an_answer_that_is_too_long_is_known_to_be_given(
    company: Company, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.api.once.ANSWER_BYTES_MAX", 10)
    first = await admin.post("/farms", json={"name": "North"}, headers=KEY)
    second = await admin.post("/farms", json={"name": "North"}, headers=KEY)

    assert first.status_code == 201
    assert (second.status_code, second.json()["type"]) == (409, "answer-lost")
    async with company.installation.database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(kept_answers)) == 1
