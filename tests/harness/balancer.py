"""A load balancer for datagrams that knows nothing of what is in them: each device goes to one of the servers, until it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from tests.harness.datagrams import Address, endpoint

Choose = Callable[[Address], int]


class Balancer:
    """Carries datagrams between devices and servers. A server hears each device from a port of the balancer's, and can
    answer it through that one only.

    `choose` tells which server a device goes to, by its place among them.
    """

    def __init__(self, servers: Sequence[str], choose: Choose) -> None:
        self._scheme: Final = urlsplit(servers[0]).scheme
        self._servers: Final = [_address(server) for server in servers]
        self.choose = choose
        self._front: asyncio.DatagramTransport | None = None
        self._backs: dict[tuple[Address, int], asyncio.DatagramTransport] = {}
        self.uri = ""
        # Datagrams from devices, by server.
        self.carried = [0] * len(servers)

    async def open(self) -> None:
        """Listens. What comes is carried by a task of its own, in its order."""
        self._queue: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
        self._front = await endpoint(lambda data, address: self._queue.put_nowait((data, address)))
        host, port = self._front.get_extra_info("sockname")
        self.uri = f"{self._scheme}://{host}:{port}"
        self._carrying = asyncio.create_task(self._carry())

    async def close(self) -> None:
        self._carrying.cancel()
        await asyncio.wait([self._carrying])
        for transport in [self._front, *self._backs.values()]:
            if transport is not None:
                transport.close()

    async def _carry(self) -> None:
        while True:
            data, device = await self._queue.get()
            place = self.choose(device)
            back = self._backs.get((device, place))
            if back is None:
                back = await endpoint(lambda data, _, device=device: self._answer(data, device))
                self._backs[device, place] = back
            self.carried[place] += 1
            back.sendto(data, self._servers[place])

    def _answer(self, data: bytes, device: Address) -> None:
        if self._front is not None and not self._front.is_closing():
            self._front.sendto(data, device)


def _address(server: str) -> Address:
    parts = urlsplit(server)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


@asynccontextmanager
async def balancer(servers: Sequence[str], choose: Choose) -> AsyncIterator[Balancer]:
    """One in front of these servers."""
    made = Balancer(servers, choose)
    await made.open()
    try:
        yield made
    finally:
        await made.close()
