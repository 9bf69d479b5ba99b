"""Commands in the database: a row each, and an event for every state it comes into, in one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    LargeBinary,
    Row,
    Select,
    String,
    Table,
    Text,
    bindparam,
    delete,
    exists,
    insert,
    or_,
    select,
    update,
)

from shoal import metrics, tracing
from shoal.access.decision import Place
from shoal.clock import Clock
from shoal.commands.command import UNFINISHED, Command, Operation, State, Trigger, after, check_cancel
from shoal.commands.queue import ANSWER_WAIT, WAITING_PER_DEVICE_MAX, Add, Asked, Full, Join, admit, check_asked
from shoal.errors import Conflict, NotFound, Rejected, Unavailable
from shoal.events.device import NULL, CommandChanged
from shoal.ids import CommandId, DeviceId, Prefix, TenantId, new_id
from shoal.storage.database import AutoId, Database, Timestamp, Transaction, metadata

# One page of a device's commands; also how many the gateway takes at once.
COMMANDS_PER_QUERY_MAX: Final = 500
# With 2^35 ids two collisions in a row are next to impossible; sixteen are a broken generator.
DRAWS_MAX: Final = 16

_UNFINISHED: Final = tuple(state.value for state in UNFINISHED)

_OUTCOME_COLUMNS: Final = ("state", "sent_at", "finished_at", "code", "detail", "answer", "trip_ms")

commands: Final = Table(
    "commands",
    metadata,
    Column("number", AutoId, primary_key=True, autoincrement=True),
    Column("id", String(16), nullable=False, unique=True),
    Column("tenant_id", String(16), nullable=False),
    Column("device_id", String(16), nullable=False),
    Column("farm_id", String(16)),
    Column("enclosure_id", String(16)),
    Column("operation", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("body", LargeBinary),
    Column("state", Text, nullable=False),
    Column("wait_for_wake", Boolean, nullable=False),
    Column("by", Text),
    Column("created_at", Timestamp, nullable=False),
    Column("expires_at", Timestamp, nullable=False),
    Column("sent_at", Timestamp),
    Column("finished_at", Timestamp),
    Column("code", Text),
    Column("detail", Text, nullable=False),
    Column("answer", LargeBinary),
    Column("trip_ms", Float),
    Column("trace", String(tracing.TRACEPARENT_CHARACTERS)),
    Index("ix_commands_device", "device_id", "number"),
    Index("ix_commands_state", "state", "expires_at"),
    Index("ix_commands_finished", "finished_at"),
    sqlite_autoincrement=True,  # the core knows a command by its number: it must never mean another one
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What became of a command: as the gateway reports it (`command.trigger_for`), or as the clock says."""

    number: int
    trigger: Trigger
    at: datetime
    code: str | None = None
    detail: str = ""
    answer: bytes | None = None
    trip_ms: float | None = None


class Commands:
    """What was asked of devices."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        draw: Callable[[Prefix], str] = new_id,
    ) -> None:
        self._database = database
        self._clock = clock
        self._draw = draw

    def on_change(self, poke: Callable[[], None]) -> None:
        """Calls `poke` whenever the gateway has something to do. It may be lost: look now and then all the same."""
        self._database.on(commands.name, poke)

    # -- asking ----------------------------------------------------------------------------------------------------

    async def enqueue(
        self,
        tx: Transaction,
        place: Place,
        operation: Operation,
        path: str,
        *,
        body: bytes | None = None,
        time_to_live: timedelta,
        by: str | None,
        wait_for_wake: bool,
    ) -> Command:
        """Asks the device at this place; the same question that waits already is joined, not asked twice.

        `body` is JSON as the core takes it (`{"value":5}`). The caller has decided that `by` may do it.

        Raises:
            Rejected: no device, a body that is no JSON or too large, a time to live out of range.
            Conflict: 32 commands wait for the device already.
        """
        if place.device is None:
            raise Rejected("device", "a command needs one")
        asked = check_asked(
            Asked(
                operation=operation,
                path=path,
                body=body,
                time_to_live=time_to_live,
                wait_for_wake=wait_for_wake,
                by=by,
            )
        )
        now = self._clock.now()
        unfinished = [
            _command(row)
            for row in await tx.rows(_of_device(place.tenant, place.device, True).limit(WAITING_PER_DEVICE_MAX))
        ]
        match admit(asked, unfinished, now):
            case Join(command):
                return command
            case Full(waiting):
                raise Conflict(place.device, f"{waiting} commands wait for it already", waiting=waiting)
            case Add():
                return await self._insert(tx, place, place.device, asked, now)

    async def cancel(self, tx: Transaction, tenant: TenantId, command: CommandId) -> Command:
        """Calls back a command that has not left. Raises NotFound, Conflict when it has, or when it is over."""
        query = select(commands).where(commands.c.tenant_id == tenant, commands.c.id == command)
        rows = await tx.rows(query.with_for_update())
        if not rows:
            raise NotFound(command, "no such command")
        found = _command(rows[0])
        check_cancel(found)
        marked = await self.mark(tx, Mark(number=found.number, trigger=Trigger.CANCEL, at=self._clock.now()))
        tx.poke(commands.name)
        return marked or found

    async def cancel_all(self, tx: Transaction, tenant: TenantId, device: DeviceId) -> int:
        """Calls back all that waits for a device, because it goes; how many those were."""
        rows = await tx.rows(_of_device(tenant, device, True).limit(COMMANDS_PER_QUERY_MAX))
        now = self._clock.now()
        marks = [
            Mark(number=row.number, trigger=Trigger.CANCEL, at=now, detail="the device was removed") for row in rows
        ]
        tx.poke(commands.name)
        return len(await self.mark_all(tx, marks))

    # -- reading ---------------------------------------------------------------------------------------------------

    async def command(self, tenant: TenantId, command: CommandId) -> Command:
        """One command, its answer included. Raises NotFound, also for another tenant's."""
        query = select(commands).where(commands.c.tenant_id == tenant, commands.c.id == command)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(command, "no such command")
        return _command(row)

    async def of_device(
        self,
        tenant: TenantId,
        device: DeviceId,
        *,
        before: int | None = None,
        limit: int = COMMANDS_PER_QUERY_MAX,
        is_unfinished: bool | None = None,
    ) -> list[Command]:
        """What was asked of a device, newest first; the next page is `before` the number of the last."""
        query = _of_device(tenant, device, is_unfinished).order_by(commands.c.number.desc()).limit(_checked(limit))
        if before is not None:
            query = query.where(commands.c.number < before)
        async with self._database.reading() as connection:
            return [_command(row) for row in await connection.execute(query)]

    async def unfinished(self, after_number: int, limit: int = COMMANDS_PER_QUERY_MAX) -> list[Command]:
        """What the gateway has to carry, over all tenants, in the order in which it was asked.

        After a restart there may be some that were sent: nobody knows whether the device got them.
        """
        query = (
            select(commands)
            .where(commands.c.state.in_(_UNFINISHED), commands.c.number > after_number)
            .order_by(commands.c.number)
            .limit(_checked(limit))
        )
        async with self._database.reading() as connection:
            return [_command(row) for row in await connection.execute(query)]

    async def unfinished_of(self, devices: Sequence[str]) -> list[Command]:
        """What the gateway has to carry to these devices, in the order in which it was asked."""
        query = (
            select(commands)
            .where(commands.c.state.in_(_UNFINISHED), commands.c.device_id.in_(devices))
            .order_by(commands.c.number)
            .limit(len(devices) * WAITING_PER_DEVICE_MAX)
        )
        async with self._database.reading() as connection:
            return [_command(row) for row in await connection.execute(query)]

    async def states(self, numbers: Sequence[int]) -> dict[int, State]:
        """Where these commands are: so the gateway learns which of those it holds were called back. At most 500."""
        _checked(max(1, len(numbers)))
        query = select(commands.c.number, commands.c.state).where(commands.c.number.in_(numbers))
        async with self._database.reading() as connection:
            return {row.number: State(row.state) for row in await connection.execute(query)}

    # -- what became of it -----------------------------------------------------------------------------------------

    async def mark(self, tx: Transaction, mark: Mark) -> Command | None:
        """Writes what became of a command; None when that changes nothing."""
        marked = await self.mark_all(tx, [mark])
        return marked[0] if marked else None

    async def mark_all(self, tx: Transaction, marks: Sequence[Mark]) -> list[Command]:
        """Writes what became of commands, in this order, and publishes it; those that it changed."""
        numbers = sorted({mark.number for mark in marks})
        found: dict[int, Command] = {}
        for start in range(0, len(numbers), COMMANDS_PER_QUERY_MAX):
            part = numbers[start : start + COMMANDS_PER_QUERY_MAX]
            query = select(commands).where(commands.c.number.in_(part)).order_by(commands.c.number)
            rows = await tx.rows(query.with_for_update())
            found.update((row.number, _command(row)) for row in rows)
        changed: dict[int, Command] = {}
        for mark in marks:
            command = found.get(mark.number)
            state = after(command.state, mark.trigger) if command else None
            if command is None or state is None:
                continue
            found[mark.number] = changed[mark.number] = _marked(command, state, mark)
            tx.publish(_event(changed[mark.number], mark.at))
        ended = [command for command in changed.values() if command.finished_at is not None]
        if ended:
            tx.after_commit(lambda: _count(ended))
        if changed:
            await tx.execute(_MARK, [_outcome(command) for command in changed.values()])
        return list(changed.values())

    async def overdue(self, now: datetime, limit: int = COMMANDS_PER_QUERY_MAX) -> list[Command]:
        """Commands whose time is over, longest first: those that left get the time an answer may take on top."""
        waiting = (commands.c.state == State.QUEUED.value) & (commands.c.expires_at <= now)
        sent = (commands.c.state == State.SENT.value) & (commands.c.expires_at <= now - ANSWER_WAIT)
        query = select(commands).where(or_(waiting, sent)).order_by(commands.c.expires_at, commands.c.number)
        async with self._database.reading() as connection:
            return [_command(row) for row in await connection.execute(query.limit(_checked(limit)))]

    async def forget(self, tx: Transaction, before: datetime, limit: int = COMMANDS_PER_QUERY_MAX) -> int:
        """Deletes commands that were over before then; how many. What they did stays on the timeline."""
        old = (
            select(commands.c.number)
            .where(commands.c.finished_at < before, commands.c.state.not_in(_UNFINISHED))
            .order_by(commands.c.finished_at)
            .limit(_checked(limit))
        )
        return int((await tx.execute(delete(commands).where(commands.c.number.in_(old)))).rowcount)

    async def _insert(self, tx: Transaction, place: Place, device: DeviceId, asked: Asked, now: datetime) -> Command:
        values = {
            "id": await self._fresh_id(tx),
            "tenant_id": place.tenant,
            "device_id": device,
            "farm_id": place.farm,
            "enclosure_id": place.enclosure,
            "operation": asked.operation.value,
            "path": asked.path,
            "body": asked.body,
            "state": State.QUEUED.value,
            "wait_for_wake": asked.wait_for_wake,
            "by": asked.by,
            "created_at": now,
            "expires_at": now + asked.time_to_live,
            "detail": "",
            "trace": tracing.carried(),
        }
        # The gateway follows the queue by its numbers.
        await tx.in_order(commands.name)
        result = await tx.execute(insert(commands).values(**values))
        number = result.inserted_primary_key[0] if result.inserted_primary_key else 0
        command = _command((await tx.rows(select(commands).where(commands.c.number == number)))[0])
        tx.publish(_event(command, now))
        tx.poke(commands.name)
        return command

    async def _fresh_id(self, tx: Transaction) -> CommandId:
        """A collision is drawn again; the unique index stands behind it."""
        for _ in range(DRAWS_MAX):
            drawn = self._draw(Prefix.COMMAND)
            if not await tx.scalar(select(exists().where(commands.c.id == drawn))):
                return CommandId(drawn)
        raise Unavailable(
            "random numbers", f"{DRAWS_MAX} ids in a row are taken", "Look at the system's entropy source"
        )


def _of_device(tenant: TenantId, device: DeviceId, is_unfinished: bool | None) -> Select[Any]:
    query = select(commands).where(commands.c.tenant_id == tenant, commands.c.device_id == device)
    if is_unfinished is None:
        return query
    is_open = commands.c.state.in_(_UNFINISHED)
    return query.where(is_open if is_unfinished else ~is_open)


def _checked(limit: int) -> int:
    if not 1 <= limit <= COMMANDS_PER_QUERY_MAX:
        raise Rejected("limit", f"{limit}, expected 1 to {COMMANDS_PER_QUERY_MAX}")
    return limit


def _marked(command: Command, state: State, mark: Mark) -> Command:
    return replace(
        command,
        state=state,
        sent_at=mark.at if mark.trigger is Trigger.SEND else command.sent_at,
        finished_at=None if state.is_unfinished else mark.at,
        code=mark.code or command.code,
        detail=mark.detail,
        answer=mark.answer or command.answer,
        trip_ms=command.trip_ms if mark.trip_ms is None else mark.trip_ms,
    )


def _count(ended: Sequence[Command]) -> None:
    for command in ended:
        outcome = command.state.value
        metrics.command_ends.labels(command.operation.value, outcome).inc()
        if command.finished_at is not None:
            metrics.command_seconds.labels(outcome).observe((command.finished_at - command.created_at).total_seconds())
        if command.trip_ms is not None:
            metrics.command_trip_seconds.observe(command.trip_ms / 1_000)


def _outcome(command: Command) -> dict[str, object]:
    return {
        "marked": command.number,
        "state": command.state.value,
        "sent_at": command.sent_at,
        "finished_at": command.finished_at,
        "code": command.code,
        "detail": command.detail,
        "answer": command.answer,
        "trip_ms": command.trip_ms,
    }


_MARK: Final = (
    update(commands)
    .where(commands.c.number == bindparam("marked"))
    .values({name: bindparam(name) for name in _OUTCOME_COLUMNS})
)


def _event(command: Command, at: datetime) -> CommandChanged:
    """The state it has come into; no state comes twice."""
    return CommandChanged(
        id=f"{command.id}-{command.state.value}",
        time=at,
        device=command.device,
        tenant=command.place.tenant,
        farm=command.place.farm,
        enclosure=command.place.enclosure,
        command=command.id,
        operation=command.operation.value,
        path=command.path,
        paths=list(command.paths),
        state=command.state.value,
        by=command.by,
        code=command.code,
        detail=command.detail,
        body=NULL if command.answer is None else msgspec.Raw(command.answer),
        trace=command.trace,
    )


def _command(row: Row[Any]) -> Command:
    return Command(
        number=row.number,
        id=row.id,
        device=row.device_id,
        place=Place(tenant=row.tenant_id, farm=row.farm_id, enclosure=row.enclosure_id, device=row.device_id),
        operation=Operation(row.operation),
        path=row.path,
        body=row.body,
        state=State(row.state),
        wait_for_wake=row.wait_for_wake,
        by=row.by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        sent_at=row.sent_at,
        finished_at=row.finished_at,
        code=row.code,
        detail=row.detail,
        answer=row.answer,
        trip_ms=row.trip_ms,
        trace=row.trace,
    )
