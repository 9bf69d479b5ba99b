"""The security log is found by whatever is known of an entry, and ends."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from shoal.events.codec import AnyEvent
from shoal.events.device import SecurityEvent
from shoal.history.refusal import DEVICE_ENTRIES_MAX, STRANGERS_ENTRIES_MAX, Refusal
from shoal.history.refusal_store import (
    KEPT,
    Logged,
    RefusalFilter,
    entries,
    forget_old_refusals,
    write_entries,
    write_refusals,
)
from shoal.history.tables import refusals
from shoal.storage.database import Database
from tests.harness.databases import fresh_database
from tests.harness.findings import NOON, at
from tests.harness.voices import Voice


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    opened = await fresh_database()
    yield opened
    await opened.close()


async def write(database: Database, *events: AnyEvent) -> None:
    async with database.transaction() as tx:
        await write_refusals(tx, events)


async def found(database: Database, tenant: str = "ten-1", **wanted: object) -> list[Logged]:
    return await entries(database, tenant, RefusalFilter(**wanted), None, 200, with_strangers=True)  # type: ignore[arg-type]


def knock(number: int = 0, when: float = 0, address: str = "192.0.2.9:7") -> SecurityEvent:
    return SecurityEvent(
        id=f"s-{number}-{when}",
        time=at(when),
        reason="unknown_identity",
        identity=f"Who_{number}%",
        address=address,
    )


async def test_equal_ones_are_counted_from_batch_to_batch_and_a_replay_is_not(database: Database) -> None:
    await write(database, knock(), knock(when=1))
    await write(database, knock(when=2))
    await write(database, knock(when=1), knock(when=2))

    [entry] = await found(database)

    assert (entry.refusal.count, entry.refusal.first_at, entry.refusal.last_at) == (3, NOON, at(2))


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({}, 3),
        ({"q": "who_"}, 1),
        ({"q": "%"}, 1),
        ({"q": "192.0.2.9"}, 1),
        ({"q": "CAM-1"}, 2),
        ({"reason": "wrong_key"}, 1),
        ({"identity": "cam-1"}, 1),
        ({"identity": "cam"}, 0),
        ({"address": "192.0.2.9"}, 1),
        ({"device": "dev-1"}, 2),
        ({"since": at(15)}, 1),
        ({"until": at(5)}, 1),
    ],
)
async def test_it_is_searched_by_what_is_known(database: Database, wanted: dict[str, object], count: int) -> None:
    voice = Voice()
    await write(database, knock(), voice.intruded(at(10), reason="wrong_key"), voice.refused(at(20)))

    assert len(await found(database, **wanted)) == count


async def test_pages_follow_each_other_and_another_tenant_sees_nothing(database: Database) -> None:
    await write(database, *(knock(number, when=number) for number in range(5)), Voice().intruded(at(9)))

    first = await entries(database, "ten-1", RefusalFilter(), None, 4, with_strangers=True)
    place = (first[-1].refusal.last_at, first[-1].id)
    second = await entries(database, "ten-1", RefusalFilter(), place, 4, with_strangers=True)

    assert [one.refusal.last_at for one in (*first, *second)] == [at(9), at(4), at(3), at(2), at(1), NOON]
    assert await entries(database, "ten-2", RefusalFilter(), None, 9, with_strangers=False) == []
    assert len(await entries(database, "ten-1", RefusalFilter(), None, 9, with_strangers=False)) == 1


async def test_a_flood_of_names_and_addresses_stays_within_its_bounds_and_hides_no_device(database: Database) -> None:
    for batch in range(6):
        flood = (
            knock(number, when=number, address=f"203.0.{number % 200}.{batch}:9")
            for number in range(batch * 1_000, (batch + 1) * 1_000)
        )
        await write(database, *flood)
    await write(database, Voice().intruded(at(9_000)))

    kept = await size(database)
    [first, *_] = await found(database)

    assert kept <= STRANGERS_ENTRIES_MAX + 2
    assert first.refusal.device == "dev-1"
    counted = [one.refusal for one in await found(database) if one.refusal.is_rest]
    assert sum(entry.count for entry in counted) >= 6_000 - STRANGERS_ENTRIES_MAX


async def size(database: Database) -> int:
    async with database.reading() as connection:
        return int(await connection.scalar(select(func.count()).select_from(refusals)) or 0)


async def test_a_name_with_a_nul_in_it_is_kept_legibly(database: Database) -> None:
    await write(database, SecurityEvent(id="s", time=NOON, reason="unknown_identity", identity="a\x00b"))

    [entry] = await found(database)

    assert entry.refusal.identity == "a\N{REPLACEMENT CHARACTER}b"


async def test_after_a_quarter_an_entry_goes(database: Database) -> None:
    await write(database, knock(), knock(1, when=3_600))

    async with database.transaction() as tx:
        assert await forget_old_refusals(tx, NOON + KEPT + timedelta(minutes=1), rows_max=100) == 1

    assert [one.refusal.identity for one in await found(database)] == ["Who_1%"]


async def test_whoever_is_refused_has_a_budget_that_strangers_and_others_do_not_spend(database: Database) -> None:
    def asked(number: int, subject: str) -> Refusal:
        return Refusal(
            tenant="ten-1",
            device="",
            kind="denied",
            reason="no_policy_allows",
            operation="write",
            identity="Kari",
            subject=subject,
            place=f"dev-{number}",
            address="192.0.2.9",
            count=1,
            first_at=at(number),
            last_at=at(number),
        )

    for batch in (
        [asked(number, "usr-1") for number in range(40)],
        [asked(number, "usr-1") for number in range(40, 90)],
    ):
        async with database.transaction() as tx:
            await write_entries(tx, batch)
    async with database.transaction() as tx:
        await write_entries(tx, [asked(1, "usr-2")])

    kari = [one.refusal for one in await found(database, subject="usr-1")]
    [others] = [entry for entry in kari if entry.is_rest]

    assert len(kari) == DEVICE_ENTRIES_MAX + 1
    assert (others.subject, others.identity, others.place, others.count) == ("usr-1", "Kari", "", 40)
    assert [one.refusal.place for one in await found(database, subject="usr-2")] == ["dev-1"]
    assert await found(database, with_people=False) == []
    assert await found(database, tenant="ten-2") == []
