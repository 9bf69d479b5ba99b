"""What only PostgreSQL does: its engines, its locks, its notices between processes, its errors."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import URL, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from shoal.errors import Unavailable

logger = logging.getLogger(__name__)

# Connections of one process. A server takes 100 by default: seven roles with these leave room for a person with a shell.
CONNECTIONS_KEPT: Final = 4
CONNECTIONS_MORE: Final = 8
# How long a caller waits for one of them.
CONNECTION_WAIT_S: Final = 10
# A server that does not take a connection in this time is away.
CONNECT_S_MAX: Final = 5
# A statement that takes longer is a fault: our longest query takes milliseconds.
STATEMENT_MS_MAX: Final = 30_000
# A server that hangs, or a network that swallows everything, keeps no timeout of its own.
PATIENCE_S: Final = 40.0
# What a network swallowed is noticed after this by the kernel.
UNHEARD_MS_MAX: Final = 20_000
# Whoever holds a row for longer hangs.
LOCK_MS_MAX: Final = 10_000
# The relay holds its lock while the broker takes a batch, which may be slow for longer than anything else of ours.
IDLE_MS_MAX: Final = 120_000
# Notices are only a short cut, whoever waits for one also looks by itself: a lost listener is in no hurry.
# A machine that went away gives its claims back within half a minute.
CLAIMS_KEPT: Final = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "tcp_keepalives_idle": 10,
        "tcp_keepalives_interval": 5,
        "tcp_keepalives_count": 4,
        "tcp_user_timeout": UNHEARD_MS_MAX,
    }.items()
)
LISTEN_AGAIN: Final = timedelta(seconds=1)
CHANNEL: Final = "shoal"

# The middle of each is what an operator reads, the end what there is to do. Keys are SQLSTATEs or their classes
# (PostgreSQL 15, appendix A).
_AWAY: Final = {
    "28": ("it refuses our name or password", "Check the user and the password in `database`"),
    "3D": ("that database is not there", "Create it, or check the name in `database`"),
    "08": ("the connection broke", "Look at the server; Shoal goes on by itself when it is back"),
    "57P": ("it is shutting down or starting", "Shoal goes on by itself when it is back"),
    "57014": ("a statement took too long", "Look at the load of the server"),
    "53100": ("its disk is full", "Free some space there; nothing was lost, and Shoal goes on by itself"),
    "53300": ("it takes no more connections", "Raise max_connections, or run fewer processes"),
    "53": ("it is short of resources", "Look at the load of the server"),
    "25006": ("it may only be read, as a standby", "Point `database` at the primary"),
    "42501": ("our user may not do that", "Let the user own the database"),
    "40001": ("two writers met", "It is tried again"),
    "40P01": ("two writers met", "It is tried again"),
    "55P03": ("two writers met", "It is tried again"),
}
_NOT_REACHED: Final = ("it cannot be reached", "Look at the server and the network; Shoal goes on by itself")
_BEFORE: Final = {"password": "28", "role": "28", "does not exist": "3D", "too many": "53300", "starting up": "57P"}
_UNIQUE_VIOLATION: Final = "23505"


class PostgresEngine:
    """One database of a PostgreSQL server, shared with other processes."""

    has_one_writer: Final = False
    patience_s: Final = PATIENCE_S
    is_private: Final = False

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg")
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        # Without the password: it goes into messages.
        self.where: Final = f"{url.host or 'local socket'}:{url.port or 5432}/{url.database}"
        limits = {
            "statement_timeout": STATEMENT_MS_MAX,
            "lock_timeout": LOCK_MS_MAX,
            "idle_in_transaction_session_timeout": IDLE_MS_MAX,
        }
        self._connect_args: dict[str, Any] = {
            "connect_timeout": CONNECT_S_MAX,
            "tcp_user_timeout": UNHEARD_MS_MAX,
            "application_name": "shoal",
            "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
        }
        self.writers: Final = create_async_engine(
            self._url,
            pool_size=CONNECTIONS_KEPT,
            max_overflow=CONNECTIONS_MORE,
            pool_timeout=CONNECTION_WAIT_S,
            # A server that was restarted is noticed before a caller's first statement fails.
            pool_pre_ping=True,
            connect_args=self._connect_args,
            hide_parameters=True,  # an error goes into the log
        )
        event.listen(self.writers.sync_engine, "connect", _on_connect)
        # One state of the database from the first query to the last.
        self.readers: Final[AsyncEngine] = self.writers.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._listening: asyncio.Task[None] | None = None
        self._claiming = asyncio.Lock()
        self._claims: psycopg.AsyncConnection[Any] | None = None
        # What this process has, and what of it its connection holds: less after that broke.
        self._claimed: set[str] = set()
        self._confirmed: set[str] = set()

    async def check(self) -> None:
        """Connects. Raises what the server says."""
        async with self.writers.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def in_order(self, connection: AsyncConnection, name: str) -> None:
        """From here to the commit nobody else is past this point: what is numbered here is kept in that order."""
        await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"shoal {name}"})

    async def alone(self, connection: AsyncConnection, name: str) -> bool:
        """Whether this transaction is the only one, in all processes, that does the thing of that name."""
        found = await connection.scalar(
            text("SELECT pg_try_advisory_xact_lock(hashtext(:name))"), {"name": f"shoal {name} alone"}
        )
        return bool(found)

    async def claim(self, name: str) -> bool:
        """Whether this process has the thing of that name from now on, and no other, for as long as it lives.

        The server gives it back when the connection breaks: at once when the process ends, after a while when its machine
        does.
        """
        async with self._claiming:
            with self._explained():
                if name not in self._confirmed and await self._claim(await self._claimer(), name):
                    self._confirmed.add(name)
                    self._claimed.add(name)
            return name in self._confirmed

    async def give_back(self, name: str) -> None:
        """Ends a claim of this process."""
        async with self._claiming:
            self._claimed.discard(name)
            self._confirmed.discard(name)
            with self._explained():
                connection = await self._claimer()
                await connection.execute("SELECT pg_advisory_unlock(hashtext(%s))", (_claim_name(name),))

    async def lost_claims(self) -> set[str]:
        """Claims of this process that another has by now. After a break of the connection all are claimed anew."""
        async with self._claiming:
            with self._explained():
                connection = await self._claimer()
                try:
                    await connection.execute("SELECT 1")
                except psycopg.Error:
                    await connection.close()
                    connection = await self._claimer()
                for name in sorted(self._claimed - self._confirmed):
                    if await self._claim(connection, name):
                        self._confirmed.add(name)
            return self._claimed - self._confirmed

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self.unavailable(error) or error from error

    async def _claim(self, connection: psycopg.AsyncConnection[Any], name: str) -> bool:
        cursor = await connection.execute("SELECT pg_try_advisory_lock(hashtext(%s))", (_claim_name(name),))
        row = await cursor.fetchone()
        return row is not None and bool(row[0])

    async def _claimer(self) -> psycopg.AsyncConnection[Any]:
        """The connection that holds the claims; a new one in the place of one that broke."""
        if self._claims is None or self._claims.closed:
            self._confirmed.clear()
            self._claims = await psycopg.AsyncConnection.connect(
                self._dsn,
                autocommit=True,
                connect_timeout=CONNECT_S_MAX,
                tcp_user_timeout=UNHEARD_MS_MAX,
                application_name="shoal claims",
                options=CLAIMS_KEPT,
            )
        return self._claims

    async def notify(self, connection: AsyncConnection, names: Iterable[str]) -> None:
        """Tells the other processes, once this transaction is kept."""
        for name in names:
            await connection.execute(
                text("SELECT pg_notify(:channel, :payload)"), {"channel": CHANNEL, "payload": name}
            )

    def listen(self, heard: Callable[[str], None]) -> None:
        """Calls `heard` with what any process notified, from now on. An empty name: some may have been missed."""
        self._listening = asyncio.get_running_loop().create_task(self._listen(heard), name="database notices")

    def unavailable(self, error: BaseException) -> Unavailable | None:
        """What an operator must do about an error; None when the fault is ours (a wrong statement)."""
        if isinstance(error, PoolTimeoutError):
            return Unavailable(
                "database", f"{self.where}: all our connections are busy", "Look at the load of the server"
            )
        cause = error.orig if isinstance(error, DBAPIError) else error
        state = getattr(cause, "sqlstate", None)
        if state is None:
            if not isinstance(cause, psycopg.OperationalError):
                return None
            # What failed before there was a session has no state: only words, of the client library.
            said = _first_line(cause)
            reason, remedy = next((_AWAY[kind] for word, kind in _BEFORE.items() if word in said), _NOT_REACHED)
            return Unavailable("database", f"{self.where}: {reason} ({said})", remedy)
        for kind in (state, state[:3], state[:2]):
            if kind in _AWAY:
                reason, remedy = _AWAY[kind]
                return Unavailable("database", f"{self.where}: {reason}", remedy)
        return None

    def is_taken(self, error: BaseException) -> bool:
        """Whether a row was refused because a unique value is there already."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        return getattr(cause, "sqlstate", None) == _UNIQUE_VIOLATION

    async def close(self) -> None:
        """Closes all connections."""
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
        if self._claims is not None:
            await self._claims.close()
        await self.writers.dispose()

    async def _listen(self, heard: Callable[[str], None]) -> None:
        has_missed = False
        while True:
            try:
                await self._listen_once(heard, has_missed=has_missed)
            except psycopg.Error as error:
                logger.info("database.notices_lost", extra={"reason": _first_line(error)})
            has_missed = True
            await asyncio.sleep(LISTEN_AGAIN.total_seconds())

    async def _listen_once(self, heard: Callable[[str], None], *, has_missed: bool) -> None:
        connecting = asyncio.ensure_future(
            psycopg.AsyncConnection.connect(
                self._dsn, autocommit=True, connect_timeout=CONNECT_S_MAX, application_name="shoal notices"
            )
        )
        try:
            connection = await asyncio.shield(connecting)
        except asyncio.CancelledError:
            # Half a connection has nobody who closes it.
            with contextlib.suppress(psycopg.Error):
                await (await connecting).close()
            raise
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            if has_missed:
                heard("")
            async for notice in connection.notifies():
                heard(notice.payload)


class _TextDumper(StrDumperUnknown):
    """Text as PostgreSQL can keep it: it knows no NUL, and what a device says may hold one. U+FFFD stands for it."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd"))


def _on_connect(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    connection.driver_connection.adapters.register_dumper(str, _TextDumper)


def _claim_name(name: str) -> str:
    return f"shoal {name} claim"


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
