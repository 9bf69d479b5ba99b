"""What any log must do, proven alike for our own file and for a real Kafka; the workers over both."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, Table, Text, select

from shoal.clock import FakeClock
from shoal.errors import Rejected, Unavailable
from shoal.events.codec import encode
from shoal.events.device import DeviceRemoved
from shoal.events.topics import CONDITION, DEVICE, Topic
from shoal.lwm2m.dataplane import decompress
from shoal.storage import offsets
from shoal.storage.database import Database, Transaction, metadata, upsert
from shoal.stream import worker as worker_module
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.kafka import KafkaConfig, KafkaLog
from shoal.stream.log import Entry, Log, OffsetOutOfRange, PageIn, Place, Record, Slice, partition_of
from shoal.stream.worker import Batch, Worker
from tests.harness.broker import Broker
from tests.harness.databases import fresh_database

PARTITIONS: Final = 2
NO_WAIT: Final = timedelta()
# Far longer than anything here takes: a test that needs it has failed.
LONG: Final = timedelta(seconds=60)

sums = Table("parity_sums", metadata, Column("id", Text, primary_key=True), Column("times", Integer, nullable=False))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@dataclass
class Logs:
    """A log that can be closed and opened again: on its file, or on the broker that stayed."""

    make: Callable[[int], Log]
    drop_before: Callable[[Log, int, int], Awaitable[None]]
    opened: list[Log] = field(default_factory=list)

    async def open(self, partitions: int = PARTITIONS) -> Log:
        log = self.make(partitions)
        self.opened.append(log)
        await log.start()
        return log

    async def close(self) -> None:
        for log in self.opened:
            await log.close()
        self.opened.clear()


@pytest.fixture(
    params=["embedded", pytest.param("kafka", marks=[pytest.mark.kafka, pytest.mark.timeout(300)])],
)
async def logs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Logs]:
    made = _embedded(tmp_path) if request.param == "embedded" else _kafka(request.getfixturevalue("broker"))
    yield made
    await made.close()


@pytest.fixture
async def log(logs: Logs) -> Log:
    return await logs.open()


def _embedded(folder: Path) -> Logs:
    clock = FakeClock(datetime(2026, 11, 1, 6, 0, tzinfo=UTC))

    async def drop(log: Log, partition: int, offset: int) -> None:
        assert isinstance(log, EmbeddedLog)
        clock.advance(DEVICE.retention * 2)
        await log.expire(clock.now())
        assert await log.bounds(DEVICE, partition) == (offset, offset + 1)

    return Logs(lambda count: EmbeddedLog(folder, partitions=count, decompress=decompress, clock=clock), drop)


def _kafka(broker: Broker) -> Logs:
    broker.forget_topics()

    async def drop(_log: Log, partition: int, offset: int) -> None:
        admin = AdminClient({"bootstrap.servers": broker.servers})
        place = TopicPartition(DEVICE.name, partition, offset)
        await asyncio.to_thread(admin.delete_records([place])[place].result)

    return Logs(lambda count: KafkaLog(KafkaConfig(broker.servers, count), decompress=decompress), drop)


async def read_all(
    log: Log, partition: int, topic: Topic = DEVICE, *, start: int | None = None, limit: int = 1_000
) -> list[Record]:
    """From `start`, or the first record, to the last; the slices must join without a gap."""
    offset = (await log.bounds(topic, partition))[0] if start is None else start
    records: list[Record] = []
    while True:
        part = await log.read(topic, partition, offset, limit=limit, wait=NO_WAIT)
        assert [record.offset for record in part.records] == list(range(offset, part.next_offset))
        assert len(part.records) <= limit
        if not part.records:
            assert part.is_caught_up
            return records
        records.extend(part.records)
        offset = part.next_offset


async def append_pages(log: Log, *pages: PageIn) -> None:
    await asyncio.to_thread(log.append_pages, DEVICE, pages)


def what(records: Sequence[Record]) -> list[tuple[str, bytes]]:
    return [(record.key, record.value) for record in records]


def lines(*names: str) -> bytes:
    return b"".join(b'{"device":"%s"}\n' % name.encode() for name in names)


def zstd(body: bytes) -> bytes:
    """A frame with one block that is stored as it is: RFC 8878 §3.1.1."""
    assert len(body) < 256
    single_segment_with_one_byte_of_size = b"\x20" + bytes([len(body)])
    last_raw_block = (1 | len(body) << 3).to_bytes(3, "little")
    return b"\x28\xb5\x2f\xfd" + single_segment_with_one_byte_of_size + last_raw_block + body


# -- appending and reading --------------------------------------------------------------------------------------------


async def test_records_of_one_key_stay_in_order_in_the_partition_of_the_key(log: Log) -> None:
    names = [f"dev-{n}" for n in range(20)]
    for number in range(5):
        await log.append(DEVICE, [Entry(name, b"%d" % number) for name in names])

    for partition in range(PARTITIONS):
        records = await read_all(log, partition)

        here = [name for name in names if partition_of(name, PARTITIONS) == partition]
        assert here
        assert {record.key for record in records} == set(here)
        for name in here:
            assert [record.value for record in records if record.key == name] == [b"0", b"1", b"2", b"3", b"4"]


async def test_appends_that_run_side_by_side_are_all_kept(log: Log) -> None:
    await asyncio.gather(*(log.append(DEVICE, [Entry("dev-1", b"%d" % n)]) for n in range(200)))

    records = await read_all(log, partition_of("dev-1", PARTITIONS))

    assert sorted(int(record.value) for record in records) == list(range(200))


async def test_a_record_says_where_it_stands_and_when_it_came(log: Log) -> None:
    partition = partition_of("dev-1", PARTITIONS)
    for number in range(3):
        await log.append(DEVICE, [Entry("dev-1", b"%d" % number)])

    records = await read_all(log, partition)

    assert [(record.topic, record.partition, record.offset) for record in records] == [
        (DEVICE.name, partition, n) for n in range(3)
    ]
    times = [record.time for record in records]
    assert times == sorted(times)
    assert times[0] > datetime(2026, 1, 1, tzinfo=UTC)


async def test_topics_do_not_mix(log: Log) -> None:
    await log.append(DEVICE, [Entry("a", b"device")])
    await log.append(CONDITION, [Entry("a", b"condition")])

    partition = partition_of("a", PARTITIONS)

    assert what(await read_all(log, partition)) == [("a", b"device")]
    assert what(await read_all(log, partition, CONDITION)) == [("a", b"condition")]


async def test_a_read_keeps_its_limit_and_begins_where_it_was_told(log: Log) -> None:
    partition = partition_of("a", PARTITIONS)
    await log.append(DEVICE, [Entry("a", b"%d" % n) for n in range(10)])

    part = await log.read(DEVICE, partition, 4, limit=3, wait=LONG)

    assert [record.value for record in part.records] == [b"4", b"5", b"6"]
    assert (part.next_offset, part.end_offset, part.is_caught_up) == (7, 10, False)
    assert len(await read_all(log, partition, limit=1)) == 10


async def test_readers_at_different_places_do_not_disturb_each_other(log: Log) -> None:
    partition = partition_of("a", PARTITIONS)
    await log.append(DEVICE, [Entry("a", b"%d" % n) for n in range(100)])

    slices = await asyncio.gather(
        *(log.read(DEVICE, partition, start, limit=10, wait=LONG) for start in (0, 50, 90, 50, 7))
    )

    assert [part.records[0].value for part in slices] == [b"0", b"50", b"90", b"50", b"7"]
    assert all(part.records[0].offset + len(part.records) == part.next_offset for part in slices)


async def test_any_bytes_are_a_value_and_any_text_a_key(log: Log) -> None:
    entries = [Entry("merd-æøå-🐟", bytes(range(256))), Entry("large", b"\x00" * 300_000), Entry("x", b"")]
    await log.append(DEVICE, entries)

    records = [record for n in range(PARTITIONS) for record in await read_all(log, n)]

    assert sorted(what(records)) == sorted((entry.key, entry.value) for entry in entries)


async def test_nothing_to_append_is_nothing_appended(log: Log) -> None:
    await log.append(DEVICE, [])
    await append_pages(log, PageIn(0, 0))
    await append_pages(log)

    assert [await log.bounds(DEVICE, n) for n in range(PARTITIONS)] == [(0, 0)] * PARTITIONS


_keys = st.text(alphabet="abcæ🐟", max_size=4)
_appends = st.lists(st.lists(st.tuples(_keys, st.binary(max_size=20)), max_size=6), min_size=1, max_size=6)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(appends=_appends)
async def test_whatever_is_appended_is_read_back_in_the_order_of_its_partition(
    log: Log, appends: list[list[tuple[str, bytes]]]
) -> None:
    before = [(await log.bounds(DEVICE, n))[1] for n in range(PARTITIONS)]

    for some in appends:
        await log.append(DEVICE, [Entry(key, value) for key, value in some])

    for partition in range(PARTITIONS):
        new = await read_all(log, partition, start=before[partition], limit=5)
        expected = [(k, v) for some in appends for k, v in some if partition_of(k, PARTITIONS) == partition]
        assert what(new) == expected


# -- pages ------------------------------------------------------------------------------------------------------------


async def test_a_page_is_read_as_the_records_it_holds_however_it_was_packed(log: Log) -> None:
    body = lines("a", "b")
    messages = [(b"a", b'{"device":"a"}'), (b"b", b'{"device":"b"}')]

    await append_pages(
        log,
        PageIn(1, 2, body),
        PageIn(1, 2, zstd(body), "zstd"),
        PageIn(1, 2, messages=messages),
        PageIn(1, 2, zstd(body), "zstd", messages),
    )

    assert what(await read_all(log, 1)) == [("a", b'{"device":"a"}'), ("b", b'{"device":"b"}')] * 4
    assert await read_all(log, 0) == []


async def test_pages_and_appends_stand_in_one_order(log: Log) -> None:
    partition = partition_of("a", PARTITIONS)
    await append_pages(log, PageIn(partition, 1, lines("a")))
    await log.append(DEVICE, [Entry("a", b"then")])
    await append_pages(log, PageIn(partition, 1, lines("a")))

    assert [record.value for record in await read_all(log, partition)] == [
        b'{"device":"a"}',
        b"then",
        b'{"device":"a"}',
    ]


async def test_a_heartbeat_has_no_key(log: Log) -> None:
    beat = b'{"type":"heartbeat","id":"h","partition":1}'

    await append_pages(log, PageIn(1, 1, beat + b"\n"), PageIn(1, 1, messages=[(b"", beat)]))

    assert what(await read_all(log, 1)) == [("", beat), ("", beat)]


async def test_a_page_for_a_partition_that_is_not_there_is_refused_with_all_beside_it(log: Log) -> None:
    with pytest.raises(Rejected, match=f"{PARTITIONS} of {PARTITIONS}"):
        await append_pages(log, PageIn(0, 1, lines("a")), PageIn(PARTITIONS, 1, lines("b")))

    assert await read_all(log, 0) == []


# -- bounds -----------------------------------------------------------------------------------------------------------


async def test_bounds_tell_what_is_there(log: Log) -> None:
    partition = partition_of("a", PARTITIONS)
    assert await log.bounds(DEVICE, partition) == (0, 0)

    await log.append(DEVICE, [Entry("a", b"1"), Entry("a", b"2")])

    assert await log.bounds(DEVICE, partition) == (0, 2)
    assert await log.bounds(DEVICE, 1 - partition) == (0, 0)


@pytest.mark.parametrize("offset", [3, 1_000])
async def test_beyond_the_end_there_is_nothing_to_read(log: Log, offset: int) -> None:
    await log.append(DEVICE, [Entry("a", b"1"), Entry("a", b"2")])

    with pytest.raises(OffsetOutOfRange) as caught:
        await log.read(DEVICE, partition_of("a", PARTITIONS), offset, limit=10, wait=NO_WAIT)

    assert (caught.value.offset, caught.value.first, caught.value.end) == (offset, 0, 2)


async def test_whoever_was_away_for_longer_than_retention_hears_of_it(logs: Logs, log: Log) -> None:
    partition = partition_of("a", PARTITIONS)
    for number in range(3):
        await log.append(DEVICE, [Entry("a", b"%d" % number)])

    await logs.drop_before(log, partition, 2)

    with pytest.raises(OffsetOutOfRange) as caught:
        await log.read(DEVICE, partition, 1, limit=10, wait=NO_WAIT)
    assert (caught.value.offset, caught.value.first, caught.value.end) == (1, 2, 3)
    assert what(await read_all(log, partition)) == [("a", b"2")]


# -- waiting ----------------------------------------------------------------------------------------------------------


async def test_at_the_end_a_read_that_does_not_wait_finds_nothing(log: Log) -> None:
    await log.append(DEVICE, [Entry("a", b"1")])

    part = await log.read(DEVICE, partition_of("a", PARTITIONS), 1, limit=10, wait=NO_WAIT)

    assert part == Slice([], 1, 1)


async def test_a_read_that_waits_ends_with_the_first_record(log: Log) -> None:
    partition = partition_of("a", PARTITIONS)
    waiting = asyncio.create_task(log.read(DEVICE, partition, 0, limit=10, wait=LONG))
    await asyncio.sleep(0)

    await log.append(DEVICE, [Entry("a", b"1")])
    async with asyncio.timeout(LONG.total_seconds() / 2):
        part = await waiting

    assert what(part.records) == [("a", b"1")]


async def test_a_read_that_waits_in_vain_is_caught_up(log: Log) -> None:
    part = await log.read(DEVICE, 0, 0, limit=10, wait=timedelta(milliseconds=50))

    assert part == Slice([], 0, 0)
    assert part.is_caught_up


async def test_a_backlog_is_told(log: Log) -> None:
    partition = partition_of("a", PARTITIONS)
    await log.append(DEVICE, [Entry("a", b"%d" % n) for n in range(5)])

    first = await log.read(DEVICE, partition, 0, limit=2, wait=LONG)
    rest = await log.read(DEVICE, partition, 2, limit=10, wait=LONG)

    assert not first.is_caught_up
    assert rest.is_caught_up


# -- restarts ---------------------------------------------------------------------------------------------------------


async def test_after_a_restart_all_is_there_and_the_count_goes_on(logs: Logs, log: Log) -> None:
    partition = partition_of("a", PARTITIONS)
    await log.append(DEVICE, [Entry("a", b"1")])
    await append_pages(log, PageIn(partition, 1, lines("a")))
    await logs.close()

    again = await logs.open()
    await again.append(DEVICE, [Entry("a", b"3")])

    assert [record.value for record in await read_all(again, partition)] == [b"1", b'{"device":"a"}', b"3"]


async def test_the_number_of_partitions_cannot_change(logs: Logs, log: Log) -> None:
    await logs.close()

    with pytest.raises(Rejected, match=rf"{PARTITIONS}.*{PARTITIONS + 1}"):
        await logs.open(PARTITIONS + 1)


async def test_a_closed_log_takes_nothing(log: Log) -> None:
    await log.close()

    with pytest.raises(Unavailable, match="not open"):
        await log.append(DEVICE, [Entry("a", b"1")])


# -- workers ----------------------------------------------------------------------------------------------------------


class Summing:
    """Counts how often each event was handled, in the transaction that moves the offset."""

    group = "parity"
    topics = (DEVICE,)
    timed = (DEVICE,)

    def __init__(self) -> None:
        self.kept = 0
        self.crash_after: int | None = None
        self.changed = asyncio.Event()

    async def handle(self, tx: Transaction, batch: Batch) -> None:
        for _, event in batch.events:
            times = await tx.scalar(select(sums.c.times).where(sums.c.id == event.id)) or 0
            await upsert(tx, sums, [{"id": event.id, "times": times + 1}], ["id"])
        if self.crash_after is not None and self.kept + len(batch.events) > self.crash_after:
            raise KeyboardInterrupt  # the process ends here, after the handler has written
        if batch.events:
            tx.after_commit(lambda: self._keep(len(batch.events)))

    def _keep(self, count: int) -> None:
        self.kept += count
        self.changed.set()


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    opened = await fresh_database()
    yield opened
    await opened.close()


async def append_events(log: Log, names: Sequence[str]) -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    for start in range(0, len(names), 10):
        some = [DeviceRemoved(id=n, time=now, device=f"dev-{n}", tenant="ten-1") for n in names[start : start + 10]]
        await log.append(DEVICE, [Entry(event.key, encode(event)) for event in some])


async def counted(database: Database) -> dict[str, int]:
    async with database.reading() as connection:
        return {row.id: row.times for row in await connection.execute(select(sums))}


async def until_counted(database: Database, handlers: Sequence[Summing], total: int) -> dict[str, int]:
    """Waits until so many events were counted, then says how often each."""
    async with asyncio.timeout(LONG.total_seconds()):
        while len(found := await counted(database)) < total:
            waits = [asyncio.ensure_future(handler.changed.wait()) for handler in handlers]
            await asyncio.wait(waits, timeout=1, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            for handler in handlers:
                handler.changed.clear()
    return found


async def stop(tasks: Sequence["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_worker_that_ends_at_any_moment_counts_nothing_twice(
    log: Log, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "RECORDS_PER_BATCH_MAX", 7)
    names = [str(n) for n in range(60)]
    await append_events(log, names)
    crashes = 0

    for crash_after in range(0, 60, 9):
        handler = Summing()
        handler.crash_after = crash_after
        try:
            await Worker(log, database, handler, FakeClock()).drain()
        except KeyboardInterrupt:
            crashes += 1
    await Worker(log, database, Summing(), FakeClock()).drain()

    assert crashes > 3
    assert await counted(database) == dict.fromkeys(names, 1)
    held = [await offsets.position(database, "parity", DEVICE.name, n, 0) for n in range(PARTITIONS)]
    assert [position.next_offset for position in held] == [(await log.bounds(DEVICE, n))[1] for n in range(PARTITIONS)]


async def test_two_workers_over_one_log_count_nothing_twice(log: Log, database: Database) -> None:
    names = [str(n) for n in range(100)]
    handlers = [Summing(), Summing()]
    running = [asyncio.create_task(Worker(log, database, each, FakeClock()).run()) for each in handlers]

    await append_events(log, names)
    found = await until_counted(database, handlers, len(names))
    await stop(running)

    assert found == dict.fromkeys(names, 1)


async def test_workers_that_come_and_go_under_load_count_nothing_twice(log: Log, database: Database) -> None:
    """Each join and each leave shares the partitions out anew, in the middle of what others are doing."""
    names = [str(n) for n in range(300)]
    handlers = [Summing() for _ in range(4)]

    async def load() -> None:
        for start in range(0, len(names), 10):
            await append_events(log, names[start : start + 10])
            await asyncio.sleep(0.05)

    loading = asyncio.create_task(load())
    running: list[asyncio.Task[None]] = []
    for handler in handlers:
        running.append(asyncio.create_task(Worker(log, database, handler, FakeClock()).run()))
        await asyncio.sleep(0.4)
        if len(running) > 2:
            # As a process that is told to end: in the middle of whatever it does.
            await stop([running.pop(0)])
    await loading
    found = await until_counted(database, handlers, len(names))
    await stop(running)

    assert found == dict.fromkeys(names, 1)


async def test_every_partition_is_somebodys_share(log: Log) -> None:
    shares = log.shares("parity", (DEVICE, CONDITION))

    assert await _share(shares) == {(topic, n) for topic in (DEVICE, CONDITION) for n in range(PARTITIONS)}
    await shares.aclose()


@pytest.mark.kafka
@pytest.mark.timeout(300)
async def test_processes_share_partitions_and_take_over_from_one_that_leaves(broker: Broker) -> None:
    logs = _kafka(broker)
    here, there = await logs.open(), await logs.open()
    everything = {(topic, n) for topic in (DEVICE, CONDITION) for n in range(PARTITIONS)}
    first = here.shares("shared", (DEVICE, CONDITION))
    assert await _share(first) == everything

    second = there.shares("shared", (DEVICE, CONDITION))
    theirs, ours = await asyncio.gather(_share(second), _share(first))

    assert ours | theirs == everything
    assert not ours & theirs
    assert {topic for topic, _ in ours} == {topic for topic, _ in theirs} == {DEVICE, CONDITION}

    await second.aclose()
    assert await _share(first) == everything
    await first.aclose()
    await logs.close()


async def _share(shares: AsyncGenerator[frozenset[Place], None]) -> frozenset[Place]:
    async with asyncio.timeout(LONG.total_seconds()):
        return await anext(shares)


# -- a broker that dies -----------------------------------------------------------------------------------------------


@pytest.mark.kafka
@pytest.mark.timeout(300)
async def test_a_broker_that_dies_and_comes_back_loses_nothing_that_was_acknowledged(
    broker: Broker, database: Database
) -> None:
    logs = _kafka(broker)
    log = await logs.open()
    handler = Summing()
    worker = asyncio.create_task(Worker(log, database, handler, FakeClock()).run())
    await append_events(log, ["before"])
    await until_counted(database, [handler], 1)

    # Under load: some of these are under way when the power goes.
    names = [f"load-{n}" for n in range(100)]
    appends = [asyncio.create_task(append_events(log, [name])) for name in names]
    await asyncio.wait(appends[:10])
    await asyncio.to_thread(broker.kill)
    with pytest.raises(Unavailable, match="Check that the brokers run") as refused:
        await append_events(log, ["nobody hears this"])
    assert refused.value.neighbour == "Kafka"
    with pytest.raises(Unavailable, match="Check that the brokers run"):
        await log.read(DEVICE, 0, 0, limit=1, wait=NO_WAIT)
    outcomes = await asyncio.gather(*appends, return_exceptions=True)
    acknowledged = [name for name, outcome in zip(names, outcomes, strict=True) if outcome is None]
    assert all(outcome is None or isinstance(outcome, Unavailable) for outcome in outcomes)
    assert acknowledged

    await asyncio.to_thread(broker.start)
    await append_events(log, ["after"])
    expected = {"before", *acknowledged, "after"}
    async with asyncio.timeout(LONG.total_seconds()):
        while not expected <= (found := await counted(database)).keys():
            await handler.changed.wait()
            handler.changed.clear()
    await stop([worker])
    await logs.close()

    assert {name: found[name] for name in expected} == dict.fromkeys(expected, 1)
