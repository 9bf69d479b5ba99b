"""Our own log: what is particular to it. What any log must do: tests/property/test_stream_parity.py."""

import asyncio
import sqlite3
import threading
import zlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from shoal.clock import FakeClock
from shoal.errors import Rejected, Unavailable
from shoal.events.topics import ALERT, DEVICE
from shoal.stream.embedded import CACHED_RECORDS_MAX, EmbeddedLog, _Job, _Row
from shoal.stream.log import Entry, OffsetOutOfRange, PageIn, Record, Slice

NO_WAIT = timedelta()
LONG = timedelta(seconds=30)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def log(tmp_path: Path, clock: FakeClock) -> AsyncIterator[EmbeddedLog]:
    opened = EmbeddedLog(tmp_path, partitions=1, decompress=zlib.decompress, clock=clock)
    await opened.start()
    yield opened
    await opened.close()


async def read(log: EmbeddedLog, offset: int, limit: int = 1_000) -> Slice:
    return await log.read(DEVICE, 0, offset, limit=limit, wait=NO_WAIT)


def page(*numbers: int) -> PageIn:
    return PageIn(0, len(numbers), b"".join(b'{"device":"d%d"}\n' % number for number in numbers))


async def append_pages(log: EmbeddedLog, *pages: PageIn) -> None:
    await asyncio.to_thread(log.append_pages, DEVICE, pages)


def keys(records: list[Record]) -> list[str]:
    return [record.key for record in records]


async def test_a_read_begins_and_ends_in_the_middle_of_pages(log: EmbeddedLog) -> None:
    await append_pages(log, page(0, 1, 2), page(3), page(4, 5, 6))

    part = await read(log, 2, limit=3)

    assert keys(part.records) == ["d2", "d3", "d4"]
    assert [record.offset for record in part.records] == [2, 3, 4]
    assert (part.next_offset, part.end_offset) == (5, 7)


async def test_compressed_pages_and_messages_are_read_like_any_other(log: EmbeddedLog) -> None:
    plain = page(0, 1)
    await append_pages(
        log,
        plain,
        PageIn(0, 2, zlib.compress(plain.body), "zstd"),
        PageIn(0, 2, messages=[(b"d0", b'{"device":"d0"}'), (b"d1", b'{"device":"d1"}')]),
        PageIn(0, 0),
    )

    records = (await read(log, 0)).records

    assert [(record.key, record.value) for record in records] == [
        ("d0", b'{"device":"d0"}'),
        ("d1", b'{"device":"d1"}'),
    ] * 3


async def test_what_waits_together_is_committed_together(log: EmbeddedLog, tmp_path: Path) -> None:
    commits: list[int] = []
    has_begun = threading.Event()
    inner = log._commit

    def counted(jobs: Sequence[_Job]) -> dict[tuple[str, int], tuple[int, int]]:
        commits.append(len(jobs))
        has_begun.set()
        return inner(jobs)

    log._commit = counted  # type: ignore[method-assign]
    # Somebody else holds the file: the first commit waits, the others queue up behind it.
    other = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    first = asyncio.create_task(log.append(DEVICE, [Entry("first", b"")]))
    await asyncio.to_thread(has_begun.wait)
    rest = [asyncio.create_task(log.append(DEVICE, [Entry(str(n), b"")])) for n in range(50)]
    await asyncio.sleep(0)
    other.execute("COMMIT")
    other.close()
    await asyncio.gather(first, *rest)

    assert commits[0] == 1
    assert len(commits) <= 3
    assert keys((await read(log, 0)).records) == ["first", *map(str, range(50))]


async def test_threads_and_the_event_loop_write_side_by_side(log: EmbeddedLog) -> None:
    def carry(name: str) -> None:
        for number in range(30):
            log.append_pages(DEVICE, [PageIn(0, 1, messages=[(name.encode(), str(number).encode())])])

    carriers = [asyncio.to_thread(carry, name) for name in ("gateway", "spool")]
    own = [log.append(DEVICE, [Entry("outbox", str(number).encode())]) for number in range(30)]
    await asyncio.gather(*carriers, *own)

    records = (await read(log, 0)).records
    for name in ("gateway", "spool", "outbox"):
        assert [int(record.value) for record in records if record.key == name] == list(range(30))


async def test_an_error_that_nobody_foresaw_reaches_whoever_waits(log: EmbeddedLog) -> None:
    def fail(jobs: Sequence[_Job]) -> dict[tuple[str, int], tuple[int, int]]:
        raise ZeroDivisionError(len(jobs))

    inner = log._commit
    log._commit = fail  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        await log.append(DEVICE, [Entry("a", b"")])
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(log.append_pages, DEVICE, [PageIn(0, 1, messages=[(b"b", b"")])])
    log._commit = inner  # type: ignore[method-assign]
    await log.append(DEVICE, [Entry("c", b"")])


async def test_an_error_in_the_middle_of_a_commit_leaves_nothing_open(
    log: EmbeddedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfit = _Row(DEVICE.name, 7, 1, "entries", b"")  # no such partition: known after the row before it is written
    inner = log._submit

    with monkeypatch.context() as patched:
        patched.setattr(log, "_submit", lambda rows: inner([*rows, unfit]))
        with pytest.raises(KeyError):
            await log.append(DEVICE, [Entry("a", b"")])
    await log.append(DEVICE, [Entry("b", b"")])

    assert keys((await read(log, 0)).records) == ["b"]


@pytest.mark.parametrize("is_found", [True, False])
async def test_an_append_that_meets_the_end_is_written_or_refused(
    log: EmbeddedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_found: bool
) -> None:
    inner = log._submit

    def submit(rows: Sequence[_Row]) -> _Job:
        if is_found:
            job = inner(rows)
            log._end_writing()
            return job
        log._end_writing()
        log._is_open = True
        return inner(rows)

    monkeypatch.setattr(log, "_submit", submit)
    appending = asyncio.create_task(log.append(DEVICE, [Entry("a", b"")]))
    await asyncio.wait([appending], timeout=20)
    log._is_open = False
    await log.close()

    refused = appending.exception()
    assert refused is None if is_found else isinstance(refused, Unavailable)
    with sqlite3.connect(tmp_path / "log.db") as written:
        assert written.execute("SELECT count(*) FROM pages").fetchone() == (int(is_found),)
    written.close()


async def test_a_commit_is_synchronous(log: EmbeddedLog) -> None:
    connection = log._connect()

    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


async def test_a_full_disk_refuses_all_that_waited_and_loses_nothing_before(log: EmbeddedLog) -> None:
    await log.append(DEVICE, [Entry("a", b"")])
    inner = log._commit

    def fail(jobs: Sequence[_Job]) -> dict[tuple[str, int], tuple[int, int]]:
        inner(jobs[:0])
        log._connection.execute("BEGIN IMMEDIATE")
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL  # type: ignore[misc]
        raise error

    log._commit = fail  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="disk is full"):
        await log.append(DEVICE, [Entry("b", b"")])
    log._commit = inner  # type: ignore[method-assign]
    await log.append(DEVICE, [Entry("c", b"")])

    part = await read(log, 0)
    assert keys(part.records) == ["a", "c"]
    assert part.next_offset == 2


async def test_a_restart_goes_on_where_it_was(log: EmbeddedLog, tmp_path: Path, clock: FakeClock) -> None:
    await append_pages(log, page(0, 1, 2))
    await log.close()
    # The clock was set back meanwhile; no record may be older than the one before it.
    clock.advance(timedelta(hours=-1))

    again = EmbeddedLog(tmp_path, partitions=1, clock=clock)
    await again.start()
    await again.append(DEVICE, [Entry("d3", b"")])
    records = (await read(again, 0)).records
    await again.close()

    assert keys(records) == ["d0", "d1", "d2", "d3"]
    assert records[3].time == records[0].time


async def test_the_number_of_partitions_cannot_change(log: EmbeddedLog, tmp_path: Path) -> None:
    await log.close()

    other = EmbeddedLog(tmp_path, partitions=2)
    with pytest.raises(Rejected, match="cannot become 2"):
        await other.start()
    await other.close()


async def test_retention_deletes_old_pages_and_keeps_the_count(log: EmbeddedLog, clock: FakeClock) -> None:
    await append_pages(log, page(0, 1))
    await append_pages(log, page(2))
    clock.advance(DEVICE.retention + timedelta(hours=1))

    assert await log.expire(clock.now()) == 1
    assert await log.bounds(DEVICE, 0) == (2, 3)
    with pytest.raises(OffsetOutOfRange):
        await read(log, 1)

    await append_pages(log, page(3))
    assert await log.expire(clock.now()) == 1
    assert keys((await read(log, 3)).records) == ["d3"]
    assert await log.bounds(DEVICE, 0) == (3, 4)


async def test_retention_goes_by_the_topic(log: EmbeddedLog, clock: FakeClock) -> None:
    for topic in (DEVICE, ALERT):
        for _ in range(2):
            await log.append(topic, [Entry("a", b"")])
    clock.advance(DEVICE.retention + timedelta(hours=1))

    await log.expire(clock.now())

    assert await log.bounds(DEVICE, 0) == (1, 2)
    assert await log.bounds(ALERT, 0) == (0, 2)


async def test_many_pages_more_than_the_cache_holds_are_read_all_the_same(log: EmbeddedLog) -> None:
    size = CACHED_RECORDS_MAX // 4
    for start in range(0, size * 6, size):
        await append_pages(log, page(*range(start, start + size)))

    offset = 0
    while (part := await read(log, offset)).records:
        assert [record.offset for record in part.records] == list(range(offset, part.next_offset))
        assert part.records[0].key == f"d{offset}"
        offset = part.next_offset

    assert offset == size * 6


@pytest.mark.parametrize("body", [b"", b"\x00" * 40])
async def test_a_damaged_page_is_told_with_the_file(log: EmbeddedLog, tmp_path: Path, body: bytes) -> None:
    await append_pages(log, page(0, 1))
    connection = sqlite3.connect(tmp_path / "log.db")
    with connection:
        connection.execute("UPDATE pages SET body = ?", (body,))
    connection.close()

    with pytest.raises(Unavailable, match=r"log\.db is damaged"):
        await read(log, 0)


async def test_a_damaged_file_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "log.db").write_bytes(b"this was a log once" * 1_000)
    log = EmbeddedLog(tmp_path, partitions=1)

    with pytest.raises(Unavailable, match=r"log\.db is damaged") as caught:
        await log.start()

    assert caught.value.neighbour == "log"
    await log.close()


async def test_wrong_pages_are_refused_before_they_are_written(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path, partitions=1)
    await log.start()

    with pytest.raises(Rejected, match="decompress"):
        log.append_pages(DEVICE, [PageIn(0, 1, b"x", "zstd")])
    with pytest.raises(Rejected, match="1 of 1"):
        log.append_pages(DEVICE, [PageIn(1, 1, b"{}")])
    await log.append(DEVICE, [])
    await log.close()


async def test_a_closed_log_takes_nothing(log: EmbeddedLog) -> None:
    await log.close()

    with pytest.raises(Unavailable, match="not open"):
        await log.append(DEVICE, [Entry("a", b"")])


async def test_a_reader_that_gives_up_leaves_no_trace(log: EmbeddedLog) -> None:
    waiting = asyncio.create_task(log.read(DEVICE, 0, 0, limit=10, wait=LONG))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert log._places[DEVICE.name, 0].waiters == set()
