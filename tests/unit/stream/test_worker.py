"""A worker keeps all of a batch or nothing, buries what cannot be handled, and knows what time it is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, Table, Text, select

from shoal import metrics
from shoal.clock import FakeClock
from shoal.errors import Conflict, Unavailable
from shoal.events.codec import decode, encode
from shoal.events.dead import RecordBuried
from shoal.events.device import CommandChanged, DeviceRemoved, Heartbeat, ReadingsReported
from shoal.events.envelope import Event
from shoal.events.topics import CONDITION, DEAD, DEVICE, Topic
from shoal.storage import offsets
from shoal.storage.database import Database, Transaction, metadata, upsert
from shoal.stream import worker as worker_module
from shoal.stream.beats import NOT_KNOWN_YET, Beats
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.log import Entry, OffsetOutOfRange, Record, Slice
from shoal.stream.relay import Relay
from shoal.stream.worker import UNKEPT_RECORDS_MAX, Batch, Lane, Stuck, Worker, _Item, _watermark
from tests.harness.databases import fresh_database

counts = Table("test_counts", metadata, Column("id", Text, primary_key=True), Column("times", Integer, nullable=False))


class Counter:
    """Counts how often it saw each event; goes wrong as it is told."""

    group = "counter"

    def __init__(self, topics: Sequence[Topic] = (DEVICE,)) -> None:
        self.topics = topics
        self.timed = topics
        self.batches: list[Batch] = []
        self.poison: set[str] = set()
        self.before: Callable[[Batch], None] = lambda _batch: None
        self.after: Callable[[Batch], None] = lambda _batch: None
        self.on_kept: Callable[[int], None] | None = None

    async def handle(self, tx: Transaction, batch: Batch) -> None:
        self.before(batch)
        self.batches.append(batch)
        for _, event in batch.events:
            if isinstance(event, Heartbeat):
                continue
            if event.id in self.poison:
                raise ZeroDivisionError(event.id)
            times = await tx.scalar(select(counts.c.times).where(counts.c.id == event.id)) or 0
            await upsert(tx, counts, [{"id": event.id, "times": times + 1}], ["id"])
        if self.on_kept is not None and batch.events:
            tx.after_commit(partial(self.on_kept, len(batch.events)))
        self.after(batch)


class World:
    """A log with one partition, a database, and the time."""

    def __init__(self, log: EmbeddedLog, database: Database, clock: FakeClock) -> None:
        self.log = log
        self.database = database
        self.clock = clock

    async def append(self, *events: Event | bytes, topic: Topic = DEVICE) -> None:
        for event in events:
            value = event if isinstance(event, bytes) else encode(event)
            await self.log.append(topic, [Entry("dev-1", value)])

    def removed(self, name: str) -> DeviceRemoved:
        return DeviceRemoved(id=name, time=self.clock.now(), device="dev-1", tenant="ten-1")

    def reading(self, name: str) -> ReadingsReported:
        return ReadingsReported(id=name, time=self.clock.now(), device="dev-1", via="send", readings=[])

    def heartbeat(self, nodes: Sequence[int] = (0,), of: Sequence[int] = (0,)) -> Heartbeat:
        now = self.clock.now()
        return Heartbeat(id=f"hb-{now}", time=now, partition=0, nodes=list(nodes), of=list(of))

    def worker(self, handler: Counter) -> Worker:
        return Worker(self.log, self.database, handler, self.clock)

    async def counts(self) -> dict[str, int]:
        async with self.database.reading() as connection:
            return {row.id: row.times for row in await connection.execute(select(counts))}

    async def offset(self, topic: Topic = DEVICE) -> int:
        return (await offsets.position(self.database, "counter", topic.name, 0, 0)).next_offset

    async def dead(self) -> list[RecordBuried]:
        await Relay(self.database, self.log).carry()
        part = await self.log.read(DEAD, 0, 0, limit=100, wait=timedelta())
        events = [decode(DEAD, record.value) for record in part.records]
        return [event for event in events if isinstance(event, RecordBuried)]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = FakeClock(datetime(2026, 11, 1, 6, 0, tzinfo=UTC))
    log = EmbeddedLog(tmp_path, partitions=1, clock=clock)
    await log.start()
    database = await fresh_database()
    yield World(log, database, clock)
    await database.close()
    await log.close()


async def test_every_event_is_handled_once_and_in_order(world: World) -> None:
    await world.append(*(world.removed(str(n)) for n in range(5)))
    handler = Counter()

    await world.worker(handler).drain()
    await world.append(world.removed("5"))
    await world.worker(Counter()).drain()

    assert await world.counts() == {str(n): 1 for n in range(6)}
    assert [event.id for _, event in handler.batches[0].events] == ["0", "1", "2", "3", "4"]
    assert await world.offset() == 6


async def test_of_two_workers_on_one_partition_one_wins(world: World) -> None:
    await world.append(world.removed("a"))
    first, second = world.worker(Counter()), world.worker(Counter())
    # Both have taken the partition up and hold the same batch; then one is faster.
    for each in (first, second):
        await each._take_up(each.lanes[0])
    assert await first.step(first.lanes[0], wait=timedelta())

    assert not await second.step(second.lanes[0], wait=timedelta())

    assert await world.counts() == {"a": 1}
    # The loser looks again, and goes on from where the winner is.
    await world.append(world.removed("b"))
    await second.drain()
    assert not await first.step(first.lanes[0], wait=timedelta())
    assert await world.counts() == {"a": 1, "b": 1}


async def test_two_workers_at_full_speed_count_nothing_twice(world: World) -> None:
    total = 0
    all_kept = asyncio.Event()

    def kept(count: int) -> None:
        nonlocal total
        total += count
        if total >= 200:
            all_kept.set()

    handlers = [Counter(), Counter()]
    for handler in handlers:
        handler.on_kept = kept
    workers = [world.worker(handler) for handler in handlers]
    running = [asyncio.create_task(each.run()) for each in workers]
    names = [str(n) for n in range(200)]
    for start in range(0, 200, 10):
        await asyncio.gather(*(world.append(world.removed(name)) for name in names[start : start + 10]))
    await asyncio.wait_for(all_kept.wait(), 30)
    for task in running:
        task.cancel()
    await asyncio.wait(running)

    assert await world.counts() == dict.fromkeys(names, 1)


async def test_a_crash_between_reading_and_keeping_leaves_no_trace(world: World) -> None:
    await world.append(world.removed("a"), world.removed("b"))
    crashing = Counter()

    def crash(_batch: Batch) -> None:
        # Not an error that a worker may answer: the process ends here, after the handler has written.
        raise KeyboardInterrupt

    crashing.after = crash
    with pytest.raises(KeyboardInterrupt):
        await world.worker(crashing).drain()

    assert await world.counts() == {}
    assert await world.offset() == 0

    await world.worker(Counter()).drain()

    assert await world.counts() == {"a": 1, "b": 1}


@pytest.mark.parametrize("position", [0, 3, 7])
async def test_a_record_that_always_fails_is_buried_and_the_rest_goes_on(world: World, position: int) -> None:
    names = [str(n) for n in range(8)]
    await world.append(*(world.removed(name) for name in names))
    handler = Counter()
    handler.poison = {names[position]}

    await world.worker(handler).drain()

    assert await world.counts() == {name: 1 for name in names if name != names[position]}
    [buried] = await world.dead()
    assert (buried.group, buried.source, buried.partition, buried.offset) == ("counter", DEVICE.name, 0, position)
    assert buried.reason == f"ZeroDivisionError: {names[position]}"
    assert decode(DEVICE, buried.value).id == names[position]
    assert buried.source_key == "dev-1"


async def test_a_record_that_met_another_writer_gets_a_second_chance(world: World) -> None:
    await world.append(world.removed("a"))
    handler = Counter()
    met: list[Batch] = []

    def lose_once(batch: Batch) -> None:
        if batch.events and not met:
            met.append(batch)
            raise Conflict("value", "somebody else took it a moment ago")

    handler.before = lose_once
    await world.worker(handler).drain()

    assert len(met) == 1
    assert await world.counts() == {"a": 1}
    assert await world.dead() == []


async def test_several_that_fail_are_each_found(world: World) -> None:
    await world.append(*(world.removed(str(n)) for n in range(16)))
    handler = Counter()
    handler.poison = {"2", "3", "15"}

    await world.worker(handler).drain()

    assert [buried.offset for buried in await world.dead()] == [2, 3, 15]
    assert len(await world.counts()) == 13


async def test_what_cannot_be_decoded_is_buried_with_the_reason(world: World) -> None:
    await world.append(world.removed("a"), b"no event", b'{"type":"unheard-of","id":"x"}', world.removed("b"))

    await world.worker(Counter()).drain()

    assert await world.counts() == {"a": 1, "b": 1}
    first, second = await world.dead()
    assert (first.offset, first.value) == (1, b"no event")
    assert "malformed" in first.reason
    assert "unheard-of" in second.reason
    assert len(first.reason) < 500


async def test_a_handler_that_fails_without_records_buries_none(world: World) -> None:
    await world.append(world.removed("a"), world.removed("b"))
    handler = Counter()

    def broken_timers(_batch: Batch) -> None:
        raise RuntimeError("a timer")

    handler.before = broken_timers
    with pytest.raises(Stuck):
        await world.worker(handler).drain()

    assert await world.dead() == []
    assert await world.offset() == 0


async def test_timers_that_met_another_writer_fire_in_the_next_pass(world: World) -> None:
    await world.append(world.heartbeat())
    handler = Counter()
    worker = world.worker(handler)
    await worker.drain()
    fired: list[Batch] = []

    def lose(_batch: Batch) -> None:
        raise Conflict("value", "somebody else took it a moment ago")

    # Nothing came: only time passed.
    world.clock.advance(timedelta(seconds=2))
    handler.before = lose
    with pytest.raises(Stuck):
        await worker.drain()
    handler.before = fired.append
    await worker.drain()

    assert [batch.events for batch in fired] == [[]]


async def test_a_database_that_is_away_buries_nothing(world: World) -> None:
    await world.append(world.removed("a"))
    handler = Counter()

    def away(_batch: Batch) -> None:
        raise Unavailable("database", "away")

    handler.before = away
    with pytest.raises(Unavailable):
        await world.worker(handler).drain()

    assert await world.dead() == []
    handler.before = lambda _batch: None
    await world.worker(handler).drain()
    assert await world.counts() == {"a": 1}


async def test_a_running_worker_gets_over_an_outage(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "BACK_OFF", (timedelta(),))
    await world.append(world.removed("a"))
    handler = Counter()
    outages = iter(range(3))
    done = asyncio.Event()

    def away(_batch: Batch) -> None:
        if next(outages, None) is not None:
            raise Unavailable("database", "away")

    handler.before = away
    handler.on_kept = lambda _count: done.set()
    running = asyncio.create_task(world.worker(handler).run())
    await asyncio.wait_for(done.wait(), 30)
    running.cancel()
    await asyncio.wait([running])

    assert await world.counts() == {"a": 1}


async def test_what_trickles_in_is_handled_together_but_the_first_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for five appends on a busy machine.
    monkeypatch.setattr(worker_module, "GATHER", timedelta(seconds=3))
    kept: asyncio.Queue[int] = asyncio.Queue()
    handler = Counter()
    handler.on_kept = kept.put_nowait
    running = asyncio.create_task(world.worker(handler).run())

    await world.append(world.removed("first"))
    assert await asyncio.wait_for(kept.get(), 30) == 1
    for n in range(5):
        await world.append(world.removed(str(n)))

    assert await asyncio.wait_for(kept.get(), 30) == 5
    running.cancel()
    await asyncio.wait([running])


async def test_an_offset_that_the_log_no_longer_holds_stops_the_partition(world: World) -> None:
    worker = world.worker(Counter())
    await world.append(world.removed("a"))
    await worker.drain()
    await world.append(world.removed("b"), world.removed("c"))
    world.clock.advance(DEVICE.retention * 2)
    await world.log.expire(world.clock.now())

    with pytest.raises(OffsetOutOfRange):
        await worker.drain()

    assert await world.offset() == 1


# -- the watermark ----------------------------------------------------------------------------------------------------


async def test_during_a_backlog_it_is_the_time_of_the_last_record(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "RECORDS_PER_BATCH_MAX", 2)
    times = []
    for n in range(4):
        await world.append(world.reading(str(n)))
        times.append(world.clock.now())
        world.clock.advance(timedelta(minutes=1))
    await world.append(world.heartbeat())
    world.clock.advance(timedelta(hours=1))
    handler = Counter()

    await world.worker(handler).drain()

    first, second, third, *_ = handler.batches
    assert (first.watermark, first.is_caught_up) == (times[1], False)
    assert (second.watermark, second.is_caught_up) == (times[3], False)
    # The gateway was last there an hour ago: no later than that, and what its next heartbeat may tell.
    beat = times[3] + timedelta(minutes=1)
    assert (third.watermark, third.is_caught_up) == (beat + timedelta(seconds=5), True)


async def test_caught_up_it_follows_the_clock_as_far_as_the_heartbeats(world: World) -> None:
    handler = Counter()
    worker = world.worker(handler)
    await world.append(world.heartbeat())
    began = world.clock.now()
    await worker.drain()

    world.clock.advance(timedelta(seconds=3))
    await worker.drain()
    assert handler.batches[-1].watermark == began + timedelta(seconds=3)

    # The gateway is dead: time stands still, however long.
    world.clock.advance(timedelta(hours=2))
    await worker.drain()
    assert handler.batches[-1].watermark == began + timedelta(seconds=5)

    await world.append(world.heartbeat())
    await worker.drain()
    assert handler.batches[-1].watermark == world.clock.now()


async def test_what_others_than_the_gateway_write_does_not_move_it(world: World) -> None:
    handler = Counter()
    worker = world.worker(handler)
    await world.append(world.heartbeat())
    frozen = world.clock.now() + timedelta(seconds=5)
    await worker.drain()
    world.clock.advance(timedelta(hours=2))

    command = CommandChanged(
        id="c", time=world.clock.now(), device="dev-1", command="cmd-1", operation="read", path="/3", state="queued"
    )
    await world.append(command)
    await worker.drain()

    assert "c" in await world.counts()
    assert handler.batches[-1].watermark == frozen


async def test_it_never_goes_back_after_a_restart(world: World) -> None:
    await world.append(world.heartbeat(), world.reading("a"))
    world.clock.advance(timedelta(seconds=4))
    await world.worker(Counter()).drain()
    handler = Counter()

    await world.append(world.removed("b"))
    await world.worker(handler).drain()

    assert handler.batches[0].watermark == world.clock.now()


async def test_other_topics_follow_the_clock_without_heartbeats(world: World) -> None:
    handler = Counter([CONDITION])
    worker = world.worker(handler)
    await worker.drain()
    world.clock.advance(timedelta(hours=2))

    await worker.drain()

    assert [batch.watermark for batch in handler.batches][-1] == world.clock.now()
    assert handler.batches[-1].is_caught_up


async def test_before_the_gateway_was_ever_there_no_timer_fires(world: World) -> None:
    handler = Counter()
    world.clock.advance(timedelta(hours=2))

    await world.worker(handler).drain()

    assert handler.batches == []


# -- the watermark of several gateways --------------------------------------------------------------------------------


async def test_it_goes_no_further_than_what_all_gateways_said(world: World) -> None:
    handler = Counter()
    worker = world.worker(handler)
    await world.append(world.heartbeat([0], [0, 1]), world.heartbeat([1], [0, 1]))
    began = world.clock.now()
    await worker.drain()
    assert handler.batches[-1].watermark == began

    # The second is dead; the first is full of life.
    for _ in range(100):
        world.clock.advance(timedelta(seconds=5))
        await world.append(world.heartbeat([0], [0, 1]), world.reading(f"at {world.clock.now()}"))
        await worker.drain()
    assert handler.batches[-1].watermark == began

    # Somebody took its number over.
    await world.append(world.heartbeat([0, 1], [0, 1]))
    await worker.drain()
    assert handler.batches[-1].watermark == world.clock.now()


async def test_in_a_backlog_of_several_gateways_it_is_what_all_have_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "RECORDS_PER_BATCH_MAX", 3)
    began = world.clock.now()
    for _ in range(3):
        await world.append(
            world.heartbeat([0], [0, 1]), world.heartbeat([1], [0, 1]), world.reading(f"at {world.clock.now()}")
        )
        world.clock.advance(timedelta(minutes=1))
    await world.append(*(world.reading(f"r{n}") for n in range(4)))
    handler = Counter()

    await world.worker(handler).drain()

    watermarks = [(batch.watermark - began).total_seconds() for batch in handler.batches]
    # Records alone move nothing, not even when they are the last.
    assert watermarks == [0, 60, 120, 120, 120, 120]


async def test_after_a_restart_it_waits_until_all_gateways_were_heard_again(world: World) -> None:
    await world.append(world.heartbeat([0], [0, 1]), world.heartbeat([1], [0, 1]), world.removed("a"))
    await world.worker(Counter()).drain()
    frozen = world.clock.now()

    world.clock.advance(timedelta(hours=1))
    handler = Counter()
    worker = world.worker(handler)
    # A record of the living one comes first: nobody knows yet that there is another.
    await world.append(world.reading("b"))
    await worker.drain()
    await world.append(world.heartbeat([0], [0, 1]), world.reading("c"))
    await worker.drain()
    assert {batch.watermark for batch in handler.batches} == {frozen}

    await world.append(world.heartbeat([1], [0, 1]))
    await worker.drain()
    assert handler.batches[-1].watermark == world.clock.now()


async def test_a_number_that_appears_holds_it_back_and_one_that_retires_does_not(world: World) -> None:
    handler = Counter()
    worker = world.worker(handler)
    await world.append(world.heartbeat([0], [0]))
    await worker.drain()
    world.clock.advance(timedelta(seconds=5))
    await world.append(world.heartbeat([0], [0, 1]))
    await worker.drain()
    frozen = handler.batches[-1].watermark

    world.clock.advance(timedelta(minutes=5))
    await world.append(world.heartbeat([0], [0, 1]))
    await worker.drain()
    assert handler.batches[-1].watermark == frozen

    await world.append(world.heartbeat([0], [0]))
    await worker.drain()
    assert handler.batches[-1].watermark == world.clock.now()


async def test_a_backlog_that_waited_on_the_disk_of_one_gateway_is_not_outrun(world: World) -> None:
    handler = Counter()
    worker = world.worker(handler)
    began = world.clock.now()
    late = []
    for _ in range(60):
        await world.append(world.heartbeat([0], [0, 1]))
        late.append(world.heartbeat([1], [0, 1]))
        world.clock.advance(timedelta(seconds=5))
    await worker.drain()

    await world.append(*late[:30])
    await worker.drain()

    # Taken in now, but it speaks of then: what follows on its disk is still to come.
    assert handler.batches[-1].watermark == began + timedelta(seconds=29 * 5)


class Told(msgspec.Struct, frozen=True):
    """A record: when the log took it in, and who spoke up to when, if it is a heartbeat."""

    seconds: int
    old: int
    nodes: list[int]
    of: list[int]

    def item(self, start: datetime) -> _Item:
        at = start + timedelta(seconds=self.seconds)
        said = at - timedelta(seconds=self.old)
        record = Record(topic=DEVICE.name, partition=0, offset=0, key="", time=at, value=b"")
        if not self.nodes:
            return _Item(record, ReadingsReported(id="r", time=said, device="dev-1", via="send", readings=[]))
        return _Item(record, Heartbeat(id="h", time=said, partition=0, nodes=self.nodes, of=self.of or self.nodes))


_NUMBERS = st.lists(st.integers(0, 3), max_size=3, unique=True)
_TOLD = st.builds(Told, st.integers(0, 600), st.integers(0, 30), _NUMBERS, _NUMBERS)


@given(st.lists(st.tuples(st.lists(_TOLD, max_size=4), st.booleans(), st.integers(0, 20)), max_size=12), st.booleans())
def test_whatever_gateways_say_it_never_goes_back_nor_beyond_any_of_them(
    reads: list[tuple[list[Told], bool, int]], is_resumed: bool
) -> None:
    start = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
    lane = Lane(DEVICE, 0)
    lane.watermark = start if is_resumed else None
    lane.beats = NOT_KNOWN_YET if is_resumed else Beats()
    said: dict[int, datetime] = {}
    now = start
    for told, is_caught_up, passed in reads:
        items = [one.item(start) for one in sorted(told, key=lambda one: one.seconds)]
        now = max([now, *(item.record.time for item in items)]) + timedelta(seconds=passed)
        watermark = _watermark(lane, items, Slice([], 0, 0 if is_caught_up else 1), now)
        for item in items:
            if isinstance(item.event, Heartbeat):
                said |= {node: max(item.event.time, said.get(node, item.event.time)) for node in item.event.nodes}
        before, lane.watermark = lane.watermark, watermark
        assert watermark is None or watermark <= now
        if before is None or watermark == before:
            continue
        assert watermark is not None
        assert watermark > before
        if not lane.beats.is_alone:
            assert lane.beats.of
            assert all(watermark <= said[node] for node in lane.beats.of)


@given(st.lists(st.tuples(st.lists(_TOLD, min_size=1, max_size=4), st.booleans()), max_size=12))
def test_of_one_gateway_it_is_its_last_record_or_caught_up_the_clock_until_its_next_heartbeat(
    reads: list[tuple[list[Told], bool]],
) -> None:
    start = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
    lane = Lane(DEVICE, 0)
    beats: list[datetime] = []
    now = start
    for told, is_caught_up in reads:
        alone = [msgspec.structs.replace(one, nodes=one.nodes and [7], of=one.of and [7]) for one in told]
        items = [one.item(start) for one in sorted(alone, key=lambda one: one.seconds)]
        now = max([now, *(item.record.time for item in items)]) + timedelta(seconds=3)
        beats += [item.event.time for item in items if isinstance(item.event, Heartbeat)]
        expected = [items[-1].record.time, lane.watermark or start]
        if is_caught_up and beats:
            expected.append(min(now, max(beats) + timedelta(seconds=5)))

        lane.watermark = _watermark(lane, items, Slice([], 0, 0 if is_caught_up else 1), now)

        assert lane.watermark == max(expected)


# -- timers -----------------------------------------------------------------------------------------------------------


class Timed(Counter):
    """Writes one row a look, as long as something is due."""

    def __init__(self, due: int) -> None:
        super().__init__([CONDITION])
        self.due = due

    async def handle(self, tx: Transaction, batch: Batch) -> None:
        await super().handle(tx, batch)
        if self.due:
            self.due -= 1
            await upsert(tx, counts, [{"id": f"due-{self.due}", "times": 1}], ["id"])


async def test_timers_are_looked_at_until_nothing_is_due(world: World) -> None:
    handler = Timed(due=3)

    await world.worker(handler).drain()

    assert len(await world.counts()) == 3
    assert handler.due == 0


async def test_timers_are_looked_at_once_a_second_while_nothing_comes(world: World) -> None:
    handler = Timed(due=0)
    worker = world.worker(handler)
    lane = worker.lanes[0]
    for _ in range(40):
        await worker.step(lane, wait=timedelta())
        world.clock.advance(timedelta(milliseconds=250))

    assert len(handler.batches) == 10


async def test_a_look_that_changes_nothing_is_not_kept(world: World) -> None:
    handler = Timed(due=0)
    worker = world.worker(handler)
    await worker.drain()
    before = await offsets.position(world.database, "counter", CONDITION.name, 0, 0)
    for _ in range(5):
        world.clock.advance(timedelta(seconds=10))
        await worker.drain()

    assert await offsets.position(world.database, "counter", CONDITION.name, 0, 0) == before


async def test_a_quiet_partition_keeps_its_offset_now_and_then(world: World) -> None:
    worker = world.worker(Counter())
    for _ in range(UNKEPT_RECORDS_MAX - 1):
        await world.append(world.heartbeat())
        world.clock.advance(timedelta(seconds=5))
    await worker.drain()
    assert await world.offset() == 0
    assert worker.lanes[0].cursor == UNKEPT_RECORDS_MAX - 1

    await world.append(world.heartbeat())
    await worker.drain()

    assert await world.offset() == UNKEPT_RECORDS_MAX


async def test_a_handler_that_always_finds_more_to_do_is_told_apart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "LOOKS_PER_DRAIN_MAX", 10)

    with pytest.raises(Stuck):
        await world.worker(Timed(due=1_000)).drain()


async def test_a_handler_without_timers_is_left_in_peace_while_nothing_comes(world: World) -> None:
    await world.append(world.removed("a"), world.heartbeat())
    handler = Counter()
    handler.timed = ()
    worker = world.worker(handler)
    await worker.drain()

    world.clock.advance(timedelta(minutes=1))
    await world.append(world.heartbeat())
    await worker.drain()
    world.clock.advance(timedelta(minutes=1))
    await worker.drain()

    assert all(batch.events for batch in handler.batches)
    assert len(handler.batches) == 2


def sample(name: str, group: str = "counter") -> float:
    return metrics.REGISTRY.get_sample_value(name, {"group": group}) or 0.0


async def test_a_worker_tells_how_old_what_it_handles_is_while_more_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "RECORDS_PER_BATCH_MAX", 2)
    worker = Worker(world.log, world.database, Counter(), world.clock)
    await world.append(*(world.reading(f"r{number}") for number in range(3)))
    world.clock.advance(timedelta(seconds=40))

    await worker.step(worker.lanes[0], wait=timedelta())
    assert worker.lag() == {DEVICE.name: timedelta(seconds=40)}

    await worker.step(worker.lanes[0], wait=timedelta())
    assert worker.lag() == {DEVICE.name: timedelta()}


async def test_what_is_kept_is_timed_and_what_is_buried_counted(world: World) -> None:
    handler = Counter()
    handler.poison = {"bad"}
    handled, batches = sample("shoal_worker_handled_seconds_sum"), sample("shoal_worker_batch_seconds_count")
    buried = sample("shoal_worker_buried_records_total")
    await world.append(world.reading("good"), world.reading("bad"), b"{")
    world.clock.advance(timedelta(seconds=3))

    await Worker(world.log, world.database, handler, world.clock).drain()

    assert sample("shoal_worker_handled_seconds_sum") - handled >= 3
    assert sample("shoal_worker_batch_seconds_count") > batches
    assert sample("shoal_worker_buried_records_total") == buried + 2
