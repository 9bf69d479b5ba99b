"""Keeps what devices said on this machine's disk while the log is away, and carries it there when it is back.

The order of a device is kept: as long as something waits here, what comes later waits behind it. What is here is as safe
as the disk, so its answers may leave; when the file is full, devices keep their data.
"""

import contextlib
import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeAlias

from shoal.errors import Unavailable
from shoal.events.topics import BY_NAME, Topic
from shoal.storage import sqlite
from shoal.stream.log import Entry, PageIn, Pages
from shoal.stream.page import ENTRIES, pack, unpack

logger = logging.getLogger(__name__)

FILE: Final = "spool.db"
# Held by the one process that may write the file; the kernel lets go of it when that ends.
LOCK: Final = "spool.lock"
# Carried in one go: enough that a backlog of hours leaves in minutes, few enough that a crash repeats little.
PAGES_PER_ROUND_MAX: Final = 256
# After the log refused: it is asked again this often.
AGAIN_EVERY: Final = timedelta(seconds=1)

# Number, topic, partition, count, codec, body.
_Row: TypeAlias = tuple[int, str, int, int, str, bytes]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS pages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    count INTEGER NOT NULL,
    codec TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is in the spool."""

    events: int
    size_bytes: int


class Spool:
    """Between the gateway and a log that may be away. `append_pages` is for a thread of its own, as the log's is."""

    takes_messages: Final = True

    def __init__(self, log: Pages, folder: Path, *, bytes_max: int) -> None:
        self._log = log
        self._folder = folder
        self._path = folder / FILE
        self._lock_file: int | None = None
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._waiting = Waiting(0, 0)
        self._has_some = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._carry_all, name="spool", daemon=True)
        self.failure: Unavailable | None = None

    @property
    def waiting(self) -> Waiting:
        """How much waits for the log."""
        return self._waiting

    def start(self) -> None:
        """Opens the file, with what an earlier process left in it, and begins to carry.

        Raises:
            Unavailable: the file is damaged, cannot be written, or is another gateway's.
        """
        self._take_folder()
        with self._file() as file:
            file.executescript(_SCHEMA)
            events, size = file.execute(
                "SELECT coalesce(sum(count), 0), coalesce(sum(length(body)), 0) FROM pages"
            ).fetchone()
        self._waiting = Waiting(events, size)
        if events:
            logger.info("spool.found", extra={"events": events, "bytes": size})
            self._has_some.set()
        self._thread.start()

    def close(self) -> None:
        """Stops carrying; what waits stays for the next process."""
        self._closing.set()
        self._has_some.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def _take_folder(self) -> None:
        """Two gateways that wrote one file would carry each other's pages, and doubt each other's counts."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_file = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            reason = f"{self._folder} is another gateway's"
            raise Unavailable("spool", reason, "Give each gateway a folder of its own: --spool FOLDER") from error
        except OSError as error:
            remedy = "Give the user that runs Shoal the right to write there, or name another folder with --spool"
            raise Unavailable("spool", f"{self._folder}: {error.strerror}", remedy) from error

    def append_pages(self, topic: Topic, pages: Sequence[PageIn]) -> None:
        """Appends to the log, or to the file while the log is away; durable when it returns.

        Raises:
            Unavailable: the log is away, and the file is full or cannot be written.
        """
        # Held during the append: what the file still holds must not be overtaken.
        with self._lock:
            if not self._waiting.events:
                try:
                    self._log.append_pages(topic, pages)
                except Unavailable as error:
                    self._away(error)
                else:
                    return
            self._keep(topic, pages)
            self._has_some.set()

    def _keep(self, topic: Topic, pages: Sequence[PageIn]) -> None:
        rows = [_row(topic, page) for page in pages if page.count]
        size = sum(len(row[-1]) for row in rows)
        if self._waiting.size_bytes + size > self._bytes_max:
            reason = f"{self._path} is full: {self._waiting.events} events wait in it"
            remedy = "Bring the log back, or raise `spool_mb`; devices keep what they measure meanwhile"
            raise Unavailable("spool", reason, remedy)
        with self._file() as file:
            file.execute("BEGIN IMMEDIATE")
            file.executemany("INSERT INTO pages (topic, partition, count, codec, body) VALUES (?, ?, ?, ?, ?)", rows)
            file.execute("COMMIT")
        events = sum(page.count for page in pages)
        self._waiting = Waiting(self._waiting.events + events, self._waiting.size_bytes + size)

    def _carry_all(self) -> None:
        while not self._closing.is_set():
            self._has_some.wait()
            try:
                while not self._closing.is_set() and self._carry():
                    pass
            except Unavailable as error:
                self._away(error)
                self._closing.wait(AGAIN_EVERY.total_seconds())
            except Exception as error:  # a thread that ended would leave all that comes waiting for ever
                if self.failure is None:
                    logger.exception("spool.stuck")
                self.failure = Unavailable("spool", f"{self._path}: {error}", "What waits there needs a person")
                self._closing.wait(AGAIN_EVERY.total_seconds())

    def _carry(self) -> bool:
        """One round, in the order of arrival; False when nothing is left."""
        with self._file() as file:
            rows = _oldest(file)
            if len(rows) == PAGES_PER_ROUND_MAX:
                self._append(rows)
                with self._lock:
                    self._forget(file, rows)
                return True
            # The rest with nobody coming behind it: under load, something always would, and this would never end.
            with self._lock:
                rows = _oldest(file)
                self._append(rows)
                self._forget(file, rows)
                if self._waiting.events:
                    return True
                self._has_some.clear()
                if self.failure is not None:
                    logger.info("spool.emptied")
                    self.failure = None
                return False

    def _append(self, rows: Sequence[_Row]) -> None:
        for topic in dict.fromkeys(row[1] for row in rows):
            self._log.append_pages(BY_NAME[topic], [_page(row) for row in rows if row[1] == topic])

    def _forget(self, file: sqlite3.Connection, rows: Sequence[_Row]) -> None:
        if not rows:
            return
        file.execute("DELETE FROM pages WHERE id <= ?", (rows[-1][0],))
        events, size = sum(row[3] for row in rows), sum(len(row[5]) for row in rows)
        self._waiting = Waiting(self._waiting.events - events, self._waiting.size_bytes - size)

    def _away(self, error: Unavailable) -> None:
        if self.failure is None:
            logger.warning("spool.waits", extra={"neighbour": error.neighbour, "reason": error.reason})
        self.failure = error

    @contextlib.contextmanager
    def _file(self) -> Iterator[sqlite3.Connection]:
        """A connection; its errors in our words. The file is opened each time: it is needed when all is slow anyway."""
        connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=sqlite.BUSY_MS / 1000)
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "auto_vacuum = INCREMENTAL"):
                connection.execute(f"PRAGMA {pragma}")
            yield connection
        except sqlite3.Error as error:
            raise (sqlite.unavailable(error, self._path, "spool") or sqlite.damaged(self._path, "spool")) from error
        finally:
            if connection is not None:
                connection.close()


def _oldest(file: sqlite3.Connection) -> list[_Row]:
    query = "SELECT id, topic, partition, count, codec, body FROM pages ORDER BY id LIMIT ?"
    return file.execute(query, (PAGES_PER_ROUND_MAX,)).fetchall()


def _row(topic: Topic, page: PageIn) -> tuple[str, int, int, str, bytes]:
    if page.messages:
        entries = [Entry(key.decode(errors="replace"), value) for key, value in page.messages]
        return topic.name, page.partition, len(entries), ENTRIES, pack(entries)
    return topic.name, page.partition, page.count, page.codec, page.body


def _page(row: _Row) -> PageIn:
    _, _, partition, count, codec, body = row
    if codec != ENTRIES:
        return PageIn(partition, count, body, codec)
    messages = [(entry.key.encode(), entry.value) for entry in unpack(codec, body, count, None)]
    return PageIn(partition, count, messages=messages)
