"""Ends the commands whose time is over, also those that no gateway holds (it was away, or restarted)."""

import asyncio
import itertools
import logging
from datetime import timedelta
from typing import Final

from shoal.clock import Clock
from shoal.commands.command import Trigger
from shoal.commands.store import COMMANDS_PER_QUERY_MAX, Commands, Mark
from shoal.errors import Unavailable
from shoal.storage.database import Database

log = logging.getLogger(__name__)

# The gateway itself ends what it holds in time; this is for the rest.
SWEEP_EVERY: Final = timedelta(seconds=1)
SWEEPS_PER_TIDYING: Final = 600
# What was asked of a device and came of it is on its timeline; the rows are for looking up an answer.
KEPT: Final = timedelta(days=90)


class Expiry:
    """Looks for overdue commands every second. The table of states makes a second look harmless."""

    def __init__(self, commands: Commands, database: Database, clock: Clock) -> None:
        self._commands = commands
        self._database = database
        self._clock = clock

    async def run(self) -> None:
        """Works until it is cancelled."""
        for round_number in itertools.count():
            try:
                await self.sweep()
                if round_number % SWEEPS_PER_TIDYING == 0:
                    await self.tidy()
            except Unavailable as error:
                log.warning("commands.expiry_waits", extra={"neighbour": error.neighbour, "reason": error.reason})
            await asyncio.sleep(SWEEP_EVERY.total_seconds())

    async def sweep(self) -> int:
        """Ends all that is overdue now; how many those were."""
        ended = 0
        while overdue := await self._commands.overdue(self._clock.now()):
            now = self._clock.now()
            marks = [Mark(number=command.number, trigger=Trigger.EXPIRE, at=now) for command in overdue]
            async with self._database.transaction() as tx:
                ended += len(await self._commands.mark_all(tx, marks))
            if len(overdue) < COMMANDS_PER_QUERY_MAX:
                break
        return ended

    async def tidy(self) -> int:
        """Forgets commands that were over long ago, some at a time; how many those were."""
        async with self._database.alone("commands.tidy") as is_mine, self._database.transaction() as tx:
            if not is_mine:
                return 0
            return await self._commands.forget(tx, self._clock.now() - KEPT)
