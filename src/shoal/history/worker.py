"""Writes the past down as it happens."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from shoal.clock import Clock
from shoal.errors import Unavailable
from shoal.events.device import DeviceRemoved, ReadingsReported
from shoal.events.topics import ALERT, CAMPAIGN, CONDITION, DEVICE, Topic
from shoal.history.readings import distinct, newest, samples
from shoal.history.refusal_store import write_refusals
from shoal.history.store import (
    History,
    mark_forgotten,
    write_last_values,
    write_samples,
    write_timeline,
)
from shoal.history.timeline import line
from shoal.storage.database import Transaction
from shoal.stream.worker import Batch

logger = logging.getLogger(__name__)

# How often to look for what is too old; a day's worth is then deleted in small pieces.
FORGET_EVERY: Final = timedelta(hours=1)
# Between two pieces others get their turn at the database.
PIECES_PAUSE: Final = timedelta(milliseconds=50)


class HistoryHandler:
    """Group `history`: readings, last values, the timeline and the security log. Has no timers."""

    group: Final = "history"
    topics: Final[Sequence[Topic]] = (DEVICE, CONDITION, ALERT, CAMPAIGN)
    timed: Final[Sequence[Topic]] = ()

    async def handle(self, tx: Transaction, batch: Batch) -> None:
        events = [event for _, event in batch.events]
        taken = [sample for event in events if isinstance(event, ReadingsReported) for sample in samples(event)]
        await write_samples(tx, distinct(taken))
        await write_last_values(tx, newest(taken))
        rows: list[dict[str, object]] = [
            {
                "id": event.id,
                "tenant_id": told.tenant,
                "device_id": told.device,
                "time": event.time,
                "kind": told.kind,
                "says": told.says,
                "detail": dict(told.detail),
            }
            for event in events
            if (told := line(event)) is not None
        ]
        await write_timeline(tx, rows)
        await write_refusals(tx, events)
        removed = {event.device for event in events if isinstance(event, DeviceRemoved) and event.device}
        await mark_forgotten(tx, removed)


async def forget_now_and_then(history: History, clock: Clock) -> None:
    """Deletes what is too old, for ever."""
    while True:
        pause = FORGET_EVERY
        try:
            if await history.forget(clock.now()):
                pause = PIECES_PAUSE
        except Unavailable as error:
            logger.warning("history.waits", extra={"neighbour": error.neighbour, "reason": error.reason})
        await asyncio.sleep(pause.total_seconds())
