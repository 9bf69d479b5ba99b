"""A server and what it says, over real sockets on the loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from shoal.lwm2m import Device, Server
from tests.harness.listener import Listener, listening

KEY = bytes(range(16))
SECURE = "coaps://127.0.0.1:0"
CLEAR = "coap://127.0.0.1:0"
# Far beyond what the loopback takes; a test that fails says so after this.
PATIENCE = timedelta(seconds=20)


async def until(is_so: Callable[[], bool]) -> None:
    """Looks again and again until it is so."""
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while not is_so():  # noqa: ASYNC110  # nobody tells of it
            await asyncio.sleep(0.01)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Knows `oxy-0417` by its key, and believes `buoy-1`."""
    async with Server(SECURE, CLEAR, credentials={"oxy-0417": KEY}, endpoints=["buoy-1"]) as server:
        yield server


@pytest.fixture
async def listener(server: Server) -> AsyncIterator[Listener]:
    async with listening(server) as listener:
        yield listener


def sensor(server: Server, key: bytes = KEY) -> Device:
    """The device of that name, with a few values."""
    device = Device("oxy-0417", server.addresses[0], identity="oxy-0417", key=key)
    device.set("/3/0/9", 87)
    device.set("/3/0/14", "+01:00")
    device.set("/3303/0/5700", 4.5)
    return device


@pytest.fixture
async def device(server: Server, listener: Listener) -> AsyncIterator[Device]:
    """It has registered."""
    async with sensor(server) as device:
        await device.registered(PATIENCE)
        yield device
