"""What screens ask about health, from a real database."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from shoal.clock import FakeClock
from shoal.events.severity import Severity
from shoal.health import store
from shoal.health.coverage import Coverage, Quantity
from shoal.health.judge import on_event, on_timer
from shoal.health.outage import PartitionHearing
from shoal.health.record import HealthRecord
from shoal.health.silence import Pause
from shoal.health.status import Status
from shoal.health.store import STALE_AFTER, Health, delayed_since, device_view, unheard
from shoal.storage.database import Database
from shoal.stream.beats import Beats
from tests.harness.databases import fresh_database
from tests.harness.voices import Voice

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
HEARING = PartitionHearing(heard_at=NOON, has_heartbeats=True)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def record(
    device: str = "dev-1",
    *,
    tenant: str = "ten-1",
    farm: str = "frm-1",
    enclosure: str = "enc-1",
    sleeps: bool = False,
    waited_s: float = 0,
) -> HealthRecord:
    """A camera that registered at noon and was then judged for a while."""
    voice = Voice(device, tenant=tenant, farm=farm, enclosure=enclosure, endpoint=f"cam-{device}")
    begun = on_event(None, voice.profiled(NOON, report_every_s=5, grace_s=15, awake_window_s=6)).record
    registered = on_event(begun, voice.registered(NOON, lifetime_s=30, queue_mode=sleeps)).record
    assert registered is not None
    judged = on_timer(registered, at(waited_s)).record
    assert judged is not None
    return judged


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    opened = await fresh_database()
    yield opened
    await opened.close()


@pytest.fixture
def health(database: Database) -> Health:
    return Health(database, FakeClock(NOON))


async def keep(database: Database, *records: HealthRecord, partition: int = 0) -> None:
    async with database.transaction() as tx:
        await store.save(tx, [(one, partition) for one in records])


async def test_a_record_comes_back_as_it_was_and_is_replaced_not_doubled(database: Database) -> None:
    await keep(database, record())
    late = record(waited_s=20)
    await keep(database, late, partition=3)

    async with database.transaction() as tx:
        assert await store.load(tx, ["dev-1", "dev-2"]) == {"dev-1": (late, 3)}
        await store.forget(tx, ["dev-1"])
        assert await store.load(tx, ["dev-1"]) == {}


async def test_timers_fire_for_their_partition_when_the_watermark_has_come_to_them(database: Database) -> None:
    await keep(database, record("dev-1"), record("dev-2", waited_s=20), partition=0)
    await keep(database, record("dev-3"), partition=1)

    async with database.transaction() as tx:
        assert await store.due(tx, 0, at(14.999)) == []
        assert [one.device for one in await store.due(tx, 0, at(15))] == ["dev-1"]
        assert [one.device for one in await store.due(tx, 0, at(100))] == ["dev-1", "dev-2"]


async def test_hearings_are_kept_by_partition(database: Database) -> None:
    paused = msgspec.structs.replace(HEARING, pauses=(Pause(at(-60), NOON),))
    async with database.transaction() as tx:
        await store.save_hearing(tx, 1, HEARING)
        await store.save_hearing(tx, 1, paused)
        found = await store.load_hearings(tx, {0, 1})

    assert found == {0: PartitionHearing(), 1: paused}


async def test_a_tenant_sees_its_own_devices_only(database: Database, health: Health) -> None:
    await keep(database, record("dev-1"), record("dev-2", tenant="ten-2"))

    assert set(await health.of("ten-1", ["dev-1", "dev-2", "dev-3"])) == {"dev-1"}
    assert (await health.summary("ten-2")).counts[Status.HEALTHY] == 1
    assert await health.coverage("ten-3") == []


async def test_a_summary_counts_the_fleet_and_every_place(database: Database, health: Health) -> None:
    await keep(
        database,
        record("dev-1"),
        record("dev-2", waited_s=20),
        record("dev-3", enclosure="enc-2", waited_s=60),
        record("dev-4", farm="frm-2", enclosure="enc-9"),
    )

    fleet, farm = await health.summary("ten-1"), await health.summary("ten-1", farm="frm-1")

    assert {word: count for word, count in fleet.counts.items() if count} == {
        Status.HEALTHY: 2,
        Status.DEGRADED: 1,
        Status.SILENT: 1,
    }
    assert [(place.enclosure, place.counts[Status.SILENT]) for place in farm.places] == [("enc-1", 0), ("enc-2", 1)]
    assert sum(farm.counts.values()) == 3


async def test_coverage_counts_who_is_heard(database: Database, health: Health) -> None:
    await keep(database, record("dev-1"), record("dev-2", waited_s=20), record("dev-3", enclosure="enc-2", waited_s=60))

    assert await health.coverage("ten-1") == [
        Coverage("enc-1", Quantity.VIDEO, 1, 2),
        Coverage("enc-2", Quantity.VIDEO, 0, 1),
    ]
    assert await health.coverage("ten-1", enclosure="enc-2") == [Coverage("enc-2", Quantity.VIDEO, 0, 1)]


async def test_the_fleet_is_delayed_since_the_oldest_partition_that_is_not_heard(
    database: Database, health: Health
) -> None:
    async with database.transaction() as tx:
        await store.save_hearing(tx, 0, HEARING)
    assert await health.delayed_since() is None

    deaf = msgspec.structs.replace(HEARING, heard_at=NOON - STALE_AFTER - timedelta(seconds=1))
    async with database.transaction() as tx:
        await store.save_hearing(tx, 1, deaf)

    assert await health.delayed_since() == deaf.heard_at
    assert (await health.summary("ten-1")).delayed_since == deaf.heard_at


def test_a_partition_without_heartbeats_is_never_delayed() -> None:
    later = NOON + timedelta(days=1)

    assert delayed_since([PartitionHearing(heard_at=NOON), PartitionHearing()], later) is None
    assert delayed_since([PartitionHearing(heard_at=NOON), HEARING], later) == NOON


def test_of_several_gateways_it_is_told_whom_we_wait_for() -> None:
    beats = Beats(of=(0, 1, 2), at=at(300), said={0: at(300), 1: NOON})
    one_away = msgspec.structs.replace(HEARING, beats=beats)
    only_one = msgspec.structs.replace(HEARING, heard_at=at(300), beats=Beats(of=(4,), at=at(300), said={4: at(300)}))

    assert unheard([one_away, only_one], at(301)) == [1, 2]
    assert delayed_since([one_away, only_one], at(301)) == NOON
    assert device_view(record(), one_away, at(301)).is_stale
    # Where nobody is heard any more, it is all of them, in whatever partition.
    assert unheard([one_away, only_one], at(400)) == [0, 1, 2, 4]
    assert unheard([one_away, only_one], NOON + STALE_AFTER) == []


def test_a_well_device_needs_no_verdict() -> None:
    view = device_view(record(), HEARING, at(3))

    assert (view.status, view.verdict, view.severity, view.conditions) == (Status.HEALTHY, None, None, [])
    assert (view.is_asleep, view.is_late, view.is_stale) == (False, False, False)
    assert (view.expected_by, view.silent_at) == (at(5), at(45))


def test_a_silent_device_shows_its_gravest_condition_and_a_verdict_of_now() -> None:
    view = device_view(record(waited_s=60), HEARING, at(60))

    assert (view.status, view.severity) == (Status.SILENT, Severity.HIGH)
    assert [one.condition for one in view.conditions] == ["silent"]
    assert view.verdict is not None
    assert "our outage" in view.verdict.ruled_out


@pytest.mark.parametrize(
    ("now", "is_asleep", "cause"), [(3, False, None), (7, True, "missed_wake_up"), (4.9, False, None)]
)
def test_a_sleeper_is_asleep_once_its_window_is_over(now: float, is_asleep: bool, cause: str | None) -> None:
    view = device_view(record(sleeps=True), HEARING, at(now))

    assert view.is_asleep == is_asleep
    assert (view.verdict.cause if view.verdict else None) == cause
    assert view.awake_until == at(6)


def test_a_silent_sleeper_is_not_called_asleep() -> None:
    assert not device_view(record(sleeps=True, waited_s=60), HEARING, at(60)).is_asleep


def test_while_we_are_deaf_a_device_is_shown_as_of_then() -> None:
    later = NOON + timedelta(hours=1)
    view = device_view(record(sleeps=True), HEARING, later)

    assert (view.status, view.is_stale, view.is_asleep, view.verdict) == (Status.HEALTHY, True, False, None)
