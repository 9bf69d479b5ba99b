"""What people and programs asked for and did not get stands in the security log, with who, whence, where and why."""

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from shoal.access.policy import Role
from shoal.api import refused
from shoal.api.refused import write_now_and_then, write_refused
from shoal.errors import Unavailable
from shoal.history.refusal import DEVICE_ENTRIES_MAX
from shoal.history.tables import refusals
from shoal.identity.login import Tried, Unauthenticated
from tests.harness.findings import NOON
from tests.unit.api.company import PASSWORD, Company

Event = dict[str, Any]


async def told(company: Company, admin: httpx.AsyncClient, **query: str) -> list[Event]:
    await write_refused(company.rooms)
    await company.installation.settle()
    events: list[Event] = (await admin.get("/security-events", params=query)).json()["items"]
    return events


def _reason(event: Event) -> str:
    return str(event["reason"])


async def person(company: Company, role: Role, name: str = "Kari", places: tuple[str, ...] = ()) -> httpx.AsyncClient:
    """Somebody who logged in."""
    email = f"{name.lower()}@nordvik.example"
    await company.installation.identity.create_user(
        company.tenant, email=email, name=name, role=role, password=PASSWORD, places=places
    )
    said = await company.bearing(None).post("/sessions", json={"email": email, "password": PASSWORD})
    return company.bearing(said.json()["token"])


async def test_what_a_viewer_may_not_is_told_with_who_where_whence_and_why(
    company: Company, admin: httpx.AsyncClient
) -> None:
    kari = await person(company, Role.VIEWER)
    assert (await kari.post("/farms", json={"name": "Lyngholmen"})).status_code == 403
    assert (await kari.post("/farms", json={"name": "Lyngholmen"})).status_code == 403

    [event] = await told(company, admin)
    why = (
        await admin.post("/policies:explain", json={"subject": event["subject"], "operation": event["operation"]})
    ).json()

    assert (event["kind"], event["reason"], event["operation"]) == ("denied", "no_policy_allows", "administer")
    assert event["subject"].startswith("usr-")
    assert (event["identity"], event["address"], event["count"]) == ("Kari", "127.0.0.1", 2)
    assert (event["place"], event["policy"]) == (company.tenant, None)
    assert event["says"] == "Refused Kari to administer: no policy allows, 2 times"
    assert event["detail"] == f"{why['says']} Asked as viewer."


async def test_a_policy_that_denies_is_named_in_the_words_of_why_may_not(
    company: Company, admin: httpx.AsyncClient
) -> None:
    device = await company.registered()
    denies = {"effect": "deny", "who": {"kind": "role", "id": "technician"}, "operations": ["write"]}
    made = (await admin.post("/policies", json=denies | {"place": company.farm, "paths": ["/3/*"]})).json()
    ola = await person(company, Role.TECHNICIAN, "Ola")
    assert (await ola.put(f"/devices/{device.id}/objects/3/0/15", json={"value": "x"})).status_code == 403

    [event] = await told(company, admin)

    assert (event["reason"], event["policy"], event["place"]) == ("policy_denies", made["id"], device.id)
    assert event["place_name"] == device.name
    assert event["detail"] == ("No: Technicians may not write /3/* at Storholmen. Asked as technician, of /3/0/15.")


async def test_a_place_that_somebody_may_not_know_of_is_told_and_another_tenants_is_not(
    company: Company, admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    elsewhere = await company.installation.create_farm(company.tenant, "Lyngholmen")
    device = await company.registered()
    kari = await person(company, Role.OPERATOR, places=(elsewhere,))
    assert (await kari.get(f"/devices/{device.id}")).status_code == 404
    assert (await stranger.get(f"/devices/{device.id}")).status_code == 404

    [event] = await told(company, admin)

    assert (event["identity"], event["operation"], event["place"]) == ("Kari", "read", device.id)
    assert event["detail"].endswith("It was answered that there is no such thing.")
    assert await told(company, stranger) == []


async def test_a_token_is_named_by_its_id_and_a_rule_that_is_no_policy_by_its_words(
    company: Company, admin: httpx.AsyncClient
) -> None:
    said = await admin.post("/tokens", json={"name": "feeder", "role": "viewer"})
    secret, id_ = said.json()["token"], said.json()["id"]
    service = company.bearing(secret)
    await service.get("/audit")
    await admin.post("/tokens", json={"name": "mine", "role": "viewer", "personal": True})

    by_rule, by_none = sorted(await told(company, admin), key=_reason)

    assert (by_none["subject"], by_none["identity"]) == (id_, "feeder")
    assert (by_rule["reason"], by_rule["operation"]) == ("forbidden", "")
    assert by_rule["detail"] == "personal: a service has no tokens of its own"
    assert [event["subject"] for event in await told(company, admin, subject=id_)] == [id_]
    assert [event["subject"] for event in await told(company, admin, q="FEED")] == [id_]
    assert secret not in str([by_rule, by_none])


async def test_a_token_that_ended_is_told_as_whose_it_was(company: Company, admin: httpx.AsyncClient) -> None:
    said = (await admin.post("/tokens", json={"name": "feeder", "role": "viewer"})).json()
    await admin.delete(f"/tokens/{said['id']}")
    for _ in range(3):
        assert (await company.bearing(said["token"]).get("/devices")).status_code == 401

    [event] = await told(company, admin)

    assert (event["kind"], event["reason"], event["subject"]) == ("security", "token_revoked", said["id"])
    assert event["says"] == "Not let in: token revoked 'feeder', 3 times"


async def test_tokens_that_are_none_are_told_by_where_they_came_from_and_never_shown(
    company: Company, admin: httpx.AsyncClient
) -> None:
    assert await told(company, admin) == []
    for number in range(25):
        await company.bearing(f"shoal_{number:043}").get("/devices")
    await company.bearing(None).get("/devices")

    events = {event["reason"]: event for event in await told(company, admin)}

    assert {reason: event["count"] for reason, event in events.items()} == {
        "token_unknown": 20,
        "token_throttled": 5,
        "token_missing": 1,
    }
    assert {(event["subject"], event["identity"], event["address"]) for event in events.values()} == {
        (None, "", "127.0.0.1")
    }


async def test_failed_logins_are_told_by_the_name_that_was_tried_to_whose_login_it_is(
    company: Company, admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await person(company, Role.VIEWER, "Ida")
    nobody = company.bearing(None)
    for _ in range(7):
        await nobody.post("/sessions", json={"email": "ida@nordvik.example", "password": "wrong"})
    await nobody.post("/sessions", json={"email": "not an address", "password": "wrong"})
    await nobody.post("/sessions", json={"email": "x" * 200 + "@nordvik.example", "password": "wrong"})

    events = await told(company, admin)

    assert [(event["reason"], event["identity"], event["count"]) for event in sorted(events, key=_reason)] == [
        ("login_throttled", "ida@nordvik.example", 2),
        ("too many wrong passwords", "ida@nordvik.example", 1),
        ("wrong_password", "ida@nordvik.example", 5),
    ]
    # Where there are several tenants, a login that nobody has is told to none of them.
    assert await told(company, stranger) == []


def test_a_name_that_was_tried_is_cut_and_has_nothing_in_it_that_nobody_can_see() -> None:
    error = Unauthenticated("login", "wrong email address or password", tried=Tried(login="x\0" * 500, tenant=None))

    entry = refused.refused(error, None, "192.0.2.7:41000", NOON)

    assert entry is not None
    assert (len(entry.identity), entry.identity[:2], entry.address) == (128, "x\N{REPLACEMENT CHARACTER}", "192.0.2.7")


async def test_what_is_only_asked_about_is_refused_to_nobody(company: Company, admin: httpx.AsyncClient) -> None:
    kari = await person(company, Role.VIEWER)
    device = await company.registered()
    assert (await kari.get("/me")).is_success
    asked = {"operation": "write", "place": device.id, "path": "/3/0/15"}
    assert (await kari.post("/policies:explain", json=asked)).json()["decision"] == "denied"
    assert (await kari.get(f"/devices/{device.id}")).is_success
    assert (await kari.get("/devices/dev-00000000")).status_code == 404

    assert await told(company, admin) == []


async def test_whoever_does_not_administer_sees_nothing_of_people(company: Company, viewer: httpx.AsyncClient) -> None:
    assert (await viewer.get("/audit")).status_code == 403

    assert await told(company, viewer) == []


async def test_a_flood_of_forbidden_things_is_a_few_rows_that_count_all(
    company: Company, admin: httpx.AsyncClient
) -> None:
    kari = await person(company, Role.VIEWER)
    devices = [await company.device(f"oxy-{number:04}") for number in range(DEVICE_ENTRIES_MAX + 10)]
    for _ in range(3):
        for device in devices:
            assert (await kari.delete(f"/devices/{device.id}")).status_code == 403
        await write_refused(company.rooms)
        company.clock.advance(timedelta(seconds=1))

    async with company.installation.database.reading() as connection:
        row = (await connection.execute(select(func.count(), func.sum(refusals.c["count"])))).one()

    assert tuple(row) == (DEVICE_ENTRIES_MAX + 1, 3 * len(devices))
    [others] = [event for event in await told(company, admin) if event["is_rest"]]
    assert others["identity"] == "Kari"
    assert others["count"] == 30


async def test_what_cannot_be_written_waits(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: object, __: object) -> None:
        raise Unavailable("database", "gone")

    await viewer.get("/audit")
    with monkeypatch.context() as patched:
        patched.setattr(type(company.rooms.history), "write_refused", away)
        with pytest.raises(Unavailable):
            await write_refused(company.rooms)

    assert [event["count"] for event in await told(company, admin)] == [1]


async def test_it_is_written_now_and_then(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused, "WRITE_EVERY", timedelta())
    await viewer.get("/audit")
    running = asyncio.create_task(write_now_and_then(company.rooms))
    events: list[Event] = []
    async with asyncio.timeout(10):
        while not events:
            events = (await admin.get("/security-events")).json()["items"]
    running.cancel()

    assert [event["count"] for event in events] == [1]


async def test_it_is_written_once_more_at_the_end(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    await viewer.get("/audit")
    running = asyncio.create_task(write_now_and_then(company.rooms))
    await asyncio.sleep(0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running

    assert [event["count"] for event in (await admin.get("/security-events")).json()["items"]] == [1]
