"""A router between a device and us that forgets its port mapping when told, as carriers' routers do after minutes; the
bad network behind it, and whoever listens there and says things of his own."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Self
from urllib.parse import urlsplit

from tests.harness.datagrams import Address, endpoint

# After how many seconds each copy of the next datagram arrives; no copy: it is lost.
Weather = Callable[[], list[float]]

# More than any story has.
SEEN_MAX: Final = 10_000


def storm(seed: int) -> Weather:
    """One datagram of five is lost, one of ten comes twice, and a third behind those that were sent after it."""
    dice = random.Random(seed)

    def weather() -> list[float]:
        fate = dice.random()
        if fate < 0.2:
            return []
        delay = 0.05 if dice.random() < 0.33 else 0.0
        return [delay, delay] if fate < 0.3 else [delay]

    return weather


class Nat:
    """Carries datagrams of one device to a server and back. `uri` is where the device finds the server.

    With `carries` only so many reach the server: then the device has gone out of reach. `seen` is what the device sent.
    """

    def __init__(self, server: str, *, carries: int | None = None, weather: Weather | None = None) -> None:
        parts = urlsplit(server)
        assert parts.hostname is not None
        assert parts.port is not None
        self._scheme = parts.scheme
        self._server = (parts.hostname, parts.port)
        self._carries = carries
        self.weather = weather
        self.seen: deque[bytes] = deque(maxlen=SEEN_MAX)
        self._device: Address | None = None
        self._inside: asyncio.DatagramTransport | None = None
        self._outside: asyncio.DatagramTransport | None = None
        self.uri = ""

    async def open(self) -> Self:
        self._inside = await endpoint(self._from_device)
        host, port = self._inside.get_extra_info("sockname")
        self.uri = f"{self._scheme}://{host}:{port}"
        self._outside = await endpoint(self._from_server)
        return self

    @property
    def port(self) -> int:
        """The port from which the server hears the device."""
        assert self._outside is not None
        return int(self._outside.get_extra_info("sockname")[1])

    async def forget(self) -> None:
        """From now on the device comes from another port, and nothing reaches it at the old one."""
        assert self._outside is not None
        old, self._outside = self._outside, await endpoint(self._from_server)
        old.close()

    def close(self) -> None:
        for transport in (self._inside, self._outside):
            if transport is not None:
                transport.close()

    def _from_device(self, data: bytes, address: Address) -> None:
        self._device = address
        if self._carries is not None:
            if self._carries == 0:
                return
            self._carries -= 1
        self.seen.append(data)
        self._under_way(lambda: self.inject(data))

    def inject(self, data: bytes) -> None:
        """A datagram to the server from where the device is, whoever said it."""
        if self._outside is not None and not self._outside.is_closing():
            self._outside.sendto(data, self._server)

    def _under_way(self, deliver: Callable[[], None]) -> None:
        if self.weather is None:
            deliver()
            return
        for delay in self.weather():
            asyncio.get_running_loop().call_later(delay, deliver)

    def _from_server(self, data: bytes, _address: Address) -> None:
        self._under_way(lambda: self._to_device(data))

    def _to_device(self, data: bytes) -> None:
        if self._inside is not None and not self._inside.is_closing() and self._device is not None:
            self._inside.sendto(data, self._device)


@asynccontextmanager
async def nat(server: str, *, carries: int | None = None, weather: Weather | None = None) -> AsyncIterator[Nat]:
    """A router in front of `server`."""
    router = await Nat(server, carries=carries, weather=weather).open()
    try:
        yield router
    finally:
        router.close()
