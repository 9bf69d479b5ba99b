"""Lets the time pass for alerts: whoever is next is told, and what was taken for too long needs somebody again.

Any number of these may run. Each takes some due alerts in a transaction of its own; the others pass those over.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Final, NoReturn

from shoal.alerting import chase, store
from shoal.clock import Clock
from shoal.errors import Unavailable
from shoal.storage.database import Database

log = logging.getLogger(__name__)

# Alerts of one transaction: some milliseconds, so that nobody waits for it.
ALERTS_PER_TURN_MAX: Final = 50
# A time frame that began a moment ago is noticed that late at most; frames are minutes.
LOOK_EVERY: Final = timedelta(seconds=2)


class Escalator:
    """Runs until it is cancelled."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def run(self) -> NoReturn:
        """Does what is due, sleeps until something is."""
        while True:
            try:
                while await self.escalate_due():
                    pass
                wait = await self._until_due()
            except Unavailable as error:
                log.warning("escalation.waits", extra={"neighbour": error.neighbour, "reason": error.reason})
                wait = LOOK_EVERY
            await asyncio.sleep(wait.total_seconds())

    async def escalate_due(self) -> int:
        """Does what is due for some alerts; for how many.

        Raises:
            Unavailable: the database is away; nothing was done by half.
        """
        now = self._clock.now()
        async with self._database.transaction() as tx:
            due = await store.due(tx, now, ALERTS_PER_TURN_MAX)
            for alert in due:
                escalated, events = chase.pass_time(alert, now)
                await store.save(tx, escalated, events)
        for alert in due:
            log.info("alert.escalated", extra={"alert": alert.id, "code": alert.code, "severity": alert.severity.value})
        return len(due)

    async def _until_due(self) -> timedelta:
        due_at = await store.next_due(self._database)
        if due_at is None:
            return LOOK_EVERY
        return min(max(due_at - self._clock.now(), timedelta(milliseconds=50)), LOOK_EVERY)
