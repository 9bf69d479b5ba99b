"""Queued commands go to the core, and what became of them comes back into the queue.

The database is the queue; the core holds what is unfinished and sends it when the device listens. A poke only saves
waiting: whatever is missed is found at the next look.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from shoal import tracing
from shoal.clock import Clock
from shoal.commands.command import Command, Operation, State, Trigger, trigger_for
from shoal.commands.store import COMMANDS_PER_QUERY_MAX, Commands, Mark
from shoal.errors import Unavailable
from shoal.lwm2m.dataplane import Answer, DataPlane
from shoal.storage.database import Database
from shoal.storage.poke import Poke

log = logging.getLogger(__name__)

LOOK_EVERY: Final = timedelta(seconds=2)
AWAY_FOR: Final = timedelta(seconds=1)
# 32 commands may wait for one device.
DEVICES_PER_LOOK_MAX: Final = 50
# After a restart nobody knows whether these arrived, and doing them twice is not the same as once.
NOT_REPEATED: Final = frozenset({Operation.EXECUTE, Operation.CREATE})

# What the core says about a request that never became one, in words for the one who asked.
_DETAILS: Final = {"unregistered": "not registered", "too_many": "too many requests wait for this device"}


class Downlink:
    """Carries commands down and answers up, for all devices of this process."""

    def __init__(
        self,
        core: DataPlane,
        commands: Commands,
        database: Database,
        settle: Callable[[], Awaitable[None]],
        clock: Clock,
        serves: Callable[[Sequence[str]], Awaitable[Collection[str]]],
    ) -> None:
        """`settle` brings everything into the core that a command may rely on; `serves` tells which of some devices are
        this gateway's, where there are several."""
        self._core = core
        self._commands = commands
        self._database = database
        self._settle = settle
        self._clock = clock
        self._poke = Poke()
        commands.on_change(self._poke)
        self._taken = 0
        self._serves = serves
        # What the core has and that is not over, with the device of each.
        self._held: dict[int, str] = {}
        self._came: set[str] = set()
        self._marks: list[Mark] = []
        # Of those held that belong to a trace: its traceparent, and since when they wait for what comes next.
        self._traced: dict[int, tuple[str, datetime]] = {}

    @property
    def held(self) -> int:
        """Commands that the core has and that are not over."""
        return len(self._held)

    def told(self, answers: Sequence[Answer]) -> None:
        """What became of requests. Called in the event loop; written down with the next round."""
        now = self._clock.now()
        for answer in answers:
            self._trace(answer, now)
            if answer.outcome != "sent":
                self._held.pop(answer.id, None)
            self._marks.append(
                Mark(
                    number=answer.id,
                    trigger=trigger_for(answer.outcome),
                    at=now,
                    code=answer.code,
                    detail=answer.detail or _DETAILS.get(answer.outcome, ""),
                    answer=answer.body,
                    trip_ms=None if answer.trip_s is None else answer.trip_s * 1_000,
                )
            )
        self._poke()

    def _trace(self, answer: Answer, now: datetime) -> None:
        """Shows how long a command waited for the device to listen, and how long the device took."""
        if answer.id not in self._traced:
            return
        parent, since = self._traced.pop(answer.id)
        name = "command waits" if answer.outcome == "sent" else "device answers"
        facts = {"outcome": answer.outcome} if answer.code is None else {"outcome": answer.outcome, "code": answer.code}
        tracing.record(name, start=since, end=now, kind="client", parent=parent, facts=facts)
        if answer.outcome == "sent":
            self._traced[answer.id] = (parent, now)

    def came(self, devices: Iterable[str]) -> None:
        """This gateway has these devices now: what was asked of them before is to be looked for."""
        self._came.update(devices)
        self._poke()

    def went(self, devices: Iterable[str]) -> None:
        """Another gateway has these devices now, and finds what was asked of them."""
        gone = set(devices)
        for number in [number for number, device in self._held.items() if device in gone]:
            del self._held[number]
            self._traced.pop(number, None)

    def look_again(self) -> None:
        """Devices were taken over: whatever was asked of them is to be found."""
        self._taken = 0
        self._poke()

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            try:
                await self.carry()
                wait = LOOK_EVERY
            except Unavailable as error:
                log.warning("downlink.waits", extra={"neighbour": error.neighbour, "reason": error.reason})
                await asyncio.sleep(AWAY_FOR.total_seconds())
                continue
            await self._poke.wait(wait)

    async def carry(self) -> None:
        """One round: answers into the database, calls back what was cancelled, submits what is new.

        Raises:
            Unavailable: the database is away; nothing was lost, the next round goes on.
        """
        await self._write_down()
        await self._call_back()
        while waiting := await self._commands.unfinished(self._taken):
            await self._take(waiting)
            self._taken = waiting[-1].number
        while self._came:
            devices = sorted(self._came)[:DEVICES_PER_LOOK_MAX]
            await self._take(await self._commands.unfinished_of(devices))
            self._came.difference_update(devices)

    async def _take(self, waiting: Sequence[Command]) -> None:
        """Those that are for this gateway, and that it does not have yet."""
        new = [command for command in waiting if command.number not in self._held]
        if new:
            await self._settle()
            ours = await self._serves(list({str(command.device) for command in new}))
            self._submit([command for command in new if str(command.device) in ours])

    async def _write_down(self) -> None:
        marks = list(self._marks)
        if marks:
            async with self._database.transaction() as tx:
                await self._commands.mark_all(tx, marks)
            del self._marks[: len(marks)]

    async def _call_back(self) -> None:
        held = sorted(self._held)
        for start in range(0, len(held), COMMANDS_PER_QUERY_MAX):
            part = held[start : start + COMMANDS_PER_QUERY_MAX]
            states = await self._commands.states(part)
            for number in part:
                state = states.get(number)
                if state is None or not state.is_unfinished:
                    self._core.cancel(number)
                    self._held.pop(number, None)
                    self._traced.pop(number, None)

    def _submit(self, waiting: Sequence[Command]) -> None:
        now = self._clock.now()
        requests = []
        for command in waiting:
            left_s = (command.expires_at - now).total_seconds()
            if left_s <= 0:
                continue  # the queue itself ends what is overdue
            if command.state is State.SENT and command.operation in NOT_REPEATED:
                self._marks.append(
                    Mark(
                        number=command.number,
                        trigger=Trigger.TIME_OUT,
                        at=now,
                        detail="sent before a restart; whether the device did it is not known",
                    )
                )
                self._poke()
                continue
            requests.append(
                (
                    command.number,
                    str(command.device),
                    command.operation.value,
                    command.path,
                    command.body,
                    left_s,
                    command.wait_for_wake,
                )
            )
            self._held[command.number] = str(command.device)
            if command.trace is not None:
                self._traced[command.number] = (command.trace, command.created_at)
        self._core.submit(requests)
