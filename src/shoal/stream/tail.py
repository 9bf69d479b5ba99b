"""New events as they come, from now on, for whoever only watches: no offset is kept, nothing is repeated."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from shoal.errors import Rejected, Unavailable
from shoal.events.codec import AnyEvent, decode
from shoal.events.topics import Topic
from shoal.stream.log import Log, OffsetOutOfRange

logger = logging.getLogger(__name__)

# Events that wait for a slow watcher; then reading waits for it. A live page is behind after a second of these anyway.
WAITING_EVENTS_MAX: Final = 1_000
# One read: a burst of a farm, small enough to be decoded between two other things.
RECORDS_PER_READ_MAX: Final = 500
WAIT: Final = timedelta(seconds=5)
BACK_OFF: Final = timedelta(seconds=1)


class Tail:
    """`async with Tail(log, topics) as events: async for event in events: ...`. Begins where `async with` does."""

    def __init__(self, log: Log, topics: Sequence[Topic]) -> None:
        self._log = log
        self._topics = topics
        self._events: asyncio.Queue[AnyEvent] = asyncio.Queue(WAITING_EVENTS_MAX)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        for topic in self._topics:
            for partition in range(self._log.partitions(topic)):
                _, end = await self._log.bounds(topic, partition)
                self._tasks.append(asyncio.create_task(self._follow(topic, partition, end)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AnyEvent:
        return await self._events.get()

    async def _follow(self, topic: Topic, partition: int, offset: int) -> None:
        while True:
            try:
                part = await self._log.read(topic, partition, offset, limit=RECORDS_PER_READ_MAX, wait=WAIT)
            except OffsetOutOfRange:
                # A watcher that was asleep for longer than retention: what it missed is gone, what comes is not.
                _, offset = await self._log.bounds(topic, partition)
                continue
            except Unavailable as error:
                logger.info("tail.waits", extra={"neighbour": error.neighbour, "reason": error.reason})
                await asyncio.sleep(BACK_OFF.total_seconds())
                continue
            for record in part.records:
                try:
                    event = decode(topic, record.value)
                except Rejected:
                    continue  # the workers bury it
                await self._events.put(event)
            offset = part.next_offset
