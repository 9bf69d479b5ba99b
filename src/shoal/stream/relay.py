"""Carries events from the outbox into the log, in the order of their transactions."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Final

from shoal import metrics
from shoal.errors import Unavailable
from shoal.events.topics import BY_NAME
from shoal.storage.database import Database
from shoal.storage.outbox import OutboxRow, outbox_events
from shoal.storage.poke import Poke
from shoal.stream.log import Entry, Log

logger = logging.getLogger(__name__)

# Events in one go: enough to empty a burst quickly, few enough that a crash repeats little.
EVENTS_PER_ROUND_MAX: Final = 500
# Another process may publish without telling us.
LOOK_EVERY: Final = timedelta(seconds=1)
BACK_OFF: Final = timedelta(seconds=1)


class Relay:
    """Takes what waits, appends it, forgets it. A crash in between appends it twice: equal ids, consumers do not mind."""

    def __init__(self, database: Database, log: Log) -> None:
        self._database = database
        self._log = log
        self._poke = Poke()
        self.failure: Unavailable | None = None
        database.on(outbox_events.name, self._poke)

    async def run(self) -> None:
        """Carries until it is cancelled."""
        while True:
            try:
                carried = await self.carry()
                self.failure = None
            except Unavailable as error:
                if self.failure is None:
                    logger.warning("relay.waits", extra={"neighbour": error.neighbour, "reason": error.reason})
                self.failure = error
                await asyncio.sleep(BACK_OFF.total_seconds())
                continue
            if carried == 0:
                await self._poke.wait(LOOK_EVERY)

    async def carry(self) -> int:
        """One round; how many events it carried: 0 when another process is at it: two would mix up the order."""
        async with self._database.alone("relay") as is_mine:
            if not is_mine:
                return 0
            rows = await self._database.outbox(EVENTS_PER_ROUND_MAX)
            for topic, entries in _runs(rows):
                await self._log.append(BY_NAME[topic], entries)
                metrics.relayed.labels(topic).inc(len(entries))
            if rows:
                await self._database.outbox_carried(rows[-1].id)
            return len(rows)


def _runs(rows: Sequence[OutboxRow]) -> Iterator[tuple[str, list[Entry]]]:
    """Neighbours of one topic together; never one event before an earlier one of another topic."""
    for topic, run in groupby(rows, key=lambda row: row.topic):
        yield topic, [Entry(row.key, row.value) for row in run]
