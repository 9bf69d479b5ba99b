"""Deletes what is kept for a while only and no room has a worker for: the audit log, the answers to repeated requests."""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from shoal.audit.store import Audit
from shoal.clock import Clock
from shoal.errors import Unavailable
from shoal.storage import answers
from shoal.storage.database import Database

log: Final = logging.getLogger(__name__)

# A flood of keys is held for this long at most.
LOOK_EVERY: Final = timedelta(minutes=1)
# Between two pieces others get their turn at the database.
PIECES_PAUSE: Final = timedelta(milliseconds=50)


async def thin_now_and_then(database: Database, clock: Clock, audit_days: int) -> None:
    """Deletes what is too old, for ever."""
    audit, kept = Audit(database), timedelta(days=audit_days)
    while True:
        pause = LOOK_EVERY
        try:
            now = clock.now()
            if await audit.forget(now, kept) + await answers.forget(database, now):
                pause = PIECES_PAUSE
        except Unavailable as error:
            log.warning("thinning.waits", extra={"neighbour": error.neighbour, "reason": error.reason})
        await asyncio.sleep(pause.total_seconds())
