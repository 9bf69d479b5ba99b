"""Stands between Shoal and a neighbour, and does to their connections what networks do: cuts them, or lets them hang."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

# One piece of a stream. Small enough that a fault comes in the middle of what is said.
PIECE_BYTES: Final = 16_384


class Proxy:
    """Forwards TCP connections to a port on loopback. `port` is where it listens, the same for its whole life."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.port = 0

    async def start(self) -> None:
        """Listens; takes connections."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Ends all connections and takes no more, as a machine that is gone."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def stall(self) -> None:
        """Nothing arrives any more, in either direction, and nobody is told: the worst of all."""
        self._flows.clear()

    async def restore(self) -> None:
        """As if nothing had been."""
        self._flows.set()
        if self._server is None:
            await self.start()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._flows.wait()
            there, to_there = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._pump(reader, to_there))
                    tasks.create_task(self._pump(there, writer))
            finally:
                to_there.close()
        except (OSError, ExceptionGroup):
            pass  # one of the two is gone, and hears of it from us
        finally:
            writer.close()
            self._connections.discard(task)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(PIECE_BYTES):
            await self._flows.wait()
            sink.write(piece)
            await sink.drain()
        # One side has said all it wanted; the other hears that.
        raise ConnectionResetError


@asynccontextmanager
async def proxy(target: int) -> AsyncIterator[Proxy]:
    """A proxy that is gone at the end."""
    running = Proxy(target)
    await running.start()
    try:
        yield running
    finally:
        with contextlib.suppress(OSError):
            await running.cut()
