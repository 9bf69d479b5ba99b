"""Sockets for datagrams on loopback: what a router or a balancer between devices and us is made of."""

import asyncio
from collections.abc import Callable

Address = tuple[str, int]
Receive = Callable[[bytes, Address], None]


class _Side(asyncio.DatagramProtocol):
    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    def datagram_received(self, data: bytes, address: Address) -> None:
        self._receive(data, address)


async def endpoint(receive: Receive) -> asyncio.DatagramTransport:
    """A socket on a free port; `receive` gets what comes, with where it comes from."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Side(receive), local_addr=("127.0.0.1", 0)
    )
    return transport
