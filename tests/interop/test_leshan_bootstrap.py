"""Eclipse Leshan's client is given its account by our bootstrap server, and asks for another one when it is told to."""

import asyncio
from contextlib import suppress

import pytest

from shoal.lwm2m import Access, Account, BootstrapServer, Registered, Server
from tests.harness.listener import listening
from tests.harness.peers import KEY, NAME, SECURE, leshan

pytestmark = [pytest.mark.leshan, pytest.mark.timeout(300)]

NEW_KEY = bytes(range(16, 32))


async def watch(bootstrap: BootstrapServer, states: list[str]) -> None:
    async for event in bootstrap.events():
        states += [event.state]


async def test_it_gets_a_key_and_registers_with_it() -> None:
    async with Server("coaps://127.0.0.1:0", credentials={NAME: NEW_KEY}) as server, listening(server) as listener:
        account = Account(uri=server.addresses[0], identity=NAME, key=NEW_KEY)
        states: list[str] = []
        async with BootstrapServer(
            "coaps://127.0.0.1:0", credentials={NAME: KEY}, accounts={NAME: account}
        ) as bootstrap:
            watching = asyncio.create_task(watch(bootstrap, states))
            async with leshan(bootstrap.addresses[0], NAME, bootstraps=True, **SECURE) as client:
                await client.says("registered")
                registered = await listener.hears(Registered)
                battery = await server.read(NAME, "/3/0/9")
                first = list(states)
                await server.execute(NAME, "/1/0/9")
                await listener.hears(Registered, lambda event: event is not registered)
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    assert (registered.secure, battery) == (True, 87)
    assert 0.8 * 86_400 <= registered.lifetime_s <= 86_400
    assert first == ["requested", "finished"]
    assert states == ["requested", "finished"] * 2


async def test_what_it_does_not_have_it_refuses_and_says_which() -> None:
    # Leshan's client has no Access Control object unless it is given one.
    account = Account(
        uri="coaps://127.0.0.1:9", identity=NAME, key=NEW_KEY, access=[Access(path="/3/0", rights={101: 15}, owner=101)]
    )
    async with (
        BootstrapServer("coaps://127.0.0.1:0", credentials={NAME: KEY}, accounts={NAME: account}) as bootstrap,
        leshan(bootstrap.addresses[0], NAME, bootstraps=True, **SECURE),
    ):
        async for event in bootstrap.events():
            if event.state == "refused":
                break

    assert (event.path, event.code) == ("/2/0", "4.04")
