"""A server of ours, what it hears, and Leshan's client registered with it over DTLS."""

from collections.abc import AsyncIterator

import pytest

from shoal.lwm2m import Server
from tests.harness.listener import Listener, listening
from tests.harness.peers import KEY, NAME, SECURE, LeshanPeer, leshan


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server("coaps://127.0.0.1:0", credentials={NAME: KEY}) as running:
        yield running


@pytest.fixture
async def listener(server: Server) -> AsyncIterator[Listener]:
    async with listening(server) as made:
        yield made


@pytest.fixture
async def peer(server: Server, listener: Listener) -> AsyncIterator[LeshanPeer]:
    async with leshan(server.addresses[0], NAME, **SECURE) as client:
        await client.says("registered")
        yield client
