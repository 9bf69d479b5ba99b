"""A bootstrap server, a server and devices that know only the former, over real sockets on the loopback."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shoal.errors import Unavailable
from shoal.lwm2m import (
    Account,
    Bootstrap,
    BootstrapEvent,
    BootstrapServer,
    Certificate,
    Device,
    NotLetIn,
    Registered,
    Server,
)
from shoal.lwm2m.bootstrap import hand_out
from shoal.lwm2m.objects import known_objects
from tests.harness.authority import Authority
from tests.harness.listener import Listener, listening
from tests.unit.lwm2m.conftest import CLEAR, KEY, PATIENCE, SECURE, until

NEW_KEY = bytes(range(16, 32))


@asynccontextmanager
async def hearing(server: BootstrapServer) -> AsyncIterator[list[BootstrapEvent]]:
    heard: list[BootstrapEvent] = []

    async def hear() -> None:
        nonlocal heard
        async for event in server.events():
            heard += [event]

    task = asyncio.create_task(hear())
    try:
        yield heard
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def states(heard: list[BootstrapEvent]) -> list[str]:
    return [event.state for event in heard if isinstance(event, Bootstrap)]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Knows `oxy-0417` by its new key."""
    async with Server(SECURE, credentials={"oxy-0417": NEW_KEY}) as server:
        yield server


@pytest.fixture
async def listener(server: Server) -> AsyncIterator[Listener]:
    async with listening(server) as listener:
        yield listener


def account(server: Server) -> Account:
    uri = f"{server.addresses[0]}?enclosure=enc-1"
    return Account(uri=uri, identity="oxy-0417", key=NEW_KEY, values={"/26241/0/0": "enc-1"})


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
@pytest.mark.parametrize("scheme", ["coaps", "coap", "coap+tcp"])
async def test_a_device_is_given_its_server_and_registers_there(
    server: Server, listener: Listener, version: str, scheme: str
) -> None:
    proof = {"identity": "oxy-0417", "key": KEY} if scheme == "coaps" else {}
    known = {"oxy-0417": KEY} if proof else {}
    names = [] if proof else ["oxy-0417"]
    accounts = {"oxy-0417": account(server)}
    async with (
        BootstrapServer(f"{scheme}://127.0.0.1:0", credentials=known, endpoints=names, accounts=accounts) as bootstrap,
        hearing(bootstrap) as heard,
        Device("oxy-0417", bootstrap.addresses[0], bootstrap=True, version=version, **proof) as device,  # type: ignore[arg-type]
    ):
        await device.registered(PATIENCE)
        event = await listener.hears(Registered)
        placement = await server.read("oxy-0417", "/26241/0/0")
        await until(lambda: "finished" in states(heard))

    assert event.attributes == {"enclosure": "enc-1"}
    assert placement == "enc-1"
    assert states(heard) == ["requested", "finished"]
    assert isinstance(heard[0], Bootstrap)
    assert heard[0].via == ("pack" if version == "1.2" else "request")


async def test_an_account_outlives_a_restart_and_a_server_can_ask_for_another(
    server: Server, listener: Listener, tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    async with BootstrapServer(
        SECURE, credentials={"oxy-0417": KEY}, accounts={"oxy-0417": account(server)}
    ) as bootstrap:
        address = bootstrap.addresses[0]
        async with (
            hearing(bootstrap) as heard,
            Device("oxy-0417", address, identity="oxy-0417", key=KEY, bootstrap=True, state=state) as device,
        ):
            await device.registered(PATIENCE)
            await server.execute("oxy-0417", "/1/0/9")
            await until(lambda: states(heard) == ["requested", "finished"] * 2)
            await listener.hears(Registered, lambda event: event is not listener.heard(Registered)[0])

    # Nobody hands out accounts any more.
    async with Device("oxy-0417", address, identity="oxy-0417", key=KEY, bootstrap=True, state=state) as device:
        await device.registered(PATIENCE)


async def test_each_bootstrap_may_bring_a_new_key(server: Server) -> None:
    keys = iter([NEW_KEY, KEY])

    async def made(endpoint: str) -> Account:
        key = next(keys)
        server.admit({endpoint: key})
        return Account(uri=server.addresses[0], identity=endpoint, key=key)

    async with (
        BootstrapServer(SECURE, credentials={"oxy-0417": KEY}, accounts=made) as bootstrap,
        listening(server) as listener,
        Device("oxy-0417", bootstrap.addresses[0], identity="oxy-0417", key=KEY, bootstrap=True) as device,
    ):
        await device.registered(PATIENCE)
        await server.execute("oxy-0417", "/1/0/9")
        await until(lambda: len(listener.heard(Registered)) == 2)

    assert next(keys, None) is None


def pem(file: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(file.read_text())


async def test_certificates_prove_both_ends_and_are_handed_out(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = {name: authority.certificate(name) for name in ("server", "oxy-0417")}
    own, device_own = (
        Certificate.load(files[name].cert, files[name].key, authority.ca, server_name=None)
        for name in ("server", "oxy-0417")
    )
    for_device = Certificate(device_own.chain[:1], device_own.key, [pem(authority.ca)])
    async with Server(SECURE, credentials={"oxy-0417": "x509"}, certificate=own) as server:
        handed_out = Account(uri=server.addresses[0], certificate=for_device)
        async with (
            BootstrapServer(
                SECURE, credentials={"oxy-0417": "x509"}, certificate=own, accounts={"oxy-0417": handed_out}
            ) as bootstrap,
            listening(server),
            Device("oxy-0417", bootstrap.addresses[0], certificate=for_device, bootstrap=True) as device,
        ):
            await device.registered(PATIENCE)


async def test_whoever_is_not_known_gets_nothing(server: Server) -> None:
    accounts = {"oxy-0417": account(server)}
    async with (
        BootstrapServer(SECURE, CLEAR, credentials={"oxy-0417": KEY}, accounts=accounts) as bootstrap,
        hearing(bootstrap) as heard,
        Device("oxy-0417", bootstrap.addresses[1], bootstrap=True) as insecure,
        Device("oxy-0417", bootstrap.addresses[0], identity="oxy-0417", key=NEW_KEY, bootstrap=True),
    ):
        reasons: set[str] = set()

        def is_told() -> bool:
            reasons.update(event.reason for event in heard if isinstance(event, NotLetIn))
            return {"insecure", "wrong_key"} <= reasons

        await until(is_told)
        with pytest.raises(Unavailable, match=r"4\.00"):
            await insecure.registered(PATIENCE / 20)

    assert states(heard) == []


async def test_who_has_no_account_hears_so(server: Server) -> None:
    async with (
        BootstrapServer(SECURE, credentials={"oxy-0417": KEY}, accounts={}) as bootstrap,
        hearing(bootstrap) as heard,
        Device("oxy-0417", bootstrap.addresses[0], identity="oxy-0417", key=KEY, bootstrap=True, version="1.2"),
    ):
        await until(lambda: states(heard)[:2] == ["requested", "refused"])


async def test_the_bootstrap_servers_own_instance_is_left_alone() -> None:
    asked: list[tuple[str, str]] = []

    async def ask(operation: str, path: str, body: object) -> dict[str, object]:
        asked.append((operation, path))
        links = [{"path": "/0/0", "attributes": {"ssid": "7"}}, {"path": "/0/3", "attributes": {}}]
        return {"links": links} if operation == "discover" else {}

    begun = Bootstrap(time=datetime.now(UTC), endpoint="oxy-0417", state="requested")
    given = Account(uri="coaps://192.0.2.1", identity="a", key=KEY)
    await hand_out(ask, given, begun, known_objects())

    assert asked == [
        ("discover", "/"),
        ("bootstrap_delete", "/"),
        ("write", "/0/0"),
        ("write", "/1/0"),
        ("bootstrap_finish", "/"),
    ]
