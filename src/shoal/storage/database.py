"""The database: units of work, readers that see one state, and the outbox that keeps a change and its event together.

It is a SQLite file with one writer at a time, or a PostgreSQL database that several processes write at once. What differs
is in `sqlite.py` and `postgres.py`; everything above is written for both.
"""

import asyncio
import contextlib
import logging
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import URL, Executable, Row, Table, delete, func, insert, make_url, select
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.expression import ColumnElement

from shoal import tracing
from shoal.errors import Conflict, Rejected, Unavailable
from shoal.events.envelope import Event
from shoal.storage import migrate as migrations
from shoal.storage.outbox import OutboxRow, outbox_events, row_of
from shoal.storage.postgres import PostgresEngine
from shoal.storage.sqlite import SqliteEngine
from shoal.storage.tables import AutoId, Json, Timestamp, metadata

__all__ = ["AutoId", "Database", "Json", "Timestamp", "Transaction", "metadata", "upsert"]

log = logging.getLogger(__name__)

Parameters = Mapping[str, object] | Sequence[Mapping[str, object]]
Engine = SqliteEngine | PostgresEngine

# SQLite takes at most 32,766 parameters in a statement; rows go in pieces that stay below it with 32 columns each.
ROWS_PER_STATEMENT_MAX: Final = 1_000

# What has to be kept together with whatever this task changes: who asked for it, and that it is done. Called at the end of
# each transaction; when it raises, nothing is kept.
before_commit: Final[ContextVar[Callable[["Transaction"], Awaitable[None]] | None]] = ContextVar(
    "before_commit", default=None
)


class Transaction:
    """One unit of work: all of it is kept, or nothing. Events published in it leave after it was kept."""

    def __init__(self, connection: AsyncConnection, engine: Engine) -> None:
        self.connection = connection
        self._engine = engine
        self._events: list[Event] = []
        self._callbacks: list[Callable[[], None]] = []
        self._changed = 0
        self.pokes: set[str] = set()

    async def execute(self, statement: Executable, parameters: Parameters | None = None) -> CursorResult[Any]:
        """Runs a statement; with a list of parameters once for each of them."""
        result = await self.connection.execute(statement, parameters)
        if isinstance(statement, UpdateBase) and result.rowcount != 0:  # -1: the driver does not know
            self._changed += 1
        return result

    async def scalar(self, statement: Executable, parameters: Mapping[str, object] | None = None) -> Any:
        """The first column of the first row, None when there is none."""
        return await self.connection.scalar(statement, parameters)

    async def rows(self, statement: Executable, parameters: Mapping[str, object] | None = None) -> list[Row[Any]]:
        """All rows. The statement has its limit."""
        return list((await self.connection.execute(statement, parameters)).all())

    def publish(self, event: Event) -> None:
        """Lays an event into the outbox: it goes to the stream after this transaction, or never if that fails."""
        if event.trace is None and (trace := tracing.carried()) is not None:
            event = msgspec.structs.replace(event, trace=trace)
        self._events.append(event)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Calls back once this transaction is kept; not at all when it is not."""
        self._callbacks.append(callback)

    def poke(self, table: str) -> None:
        """Tells whoever waits for something new in that table, in any process, once this transaction is kept.

        A poke may be lost: whoever waits for one looks by itself, too.
        """
        self.pokes.add(table)

    async def in_order(self, name: str) -> None:
        """From here to the commit this transaction is alone with that name, so numbers drawn here are kept in order.

        Whoever follows a table by its rising numbers would else miss one that was drawn early and kept late.
        """
        await self._engine.in_order(self.connection, name)

    @property
    def changes(self) -> int:
        """A number that rises with each statement that changed a row, each event published, each callback asked for."""
        return self._changed + len(self._events) + len(self._callbacks)

    async def flush(self) -> None:
        """Writes what was published and tells who is poked. The database calls it before it commits."""
        if self._events:
            await self.in_order(outbox_events.name)
            now = datetime.now(UTC)
            await self.connection.execute(insert(outbox_events), [row_of(event, now) for event in self._events])
            self._events.clear()
            self.poke(outbox_events.name)

    def committed(self) -> None:
        """Runs what waited for the commit. A callback that fails must not undo what is already kept."""
        for callback in self._callbacks:
            try:
                callback()
            except Exception:  # the transaction is kept: the rest must be told all the same
                log.exception("transaction.callback_failed")


class Database:
    """Where Shoal keeps what it knows. `where` is its place as people write it, without a password."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.where = str(engine.path) if isinstance(engine, SqliteEngine) else engine.where
        self._writing = asyncio.Lock() if engine.has_one_writer else None
        self._waiting: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)
        # Marks our own notices: what this process changed it has told itself already.
        self._process = secrets.token_hex(4)

    @classmethod
    async def open(cls, url: str, *, migrate: bool = True) -> "Database":
        """Opens `sqlite:////path/shoal.db` or `postgresql://user@host/name`, and brings its tables up to date.

        A SQLite file is created when it is missing; `sqlite://` is a private one that vanishes when it is closed.
        Without `migrate`, and for a private one, the tables are made as the code says: there is no past to keep.

        Raises:
            Unavailable: away, damaged, locked, not writable; with what to do about it.
            Rejected: not a URL of a database that we support.
        """

        async def prepare(engine: Engine) -> None:
            if migrate and not engine.is_private:
                await asyncio.to_thread(migrations.upgrade, engine.writers.url)
            await engine.check()
            if not migrate or engine.is_private:
                async with engine.writers.begin() as connection:
                    await connection.run_sync(metadata.create_all)

        return await cls._opened(url, prepare)

    @classmethod
    async def join(cls, url: str) -> "Database":
        """Opens a database whose tables are up to date already, as one of several processes that share it.

        Raises:
            Unavailable: away, or its tables are of another version; with what to do about it.
            Rejected: not a URL of a database that we support.
        """

        async def prepare(engine: Engine) -> None:
            await engine.check()
            await asyncio.to_thread(migrations.check, engine.writers.url)

        return await cls._opened(url, prepare)

    @classmethod
    async def _opened(cls, url: str, prepare: Callable[[Engine], Awaitable[None]]) -> "Database":
        """Prepared and listening; closed again when that fails."""
        engine = _engine_of(url)
        try:
            with _translated(engine):
                await prepare(engine)
        except BaseException:
            await engine.close()
            raise
        database = cls(engine)
        engine.listen(database._heard)
        return database

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A unit of work. Others may wait for it: keep it short, and never wait for the outside world in it.

        Raises:
            Unavailable: the database is away, or two writers met; nothing was changed.
            Conflict: a unique value was taken by somebody else a moment ago.
        """
        async with (
            self._writing or contextlib.nullcontext(),
            _guarded(self._engine),
            self._engine.writers.begin() as connection,
        ):
            transaction = Transaction(connection, self._engine)
            yield transaction
            if (kept_with := before_commit.get()) is not None:
                await kept_with(transaction)
            await transaction.flush()
            await self._engine.notify(connection, [f"{name} {self._process}" for name in sorted(transaction.pokes)])
        transaction.committed()
        for name in transaction.pokes:
            self._poke(name)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one state of the database from its first query to its last."""
        async with _guarded(self._engine), self._engine.readers.connect() as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[bool]:
        """Whether nobody else, in any process, is inside this with the same name. Does not wait."""
        if self._engine.has_one_writer:
            yield True
            return
        with _translated(self._engine):
            async with self._engine.writers.begin() as connection:
                yield await self._engine.alone(connection, name)

    async def claim(self, name: str) -> bool:
        """Whether this process has the thing of that name from now on, and no other, for as long as it lives.

        Raises:
            Unavailable: the database is away.
        """
        async with _guarded(self._engine):
            return await self._engine.claim(name)

    async def give_back(self, name: str) -> None:
        """Ends a claim of this process.

        Raises:
            Unavailable: the database is away.
        """
        async with _guarded(self._engine):
            await self._engine.give_back(name)

    async def lost_claims(self) -> set[str]:
        """Claims of this process that another one has by now: the connection broke, and the other was quicker.

        Raises:
            Unavailable: the database is away.
        """
        async with _guarded(self._engine):
            return await self._engine.lost_claims()

    async def close(self) -> None:
        """Closes all connections."""
        await self._engine.close()

    def on(self, table: str, poke: Callable[[], None]) -> None:
        """Calls `poke` after each transaction, of any process, that poked for this table."""
        self._waiting[table].append(poke)

    def _heard(self, notice: str) -> None:
        name, _, process = notice.partition(" ")
        if not name:
            for known in list(self._waiting):
                self._poke(known)
        elif process != self._process:
            self._poke(name)

    def _poke(self, name: str) -> None:
        for poke in self._waiting.get(name, ()):
            poke()

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

    async def outbox_oldest(self) -> datetime | None:
        """Since when the oldest of them has waited."""
        query = select(outbox_events.c.created_at).order_by(outbox_events.c.id).limit(1)
        async with self.reading() as connection:
            found: datetime | None = await connection.scalar(query)
            return found


async def upsert(
    tx: Transaction,
    table: Table,
    rows: Sequence[Mapping[str, object]],
    index_elements: Sequence[str],
    update: Iterable[str] | None = None,
    where: Callable[[Any], ColumnElement[bool]] | None = None,
    added: Iterable[str] = (),
) -> None:
    """Inserts rows; where the key is there already, updates `update` (None: all other columns given; empty: nothing).

    What is `added` becomes the sum of the old and the new. `where` gets the new row ("excluded") and says which old rows
    may be replaced, such as only older ones. Rows are written in the order of their keys, so that two writers never wait
    for each other.
    """
    if not rows:
        return
    ordered = sorted(rows, key=lambda row: tuple(str(row[name]) for name in index_elements))
    columns = [name for name in ordered[0] if name not in index_elements] if update is None else list(update)
    statement = _upsert_statement(tx.connection.dialect.name, table, index_elements, columns, where, added)
    for start in range(0, len(ordered), ROWS_PER_STATEMENT_MAX):
        await tx.execute(statement, ordered[start : start + ROWS_PER_STATEMENT_MAX])


def _upsert_statement(
    dialect: str,
    table: Table,
    index_elements: Sequence[str],
    update: Iterable[str],
    where: Callable[[Any], ColumnElement[bool]] | None,
    added: Iterable[str],
) -> Executable:
    """INSERT .. ON CONFLICT: update these columns, or leave the row alone when there are none."""
    # Both have the same face, but no type in common that says so.
    statement: Any = (postgresql_dialect if dialect == "postgresql" else sqlite_dialect).insert(table)
    changes = {name: statement.excluded[name] for name in update}
    changes |= {name: table.c[name] + statement.excluded[name] for name in added}
    conditioned: Executable = (
        statement.on_conflict_do_update(
            index_elements=list(index_elements),
            set_=changes,
            where=None if where is None else where(statement.excluded),
        )
        if changes
        else statement.on_conflict_do_nothing(index_elements=list(index_elements))
    )
    return conditioned


def _engine_of(url: str) -> Engine:
    try:
        parsed: URL = make_url(url)
    except ArgumentError as error:
        # The text may hold a password.
        raise Rejected("database", "not of the form postgresql://USER@HOST/NAME") from error
    match parsed.get_backend_name():
        case "sqlite":
            is_private = parsed.database in {None, "", ":memory:"}
            return SqliteEngine(None if is_private else Path(str(parsed.database)))
        case "postgresql":
            return PostgresEngine(parsed)
        case other:
            raise Rejected("database", f"{other} is not supported", supported="sqlite, postgresql")


@contextlib.asynccontextmanager
async def _guarded(engine: Engine) -> AsyncIterator[None]:
    """Errors in our words; and nobody waits for ever for a server that hangs."""
    with _translated(engine):
        try:
            async with asyncio.timeout(engine.patience_s) as patience:
                yield
        except TimeoutError as error:
            if not patience.expired():
                raise
            reason = f"no answer within {engine.patience_s:.0f} s"
            raise Unavailable("database", reason, "Look at the server and the network") from error


@contextlib.contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        away = engine.unavailable(error)
        if away is not None:
            raise away from error
        if engine.is_taken(error):
            raise Conflict("value", "somebody else took it a moment ago: look again") from error
        raise
