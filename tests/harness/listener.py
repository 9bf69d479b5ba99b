"""Keeps what an `lwm2m.Server` tells, so that a test can wait for it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from shoal.lwm2m import Server, ServerEvent

# A busy two-core machine; whoever waits this long has failed.
PATIENCE_S: Final = 60

E = TypeVar("E", bound=ServerEvent)


class Listener:
    """All events of a server since it started."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._came = asyncio.Event()
        self.events: list[ServerEvent] = []

    async def listen(self) -> None:
        async for event in self._server.events():
            self.events.append(event)
            self._came.set()

    async def hears(self, kind: type[E], that: Callable[[E], bool] = lambda _event: True) -> E:
        """Waits for an event of this kind of which `that` is true, among those that came before, too."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._came.clear()
                for event in self.events:
                    if isinstance(event, kind) and that(event):
                        return event
                await self._came.wait()

    def heard(self, kind: type[E]) -> list[E]:
        """What came of this kind so far."""
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def listening(server: Server) -> AsyncIterator[Listener]:
    """Listens to a running server until the end of the block."""
    listener = Listener(server)
    task = asyncio.create_task(listener.listen())
    try:
        yield listener
    finally:
        task.cancel()
        await asyncio.wait([task])
