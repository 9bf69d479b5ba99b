"""What only SQLite does: its engines, its ON CONFLICT, its errors.

Two engines for one file: a writer with a single connection, because SQLite has one writer anyway and a queue of ours is
fairer than its busy handler; and readers that never see half a transaction (write-ahead log).
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.expression import ColumnElement

from shoal.errors import Unavailable

# Screens and workers that read at once; each holds a file handle and a thread, and a query takes a few milliseconds.
READERS_MAX: Final = 8
# Another process (a backup, a person with a shell) may hold the file for a moment.
BUSY_MS: Final = 5_000

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


def writer(path: Path, *, is_durable: bool) -> AsyncEngine:
    """The engine with the one connection that writes."""
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0
    )
    _prepare(engine, begin="BEGIN IMMEDIATE", pragmas=[f"synchronous = {'FULL' if is_durable else 'OFF'}"])
    return engine


def readers(path: Path) -> AsyncEngine:
    """The engine for connections that only read."""
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", poolclass=AsyncAdaptedQueuePool, pool_size=READERS_MAX, max_overflow=0
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


def upsert_statement(
    table: Table,
    index_elements: Sequence[str],
    update: Iterable[str],
    where: Callable[[Any], ColumnElement[bool]] | None,
) -> Insert:
    """INSERT .. ON CONFLICT: update these columns, or leave the row alone when there are none."""
    statement = insert(table)
    changes = {name: statement.excluded[name] for name in update}
    if not changes:
        return statement.on_conflict_do_nothing(index_elements=list(index_elements))
    return statement.on_conflict_do_update(
        index_elements=list(index_elements),
        set_=changes,
        where=None if where is None else where(statement.excluded),
    )


def changes_statement() -> str:
    """How many rows this connection changed since it was opened."""
    return "SELECT total_changes()"


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
