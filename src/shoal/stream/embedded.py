"""The log in a file of our own: SQLite, one row a page; what waits together is committed together.

What is durable is a transaction, not a record: while one commit is under way, everything that arrives queues up, and
whoever comes next commits all of it. A slow disk so makes larger commits by itself, and nobody has to be tuned.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from shoal.clock import Clock, SystemClock
from shoal.errors import Rejected, Unavailable
from shoal.events.topics import TOPICS, Topic
from shoal.storage import sqlite
from shoal.storage.tables import milliseconds, moment
from shoal.stream.log import Decompress, Entry, OffsetOutOfRange, PageIn, Place, Record, Slice, partition_of
from shoal.stream.page import ENTRIES, UnreadablePage, pack, unpack

# Bytes in one commit: so many take about as long as the commit itself, more would only delay the first.
COMMIT_BYTES_MAX: Final = 8 << 20
# Threads that read: workers mostly hit the cache, so two keep a cold reader from delaying the others.
READERS_MAX: Final = 2
# Decoded records kept for the other groups that will read the same pages in a moment; about half a kilobyte each.
CACHED_RECORDS_MAX: Final = 32_768
# Page headers looked at in one read: a page holds at least one record, so a read never needs more than its limit.
HEADERS_MAX: Final = 1_000
# Retention deletes in pieces, so that appends get their turn in between.
EXPIRED_PAGES_MAX: Final = 200
EXPIRE_EVERY: Final = timedelta(minutes=10)
# Memory for database pages: a log is written once and read near its end.
CACHE_KIB: Final = 8_192

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS topics (topic TEXT PRIMARY KEY, partitions INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS pages (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    first_offset INTEGER NOT NULL,
    count INTEGER NOT NULL,
    time INTEGER NOT NULL,
    codec TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS pages_by_offset ON pages (topic, partition, first_offset);
CREATE INDEX IF NOT EXISTS pages_by_time ON pages (topic, time);
"""

_HEADERS: Final = """
SELECT id, first_offset, count, time, codec FROM pages
WHERE topic = :topic AND partition = :partition AND first_offset >= (
    SELECT coalesce(max(first_offset), 0) FROM pages
    WHERE topic = :topic AND partition = :partition AND first_offset <= :offset)
ORDER BY first_offset LIMIT :limit
"""

# The last page of a partition stays, however old: it remembers which offset comes next.
_EXPIRE: Final = """
DELETE FROM pages WHERE id IN (
    SELECT id FROM pages AS old WHERE topic = :topic AND time < :before AND first_offset < (
        SELECT max(first_offset) FROM pages WHERE topic = old.topic AND partition = old.partition)
    ORDER BY time LIMIT :limit)
"""

_BOUNDS: Final = """
SELECT topic, partition, min(first_offset), max(first_offset + count), max(time) FROM pages GROUP BY topic, partition
"""

_Spot = tuple[str, int]


@dataclass(slots=True)
class _Row:
    """A page that is to be written."""

    topic: str
    partition: int
    count: int
    codec: str
    body: bytes


@dataclass(slots=True)
class _Job:
    """What one caller wants written, and where it waits for it."""

    rows: Sequence[_Row]
    size_bytes: int
    done: "Future[None]" = field(default_factory=Future)


@dataclass(slots=True)
class _Partition:
    """What is known of a partition without asking the file."""

    first: int = 0
    end: int = 0
    time: int = 0
    waiters: set["asyncio.Future[None]"] = field(default_factory=set)


class EmbeddedLog:
    """`log.db` in the data folder. One process at a time (`storage/folder.py` sees to that)."""

    takes_messages: Final = False

    def __init__(
        self, folder: Path, *, partitions: int, decompress: Decompress | None = None, clock: Clock | None = None
    ) -> None:
        self.path = folder / "log.db"
        self._count = partitions
        self._decompress = decompress
        self._clock = clock or SystemClock()
        self._places = {(topic.name, n): _Partition() for topic in TOPICS for n in range(partitions)}
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        # Held by whoever commits, for everybody who waits. For those in the event loop a thread does it.
        self._committing = threading.Lock()
        self._committers = ThreadPoolExecutor(1, thread_name_prefix="log-writer")
        self._readers = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="log-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._cache = _Cache()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._expiring: asyncio.Task[None] | None = None
        self._is_open = False

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._loop.run_in_executor(self._readers, self._prepare)
        self._connection = self._connect()
        self._is_open = True
        self._expiring = self._loop.create_task(self._expire_now_and_then())

    async def close(self) -> None:
        if self._expiring is not None:
            self._expiring.cancel()
        await asyncio.to_thread(self._end_writing)
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def partitions(self, topic: Topic) -> int:  # noqa: ARG002  # the same for all, in this log
        return self._count

    async def append(self, topic: Topic, entries: Sequence[Entry]) -> None:
        by_partition: dict[int, list[Entry]] = {}
        for entry in entries:
            by_partition.setdefault(partition_of(entry.key, self._count), []).append(entry)
        rows = [_Row(topic.name, n, len(some), ENTRIES, pack(some)) for n, some in by_partition.items()]
        if rows:
            job = self._submit(rows)
            try:
                self._committers.submit(self._commit_with_others, job)
            except RuntimeError as error:
                # It met `close`, which still writes what it finds: either that, or nobody ever will.
                if job.done.cancel():
                    raise Unavailable("log", "it was closed") from error
            await asyncio.wrap_future(job.done)

    def append_pages(self, topic: Topic, pages: Sequence[PageIn]) -> None:
        rows = [self._row_of(topic, page) for page in pages if page.count]
        if rows:
            job = self._submit(rows)
            self._commit_with_others(job)
            job.done.result()

    async def shares(self, group: str, topics: Sequence[Topic]) -> AsyncGenerator[frozenset[Place], None]:
        del group  # there is one process
        yield frozenset((topic, partition) for topic in topics for partition in range(self._count))
        await asyncio.get_running_loop().create_future()

    async def read(self, topic: Topic, partition: int, offset: int, *, limit: int, wait: timedelta) -> Slice:
        place = self._places[topic.name, partition]
        if not place.first <= offset <= place.end:
            raise OffsetOutOfRange(topic.name, partition, offset, place.first, place.end)
        if offset == place.end:
            await self._wait(place, wait)
        end = place.end
        if offset == end:
            return Slice([], offset, end)
        assert self._loop is not None  # noqa: S101  # started
        records = await self._loop.run_in_executor(
            self._readers, self._read_now, topic.name, partition, offset, min(limit, HEADERS_MAX)
        )
        if not records or records[0].offset != offset:
            # Retention was faster than this read.
            raise OffsetOutOfRange(topic.name, partition, offset, place.first, end)
        return Slice(records, records[-1].offset + 1, max(end, records[-1].offset + 1))

    async def bounds(self, topic: Topic, partition: int) -> tuple[int, int]:
        place = self._places[topic.name, partition]
        return place.first, place.end

    async def expire(self, now: datetime) -> int:
        """Deletes pages that are older than their topic's retention; how many."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._expire, now)

    # -- writing: one thread at a time --------------------------------------------------------------------------------

    def _row_of(self, topic: Topic, page: PageIn) -> _Row:
        if not 0 <= page.partition < self._count:
            raise Rejected("partition", f"{page.partition} of {self._count}")
        if page.messages:
            entries = [Entry(key.decode(errors="replace"), value) for key, value in page.messages]
            return _Row(topic.name, page.partition, len(entries), ENTRIES, pack(entries))
        if page.codec == "zstd" and self._decompress is None:
            raise Rejected("codec", "zstd pages need a decompress function to be read again")
        return _Row(topic.name, page.partition, page.count, page.codec, page.body)

    def _submit(self, rows: Sequence[_Row]) -> _Job:
        if not self._is_open:
            raise Unavailable("log", "it is not open")
        job = _Job(rows, sum(len(row.body) for row in rows))
        self._jobs.put(job)
        return job

    def _commit_with_others(self, job: _Job) -> None:
        """Commits what waits, until this job is done: mostly once, or somebody else did it meanwhile."""
        with self._committing:
            while not job.done.done():
                self._commit_waiting()

    def _commit_waiting(self) -> None:
        jobs = self._take()
        try:
            written = self._commit(jobs)
        except BaseException as error:  # noqa: BLE001  # raised where each of them waits
            with contextlib.suppress(sqlite3.Error):  # nothing was begun, or SQLite has ended it by itself
                self._connection.execute("ROLLBACK")
            told = error
            if isinstance(error, sqlite3.Error):
                told = sqlite.unavailable(error, self.path, "log") or Unavailable("log", f"{self.path}: {error}")
            for job in jobs:
                job.done.set_exception(told)
            return
        for place, (end, time) in written.items():
            self._places[place].end = end
            self._places[place].time = time
        for job in jobs:
            job.done.set_result(None)
        self._tell(list(written))

    def _take(self) -> list[_Job]:
        """Everything that waits, up to a commit's worth."""
        jobs: list[_Job] = []
        size = 0
        with contextlib.suppress(queue.Empty):
            while size < COMMIT_BYTES_MAX:
                job = self._jobs.get_nowait()
                if job.done.set_running_or_notify_cancel():
                    jobs.append(job)
                    size += job.size_bytes
        return jobs

    def _end_writing(self) -> None:
        """What was submitted is still written."""
        was_open, self._is_open = self._is_open, False
        self._committers.shutdown()
        if was_open:
            with self._committing:
                while not self._jobs.empty():
                    self._commit_waiting()
                self._connection.close()

    def _commit(self, jobs: Sequence[_Job]) -> dict[_Spot, tuple[int, int]]:
        """Writes pages in the order of their callers; where each partition now ends, and when."""
        connection = self._connection
        now = milliseconds(self._clock.now())
        written: dict[_Spot, tuple[int, int]] = {}
        connection.execute("BEGIN IMMEDIATE")
        for job in jobs:
            for row in job.rows:
                place = (row.topic, row.partition)
                known = self._places[place]
                first, last_time = written.get(place, (known.end, known.time))
                # A clock that was set back must not make a record older than the one before it.
                time = max(now, last_time)
                connection.execute(
                    "INSERT INTO pages (topic, partition, first_offset, count, time, codec, body) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (row.topic, row.partition, first, row.count, time, row.codec, row.body),
                )
                written[place] = (first + row.count, time)
        connection.execute("COMMIT")
        return written

    def _tell(self, places: Sequence[_Spot]) -> None:
        assert self._loop is not None  # noqa: S101  # started
        with contextlib.suppress(RuntimeError):  # the loop is gone: so is everybody who waits
            self._loop.call_soon_threadsafe(self._wake, places)

    # -- reading: the event loop, and two threads ---------------------------------------------------------------------

    def _wake(self, places: Sequence[_Spot]) -> None:
        for place in places:
            for waiter in self._places[place].waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def _wait(self, place: _Partition, wait: timedelta) -> None:
        if wait <= timedelta():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place.waiters.add(waiter)
        try:
            await asyncio.wait([waiter], timeout=wait.total_seconds())
        finally:
            place.waiters.discard(waiter)

    def _read_now(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        records: list[Record] = []
        with self._guarded() as connection:
            parameters = {"topic": topic, "partition": partition, "offset": offset, "limit": limit}
            headers = connection.execute(_HEADERS, parameters).fetchall()
            for page, first, count, time, codec in headers:
                if first + count <= offset:
                    continue
                found = self._cache.find(page)
                if found is None:
                    row = connection.execute("SELECT body FROM pages WHERE id = ?", (page,)).fetchone()
                    if row is None:
                        break
                    entries = unpack(codec, row[0], count, self._decompress)
                    stamp = moment(time)
                    found = [Record(topic, partition, first + n, e.key, stamp, e.value) for n, e in enumerate(entries)]
                    self._cache.keep(page, found)
                records.extend(found[max(0, offset - first) :][: limit - len(records)])
                if len(records) >= limit:
                    break
        return records

    # -- the file -----------------------------------------------------------------------------------------------------

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        for pragma in (
            f"busy_timeout = {sqlite.BUSY_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",  # what is acknowledged to a device survives a power cut
            f"cache_size = -{CACHE_KIB}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[sqlite3.Connection]:
        """This thread's own connection; its errors in our words."""
        try:
            connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = self._connect()
                self._connections.append(connection)
            yield connection
        except (sqlite3.Error, UnreadablePage) as error:
            raise sqlite.unavailable(error, self.path, "log") or sqlite.damaged(self.path, "log") from error

    def _prepare(self) -> None:
        with self._guarded() as connection:
            connection.executescript(_SCHEMA)
            for topic in TOPICS:
                connection.execute("INSERT OR IGNORE INTO topics VALUES (?, ?)", (topic.name, self._count))
            for name, partitions in connection.execute("SELECT topic, partitions FROM topics"):
                if partitions != self._count:
                    raise Rejected(
                        "partitions", f"{name} was made with {partitions}, which cannot become {self._count}"
                    )
            for name, partition, first, end, time in connection.execute(_BOUNDS):
                place = self._places.setdefault((name, partition), _Partition())
                place.first, place.end, place.time = first, end, time

    def _expire(self, now: datetime) -> int:
        total = 0
        with self._guarded() as connection:
            for topic in TOPICS:
                before = milliseconds(now - topic.retention)
                parameters = {"topic": topic.name, "before": before, "limit": EXPIRED_PAGES_MAX}
                while deleted := connection.execute(_EXPIRE, parameters).rowcount:
                    total += deleted
            if total:
                for name, partition, first, _end, _time in connection.execute(_BOUNDS):
                    self._places[name, partition].first = first
        return total

    async def _expire_now_and_then(self) -> None:
        while True:
            with contextlib.suppress(Unavailable):  # those who append hear of it
                await self.expire(self._clock.now())
            await asyncio.sleep(EXPIRE_EVERY.total_seconds())


class _Cache:
    """The decoded pages that were read last, for whoever reads them next."""

    def __init__(self) -> None:
        self._pages: OrderedDict[int, list[Record]] = OrderedDict()
        self._records = 0
        self._lock = threading.Lock()

    def find(self, page: int) -> list[Record] | None:
        with self._lock:
            found = self._pages.get(page)
            if found is not None:
                self._pages.move_to_end(page)
            return found

    def keep(self, page: int, records: list[Record]) -> None:
        with self._lock:
            if page not in self._pages:
                self._pages[page] = records
                self._records += len(records)
            while self._records > CACHED_RECORDS_MAX and len(self._pages) > 1:
                _, dropped = self._pages.popitem(last=False)
                self._records -= len(dropped)
