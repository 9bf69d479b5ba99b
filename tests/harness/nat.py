"""A router between a device and us that forgets its port mapping when told, as carriers' routers do after minutes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import urlsplit

Address = tuple[str, int]
Receive = Callable[[bytes, Address], None]


class Nat:
    """Carries datagrams of one device to a server and back. `uri` is where the device finds the server.

    With `carries` only so many reach the server: then the device has gone out of reach.
    """

    def __init__(self, server: str, *, carries: int | None = None) -> None:
        parts = urlsplit(server)
        assert parts.hostname is not None
        assert parts.port is not None
        self._scheme = parts.scheme
        self._server = (parts.hostname, parts.port)
        self._carries = carries
        self._device: Address | None = None
        self._inside: asyncio.DatagramTransport | None = None
        self._outside: asyncio.DatagramTransport | None = None
        self.uri = ""

    async def open(self) -> Self:
        self._inside = await self._socket(self._from_device)
        host, port = self._inside.get_extra_info("sockname")
        self.uri = f"{self._scheme}://{host}:{port}"
        self._outside = await self._socket(self._from_server)
        return self

    @property
    def port(self) -> int:
        """The port from which the server hears the device."""
        assert self._outside is not None
        return int(self._outside.get_extra_info("sockname")[1])

    async def forget(self) -> None:
        """From now on the device comes from another port, and nothing reaches it at the old one."""
        assert self._outside is not None
        old, self._outside = self._outside, await self._socket(self._from_server)
        old.close()

    def close(self) -> None:
        for transport in (self._inside, self._outside):
            if transport is not None:
                transport.close()

    async def _socket(self, receive: Receive) -> asyncio.DatagramTransport:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Side(receive), local_addr=("127.0.0.1", 0)
        )
        return transport

    def _from_device(self, data: bytes, address: Address) -> None:
        self._device = address
        if self._carries is not None:
            if self._carries == 0:
                return
            self._carries -= 1
        if self._outside is not None:
            self._outside.sendto(data, self._server)

    def _from_server(self, data: bytes, _address: Address) -> None:
        if self._inside is not None and self._device is not None:
            self._inside.sendto(data, self._device)


class _Side(asyncio.DatagramProtocol):
    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    def datagram_received(self, data: bytes, address: Address) -> None:
        self._receive(data, address)


@asynccontextmanager
async def nat(server: str, *, carries: int | None = None) -> AsyncIterator[Nat]:
    """A router in front of `server`."""
    router = await Nat(server, carries=carries).open()
    try:
        yield router
    finally:
        router.close()
