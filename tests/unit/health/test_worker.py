"""The worker of health: over a real log and a real database, judged by what the log has heard."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from shoal import metrics
from shoal.clock import FakeClock
from shoal.events.campaign import UpdateChanged
from shoal.events.codec import AnyEvent, decode, encode
from shoal.events.condition import ConditionClosed, ConditionOpened
from shoal.events.device import AnyDeviceEvent, Heartbeat, SecurityEvent
from shoal.events.envelope import Event
from shoal.events.topics import CAMPAIGN, CONDITION, DEVICE, Topic
from shoal.health import store
from shoal.health.record import HealthRecord
from shoal.health.status import Status
from shoal.health.worker import HealthHandler
from shoal.storage import directory
from shoal.storage.database import Database, Transaction
from shoal.storage.directory import DirectoryEntry, credentials, psk_mark
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.log import Entry, PageIn, partition_of
from shoal.stream.relay import Relay
from shoal.stream.worker import Batch, Worker
from tests.harness.databases import fresh_database
from tests.harness.voices import Voice

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
PARTITIONS = 2


class World:
    """The topics of two partitions, and the health worker over them."""

    def __init__(self, log: EmbeddedLog, database: Database, clock: FakeClock) -> None:
        self.log = log
        self.database = database
        self.clock = clock
        self.restart()

    def restart(self) -> None:
        self.worker = Worker(self.log, self.database, HealthHandler(self.clock), self.clock)

    async def hear(self, *events: AnyDeviceEvent | UpdateChanged, topic: Topic = DEVICE) -> None:
        for event in events:
            await self.log.append(topic, [Entry(event.key, encode(event))])
        await self.worker.drain()

    async def beat(self, nodes: Sequence[int] = (0,), of: Sequence[int] = (0,)) -> None:
        """A heartbeat in every partition, by a gateway that speaks for some numbers."""
        now = self.clock.now()
        for partition in range(PARTITIONS):
            event = Heartbeat(id=f"hb-{now}", time=now, partition=partition, nodes=list(nodes), of=list(of))
            self.log.append_pages(DEVICE, [PageIn(partition, 1, encode(event) + b"\n")])
        await self.worker.drain()

    async def live(self, seconds: float, *gateways: Sequence[int], of: Sequence[int] | None = None) -> None:
        """So many seconds in which gateways beat, each for its numbers, and nobody else is heard."""
        alive = gateways or ((0,),)
        for _ in range(int(seconds / 5)):
            self.clock.advance(timedelta(seconds=5))
            for nodes in alive:
                await self.beat(nodes, sorted({node for each in alive for node in each}) if of is None else of)

    async def record(self, device: str = "dev-1") -> HealthRecord:
        async with self.database.transaction() as tx:
            return (await store.load(tx, [device]))[device][0]

    async def told(self) -> list[AnyEvent]:
        await Relay(self.database, self.log).carry()
        parts = [await self.log.read(CONDITION, n, 0, limit=100, wait=timedelta()) for n in range(PARTITIONS)]
        return [decode(CONDITION, record.value) for part in parts for record in part.records]

    async def conditions(self) -> list[str]:
        kinds: dict[type[Event], str] = {ConditionOpened: "opened", ConditionClosed: "closed"}
        return [
            f"{kinds[type(event)]} {event.condition}"
            for event in await self.told()
            if isinstance(event, ConditionOpened | ConditionClosed)
        ]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = FakeClock(NOON)
    log = EmbeddedLog(tmp_path, partitions=PARTITIONS, clock=clock)
    await log.start()
    database = await fresh_database()
    yield World(log, database, clock)
    await database.close()
    await log.close()


async def begin(world: World, device: str = "dev-1") -> Voice:
    await world.beat()
    return await begin_at(world, device)


async def begin_at(world: World, device: str) -> Voice:
    """A device that was created and registered now, of whichever gateway."""
    voice = Voice(device)
    now = world.clock.now()
    await world.hear(voice.profiled(now, report_every_s=5, grace_s=15), voice.registered(now, lifetime_s=30))
    return voice


async def test_a_device_that_is_not_heard_is_late_then_silent_by_its_timers_alone(world: World) -> None:
    await begin(world)

    await world.live(60)

    assert await world.conditions() == ["opened late", "opened silent", "closed late"]
    assert (await world.record()).status is Status.SILENT


async def test_without_heartbeats_nobody_is_late_however_long_the_clock_runs(world: World) -> None:
    await begin(world)

    world.clock.advance(timedelta(hours=3))
    await world.worker.drain()

    assert await world.conditions() == []
    assert (await world.record()).judged_at < NOON + timedelta(seconds=15)


async def test_what_the_inventory_writes_does_not_stand_for_the_gateway(world: World) -> None:
    voice = await begin(world)

    world.clock.advance(timedelta(hours=3))
    await world.hear(voice.profiled(world.clock.now(), report_every_s=5, grace_s=15))

    assert await world.conditions() == []


async def test_an_outage_is_remembered_over_a_restart_of_the_worker(world: World) -> None:
    await begin(world)
    await world.live(10)

    world.clock.advance(timedelta(minutes=10))
    world.restart()
    await world.live(15)

    assert await world.conditions() == []
    await world.live(60)
    assert (await world.record()).status is Status.SILENT


async def test_an_outage_is_not_made_of_heartbeats_that_were_not_worth_a_write(world: World) -> None:
    await begin(world)

    await world.live(300)

    async with world.database.transaction() as tx:
        hearings = await store.load_hearings(tx, {0, 1})
    assert [hearing.pauses for hearing in hearings.values()] == [(), ()]


async def test_an_update_from_another_topic_is_judged_by_the_outages_of_the_devices_partition(world: World) -> None:
    await begin(world)
    await world.live(10)
    world.clock.advance(timedelta(minutes=10))
    await world.live(5)

    update = UpdateChanged(
        id="upd-1-done",
        time=world.clock.now(),
        update="upd-1",
        tenant="ten-1",
        farm="frm-1",
        device="dev-1",
        artifact="art-1",
        name="firmware",
        version="2.0",
        state="confirmed",
        was="installing",
    )
    await world.hear(update, topic=CAMPAIGN)

    assert await world.conditions() == []
    assert (await world.record()).update is not None


async def test_an_update_of_a_device_that_nobody_knows_is_passed_over(world: World) -> None:
    update = UpdateChanged(
        id="upd-1",
        time=NOON,
        update="upd-1",
        tenant="ten-1",
        farm=None,
        device="dev-9",
        artifact="art-1",
        name="firmware",
        version="2.0",
        state="failed",
        was=None,
    )

    await world.hear(update, topic=CAMPAIGN)

    assert await world.told() == []


async def test_a_refused_handshake_is_held_against_the_owner_of_the_identity(world: World) -> None:
    await begin(world)
    async with world.database.transaction() as tx:
        entry = DirectoryEntry(
            device_id="dev-1",
            tenant_id="ten-1",
            farm_id="frm-1",
            enclosure_id="enc-1",
            endpoint="cam-1",
            kind="camera",
            security="psk",
        )
        await directory.put(tx, entry)
        await tx.execute(
            insert(credentials).values(
                id="crd-1",
                device_id="dev-1",
                tenant_id="ten-1",
                mode="psk",
                identity="psk-1",
                state="current",
                mark=psk_mark("psk-1"),
                created_at=world.clock.now(),
                ends_when_seen=False,
            )
        )
    await world.live(60)
    # It comes on another partition than that of the device: nobody knew whose it is.
    other = next(
        name for name in map(str, range(99)) if partition_of(name, PARTITIONS) != partition_of("dev-1", PARTITIONS)
    )

    await world.hear(
        SecurityEvent(id="s-1", time=world.clock.now(), endpoint=other, identity="psk-1", reason="bad_key"),
        SecurityEvent(id="s-2", time=world.clock.now(), endpoint=other, identity="psk-9", reason="bad_key"),
    )

    assert (await world.record()).cause == "handshake_refused"
    async with world.database.transaction() as tx:
        [(_, partition)] = (await store.load(tx, ["dev-1"])).values()
    assert partition == partition_of("dev-1", PARTITIONS)


async def test_a_removed_device_is_forgotten_and_what_was_open_is_closed(world: World) -> None:
    voice = await begin(world)
    await world.live(60)

    await world.hear(voice.removed(world.clock.now()))
    await world.live(60)

    assert (await world.conditions())[-1] == "closed silent"
    async with world.database.transaction() as tx:
        assert await store.load(tx, ["dev-1"]) == {}


async def test_all_timers_that_are_due_fire_in_one_drain(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "TIMERS_PER_PASS_MAX", 2)
    for number in range(7):
        await begin(world, f"dev-{number}")

    await world.live(60)

    assert (await world.conditions()).count("opened silent") == 7


async def test_replayed_records_tell_nothing_again(world: World) -> None:
    voice = await begin(world)
    report = voice.reported(world.clock.now(), {"/3/0/11/0": 8}, path="/3/0/11")
    await world.hear(report)
    before = await world.told()

    await world.hear(report, report)

    assert await world.told() == before
    assert len(before) > 0


def timed(cause: str) -> tuple[float, float]:
    """How many conditions were told, and how long that took in all."""
    name, labels = "shoal_health_condition_seconds", {"cause": cause}
    count = metrics.REGISTRY.get_sample_value(f"{name}_count", labels) or 0.0
    return count, metrics.REGISTRY.get_sample_value(f"{name}_sum", labels) or 0.0


async def test_it_is_timed_how_long_a_condition_took_to_be_kept(world: World) -> None:
    voice = await begin(world)
    count, seconds = timed("datagram")
    at = world.clock.now()
    for number in range(3):
        event = voice.reported(at + timedelta(milliseconds=number), {"/3/0/9": 20.0})
        await world.log.append(DEVICE, [Entry(event.key, encode(event))])

    # Nobody worked for a while.
    world.clock.advance(timedelta(seconds=7))
    await world.beat()

    assert "opened battery_low" in await world.conditions()
    told, took = timed("datagram")
    assert told == count + 1
    assert took - seconds == pytest.approx(7, abs=0.1)


async def test_it_is_timed_how_late_a_timer_was(world: World) -> None:
    await begin(world)
    count, seconds = timed("timer")

    await world.live(60)

    told, took = timed("timer")
    # Late, then silent, by a gateway that beats every 5 s.
    assert told - count >= 2
    assert 0 <= (took - seconds) / (told - count) <= 5


# -- several gateways -------------------------------------------------------------------------------------------------

BOTH = (0, 1)


async def test_while_one_gateway_is_away_nobody_is_silent_and_afterwards_everybody_gets_the_time(world: World) -> None:
    await world.beat([0], BOTH)
    await world.beat([1], BOTH)
    await begin_at(world, "dev-1")
    await world.live(10, [0], [1])

    # The second gateway dies, and with it the way of its devices. The first is full of life.
    await world.live(120, [0], of=BOTH)
    assert await world.conditions() == []

    # The first takes its number over. To find there, the device has its grace of 15 s, and what was left of its time.
    await world.live(20, [0, 1])
    assert await world.conditions() == []
    await world.live(60, [0, 1])
    assert await world.conditions() == ["opened late", "opened silent", "closed late"]


async def test_a_device_that_finds_to_the_gateway_that_took_over_is_well_all_the_time(world: World) -> None:
    await world.beat([0], BOTH)
    await world.beat([1], BOTH)
    voice = await begin_at(world, "dev-1")
    await world.live(10, [0], [1])
    await world.live(120, [0], of=BOTH)

    # It is there before its old gateway's number is spoken for again.
    await world.hear(voice.registered(world.clock.now(), lifetime_s=30, is_again=True))
    await world.live(10, [0, 1])

    assert await world.conditions() == []
    assert (await world.record()).status is Status.HEALTHY


@pytest.mark.parametrize("restart_s", [5, 30])
async def test_a_restart_of_the_worker_forgets_nothing_of_who_is_away(world: World, restart_s: int) -> None:
    await world.beat([0], BOTH)
    await world.beat([1], BOTH)
    await begin_at(world, "dev-1")
    await world.live(10, [0], [1])
    await world.live(restart_s, [0], of=BOTH)

    world.restart()
    # Another device of the living gateway, in the same partition, is the first that the new worker hears of.
    partition = partition_of("dev-1", PARTITIONS)
    other = next(name for name in map(str, range(99)) if partition_of(name, PARTITIONS) == partition)
    await world.hear(Voice(other).registered(world.clock.now(), lifetime_s=86_400))
    await world.live(120, [0], of=BOTH)
    assert await world.conditions() == []

    world.restart()
    await world.live(20, [0], [1])
    assert await world.conditions() == []
    await world.live(60, [0], [1])
    assert (await world.record()).status is Status.SILENT


async def test_a_worker_that_was_away_while_one_gateway_was_judges_by_what_is_in_the_log(world: World) -> None:
    await world.beat([0], BOTH)
    await world.beat([1], BOTH)
    await begin_at(world, "dev-1")
    await world.live(10, [0], [1])

    worker = world.worker
    world.worker = Worker(world.log, world.database, Deaf(), world.clock)
    await world.live(120, [0], of=BOTH)
    await world.live(20, [0, 1])
    world.worker = worker
    await worker.drain()

    assert await world.conditions() == []
    await world.live(60, [0, 1])
    assert (await world.record()).status is Status.SILENT


async def test_a_gateway_that_never_came_holds_everything_back_until_it_retires(world: World) -> None:
    await begin_at(world, "dev-1")
    await world.live(120, [0], of=(0, 7))
    assert await world.conditions() == []

    await world.live(20, [0], of=(0,))
    assert await world.conditions() == []
    await world.live(60, [0], of=(0,))
    assert (await world.record()).status is Status.SILENT


class Deaf:
    """A worker of another group: it takes nothing from the health worker."""

    group = "deaf"
    topics: Sequence[Topic] = (DEVICE,)
    timed: Sequence[Topic] = ()

    async def handle(self, tx: Transaction, batch: Batch) -> None:
        """Nothing is its business."""
