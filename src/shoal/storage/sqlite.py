"""What only SQLite does: its engines, its errors.

Two engines for one file: a writer with a single connection, because SQLite has one writer anyway and a queue of ours is
fairer than its busy handler; and readers that never see half a transaction (write-ahead log).
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

from shoal.errors import Unavailable

# Screens and workers that read at once; each holds a file handle and a thread, and a query takes a few milliseconds.
READERS_MAX: Final = 8
# Another process (a backup, a person with a shell) may hold the file for a moment.
BUSY_MS: Final = 5_000
# A whole check reads the whole file: a second for this much. Damage in a larger one shows when it is read.
CHECKED_BYTES_MAX: Final = 256 << 20

_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_AWAY: Final = {
    sqlite3.SQLITE_BUSY: ("it is locked by another program", "Close what has it open (a backup, a shell)"),
    sqlite3.SQLITE_LOCKED: ("it is locked by another program", "Close what has it open (a backup, a shell)"),
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space; nothing was lost, and Shoal goes on by itself"),
    sqlite3.SQLITE_IOERR: ("the disk reports an error", "Look at the disk; restore a backup if it is worn out"),
    sqlite3.SQLITE_READONLY: ("it may not be written", "Give the user that runs Shoal the right to write it"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "Check that the folder is there and that this user may write it"),
    sqlite3.SQLITE_PERM: ("it may not be opened", "Give the user that runs Shoal the right to read and write it"),
}


class SqliteEngine:
    """One file. Without a path it is a private one that vanishes when it is closed (tests, rehearsals)."""

    # SQLite has one writer anyway, and a queue of ours is fairer than its busy handler.
    has_one_writer: Final = True
    # A file answers, or says that it cannot.
    patience_s: Final = None

    def __init__(self, path: Path | None) -> None:
        """Raises Unavailable when the folder of the file is not there."""
        # A real file even for a private one: only then readers and the writer behave as they do in production.
        self._private = Path(tempfile.mkdtemp(prefix="shoal-")) if path is None else None
        self.path: Final = path or Path(self._private or "") / "shoal.db"
        if not self.path.parent.is_dir():
            raise Unavailable(
                "database", f"{self.path.parent} is not a folder", "Create it, or name another data folder"
            )
        self.writers: Final = _writer(self.path, is_durable=path is not None)
        self.readers: Final = _readers(self.path)

    @property
    def is_private(self) -> bool:
        return self._private is not None

    async def check(self) -> None:
        """Reads the file if it is small enough. Raises Unavailable when it is damaged."""
        async with self.writers.connect() as connection:
            if self.path.stat().st_size <= CHECKED_BYTES_MAX:
                damage = await connection.scalar(text("PRAGMA quick_check(1)"))
                if damage != "ok":
                    raise damaged(self.path)

    async def in_order(self, connection: AsyncConnection, name: str) -> None:
        """Nothing to do: there is one writer."""

    async def alone(self, connection: AsyncConnection, name: str) -> bool:
        """True: there is one process."""
        del connection, name
        return True

    async def claim(self, name: str) -> bool:
        """True: there is one process."""
        del name
        return True

    async def give_back(self, name: str) -> None:
        """Nothing to do: there is one process."""

    async def lost_claims(self) -> set[str]:
        """None: there is one process."""
        return set()

    async def notify(self, connection: AsyncConnection, names: Iterable[str]) -> None:
        """Nothing to do: everybody who could want to know is in this process."""

    def listen(self, heard: Callable[[str], None]) -> None:
        """Nothing to hear."""

    def unavailable(self, error: BaseException) -> Unavailable | None:
        """What an operator must do about an error; None when the fault is ours (a wrong statement)."""
        return unavailable(error, self.path)

    def is_taken(self, error: BaseException) -> bool:
        """Whether a row was refused because a unique value is there already."""
        code = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlite_errorcode", None)
        return code in {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}

    async def close(self) -> None:
        """Closes all connections."""
        await self.readers.dispose()
        await self.writers.dispose()
        if self._private is not None:
            # A connection that a cancelled request let go may still be leaving its files there.
            shutil.rmtree(self._private, ignore_errors=True)
            self._private = None


def _writer(path: Path, *, is_durable: bool) -> AsyncEngine:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}",
        poolclass=AsyncAdaptedQueuePool,
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,  # an error goes into the log
    )
    _prepare(engine, begin="BEGIN IMMEDIATE", pragmas=[f"synchronous = {'FULL' if is_durable else 'OFF'}"])
    return engine


def _readers(path: Path) -> AsyncEngine:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}",
        poolclass=AsyncAdaptedQueuePool,
        pool_size=READERS_MAX,
        max_overflow=0,
        hide_parameters=True,
    )
    _prepare(engine, begin="BEGIN", pragmas=["query_only = ON"])
    return engine


def _prepare(engine: AsyncEngine, *, begin: str, pragmas: Sequence[str]) -> None:
    def on_connect(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        # The driver's own idea of when to begin a transaction is switched off; `on_begin` does it.
        connection.isolation_level = None
        cursor = connection.cursor()
        try:
            # The first statements that read the file: a damaged one shows here.
            for pragma in (f"busy_timeout = {BUSY_MS}", "journal_mode = WAL", "foreign_keys = ON", *pragmas):
                cursor.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        cursor.close()

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", on_connect)
    event.listen(engine.sync_engine, "begin", on_begin)


def unavailable(error: BaseException, path: Path, neighbour: str = "database") -> Unavailable | None:
    """What an operator must do about an error of the database; None when the fault is ours (a wrong statement)."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None:
        return None
    primary = code & 0xFF  # the low byte is the kind, the rest the details (sqlite.org/rescode.html)
    if primary in _DAMAGED:
        return damaged(path, neighbour)
    if primary in _AWAY:
        reason, remedy = _AWAY[primary]
        return Unavailable(neighbour, f"{path}: {reason}", remedy)
    return None


def damaged(path: Path, neighbour: str = "database") -> Unavailable:
    """The file is not a whole database any more. Nothing is repaired behind an operator's back."""
    return Unavailable(
        neighbour,
        f"{path} is damaged",
        f"Stop Shoal, move {path} away together with its -wal and -shm files, and restore the latest backup",
    )
