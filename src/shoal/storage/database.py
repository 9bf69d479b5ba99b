"""The database: one writer at a time, many readers, and the outbox that keeps a change and its event together."""

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Executable, Row, Table, delete, func, insert, make_url, select, text
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.expression import ColumnElement

from shoal.errors import Rejected, Unavailable
from shoal.events.envelope import Event
from shoal.storage import migrate as migrations
from shoal.storage import sqlite
from shoal.storage.outbox import OutboxRow, outbox_events, row_of
from shoal.storage.tables import AutoId, Json, Timestamp, metadata

__all__ = ["AutoId", "Database", "Json", "Timestamp", "Transaction", "metadata", "upsert"]

log = logging.getLogger(__name__)

Parameters = Mapping[str, object] | Sequence[Mapping[str, object]]

# SQLite takes at most 32,766 parameters in a statement; rows go in pieces that stay below it with 32 columns each.
ROWS_PER_STATEMENT_MAX: Final = 1_000

# What has to be kept together with whatever this task changes: who asked for it, and that it is done. Called at the end of
# each transaction; when it raises, nothing is kept.
before_commit: Final[ContextVar[Callable[["Transaction"], Awaitable[None]] | None]] = ContextVar(
    "before_commit", default=None
)

# A whole check reads the whole file: a second for this much. Damage in a larger one shows when it is read.
CHECKED_BYTES_MAX: Final = 256 << 20


class Transaction:
    """One unit of work: all of it is kept, or nothing. Events published in it leave after it was kept."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self._events: list[Event] = []
        self._callbacks: list[Callable[[], None]] = []

    async def execute(self, statement: Executable, parameters: Parameters | None = None) -> CursorResult[Any]:
        """Runs a statement; with a list of parameters once for each of them."""
        return await self.connection.execute(statement, parameters)

    async def scalar(self, statement: Executable, parameters: Mapping[str, object] | None = None) -> Any:
        """The first column of the first row, None when there is none."""
        return await self.connection.scalar(statement, parameters)

    async def rows(self, statement: Executable, parameters: Mapping[str, object] | None = None) -> list[Row[Any]]:
        """All rows. The statement has its limit."""
        return list((await self.connection.execute(statement, parameters)).all())

    def publish(self, event: Event) -> None:
        """Lays an event into the outbox: it goes to the stream after this transaction, or never if that fails."""
        self._events.append(event)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Calls back once this transaction is kept; not at all when it is not."""
        self._callbacks.append(callback)

    async def changes(self) -> int:
        """A number that rises with each row changed, event published or callback asked for."""
        rows = await self.connection.scalar(text(sqlite.changes_statement()))
        return int(rows or 0) + len(self._events) + len(self._callbacks)

    async def flush(self) -> bool:
        """Writes the published events; True when there were any. The database calls it before it commits."""
        if not self._events:
            return False
        now = datetime.now(UTC)
        await self.connection.execute(insert(outbox_events), [row_of(event, now) for event in self._events])
        self._events.clear()
        return True

    def committed(self) -> None:
        """Runs what waited for the commit. A callback that fails must not undo what is already kept."""
        for callback in self._callbacks:
            try:
                callback()
            except Exception:  # the transaction is kept: the rest must be told all the same
                log.exception("transaction.callback_failed")


class Database:
    """One SQLite file. `sqlite://` is a private one that vanishes when it is closed (tests, rehearsals)."""

    def __init__(self, path: Path, writer: AsyncEngine, readers: AsyncEngine, private: Path | None) -> None:
        self.path = path
        self._writer = writer
        self._readers = readers
        self._private = private
        self._writing = asyncio.Lock()
        self._outbox_listeners: list[Callable[[], None]] = []

    @classmethod
    async def open(cls, url: str, *, migrate: bool = True) -> "Database":
        """Opens `sqlite:////path/shoal.db`, creates it when missing, brings its tables up to date.

        Without `migrate`, and for a private database, the tables are made as the code says: there is no past to keep.

        Raises:
            Unavailable: damaged, locked, not writable; with what to do about it.
            Rejected: not a URL of a database that we support.
        """
        path, folder = _path_of(url)
        if migrate and folder is None:
            await asyncio.to_thread(_upgrade, path)
        database = cls(path, sqlite.writer(path, is_durable=folder is None), sqlite.readers(path), folder)
        try:
            with _translated(path):
                async with database._writer.connect() as connection:
                    if path.stat().st_size <= CHECKED_BYTES_MAX:
                        damage = await connection.scalar(text("PRAGMA quick_check(1)"))
                        if damage != "ok":
                            raise sqlite.damaged(path)
                    if not migrate or folder is not None:
                        await connection.run_sync(metadata.create_all)
                        await connection.commit()
        except BaseException:
            await database.close()
            raise
        return database

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A unit of work. Others wait: keep it short, and never wait for the outside world in it."""
        has_events = False
        async with self._writing:
            with _translated(self.path):
                async with self._writer.begin() as connection:
                    transaction = Transaction(connection)
                    yield transaction
                    if (kept_with := before_commit.get()) is not None:
                        await kept_with(transaction)
                    has_events = await transaction.flush()
        transaction.committed()
        if has_events:
            for poke in self._outbox_listeners:
                poke()

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one state of the database from its first query to its last."""
        with _translated(self.path):
            async with self._readers.connect() as connection:
                yield connection

    async def close(self) -> None:
        """Closes all connections."""
        await self._readers.dispose()
        await self._writer.dispose()
        if self._private is not None:
            for child in self._private.iterdir():
                child.unlink()
            self._private.rmdir()
            self._private = None

    def on_outbox(self, poke: Callable[[], None]) -> None:
        """Calls `poke` after each transaction that published something."""
        self._outbox_listeners.append(poke)

    async def outbox(self, limit: int) -> list[OutboxRow]:
        """The oldest events that wait for the stream, in order."""
        table = outbox_events.c
        query = select(table.id, table.topic, table.key, table.value).order_by(table.id).limit(limit)
        async with self.reading() as connection:
            return [OutboxRow(*row) for row in await connection.execute(query)]

    async def outbox_carried(self, last: int) -> None:
        """Everything up to this row is in the log: forget it."""
        async with self.transaction() as tx:
            await tx.execute(delete(outbox_events).where(outbox_events.c.id <= last))

    async def outbox_waiting(self) -> int:
        """How many events wait for the stream."""
        async with self.reading() as connection:
            return int(await connection.scalar(select(func.count()).select_from(outbox_events)) or 0)


async def upsert(
    tx: Transaction,
    table: Table,
    rows: Sequence[Mapping[str, object]],
    index_elements: Sequence[str],
    update: Iterable[str] | None = None,
    where: Callable[[Any], ColumnElement[bool]] | None = None,
) -> None:
    """Inserts rows; where the key is there already, updates `update` (None: all other columns given; empty: nothing).

    `where` gets the new row ("excluded") and says which old rows may be replaced, such as only older ones. Rows are
    written in the order of their keys, so that two writers never wait for each other.
    """
    if not rows:
        return
    ordered = sorted(rows, key=lambda row: tuple(str(row[name]) for name in index_elements))
    columns = [name for name in ordered[0] if name not in index_elements] if update is None else list(update)
    statement = sqlite.upsert_statement(table, index_elements, columns, where)
    for start in range(0, len(ordered), ROWS_PER_STATEMENT_MAX):
        await tx.execute(statement, ordered[start : start + ROWS_PER_STATEMENT_MAX])


def _path_of(url: str) -> tuple[Path, Path | None]:
    """The file, and the folder to remove with it when the database is private."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise Rejected("database", f"{parsed.get_backend_name()} is not supported", supported="sqlite")
    if parsed.database in {None, "", ":memory:"}:
        # A real file even so: only then readers and the writer behave as they do in production.
        folder = Path(tempfile.mkdtemp(prefix="shoal-"))
        return folder / "shoal.db", folder
    path = Path(str(parsed.database))
    if not path.parent.is_dir():
        raise Unavailable("database", f"{path.parent} is not a folder", "Create it, or name another data folder")
    return path, None


def _upgrade(path: Path) -> None:
    with _translated(path):
        migrations.upgrade(f"sqlite:///{path}")


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        away = sqlite.unavailable(error, path)
        if away is None:
            raise
        raise away from error
