"""CoAP over TCP: a peer made of bytes, and our own client, against our own server."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shoal.errors import Rejected, Unavailable
from shoal.lwm2m import Deregistered, Device, Firmware, Registered, Reported, Server, Updated
from shoal.lwm2m.firmware import PACKAGE, Method, Protocol, Result, State
from shoal.lwm2m.server_events import Observation
from tests.harness.coap_tcp import ABORT, CSM, LOCATION_PATH, PING, PONG, RELEASE, Message, connected, register
from tests.harness.listener import Listener, listening
from tests.unit.lwm2m.conftest import KEY, PATIENCE, until

TCP = "coap+tcp://127.0.0.1:0"
TEMPERATURE = "/3303/0/5700"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Believes `buoy-1`; `oxy-0417` has a key."""
    names = {"oxy-0417": KEY}
    async with Server(TCP, credentials=names, endpoints=["buoy-1"], observe=[(TEMPERATURE, "")]) as server:
        yield server


@pytest.fixture
async def listener(server: Server) -> AsyncIterator[Listener]:
    async with listening(server) as listener:
        yield listener


def _opaque(content: bytes) -> str:
    return base64.b64encode(content).decode()


def buoy(server: Server, **more: bool) -> Device:
    device = Device("buoy-1", server.addresses[0], **more)
    device.set("/3/0/9", 87)
    device.set(TEMPERATURE, 4.5)
    return device


async def test_a_peer_made_of_bytes_registers_answers_and_leaves(server: Server, listener: Listener) -> None:
    assert server.addresses[0].startswith("coap+tcp://127.0.0.1:")
    async with connected(server.addresses[0]) as peer:
        await peer.say(Message(CSM), register("buoy-1"))
        assert (await peer.hear()).code == CSM
        created = await peer.hear("2.01")
        registered = await listener.hears(Registered)
        assert (registered.endpoint, registered.binding, registered.secure) == ("buoy-1", "T", False)
        location = created.values(LOCATION_PATH)
        assert location == [b"rd", registered.registration.encode()]

        reading = asyncio.create_task(server.read("buoy-1", "/3/0/9"))
        asked = await peer.hear("0.01")
        assert asked.values(11) == [b"3", b"0", b"9"]
        await peer.say(Message("2.05", asked.token, [(12, b"")], b"42"))
        assert await reading == 42

        await peer.say(Message(PING, b"p", [(2, b"")]))
        pong = await peer.hear(PONG)
        assert (pong.token, pong.options) == (b"p", [(2, b"")])
        await peer.say(Message("0.04", b"d", [(11, segment) for segment in location]), Message(RELEASE))
        assert (await peer.hear()).code == "2.02"
        assert await peer.is_over()
    await listener.hears(Deregistered)


async def test_a_server_that_closes_says_so() -> None:
    async with Server(TCP) as server:
        reader = connected(server.addresses[0])
        peer = await reader.__aenter__()
        await peer.say(Message(CSM), Message(PING, b"p"))
        await peer.hear(PONG)
    assert (await peer.hear()).code == RELEASE
    assert await peer.is_over()
    await reader.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b""),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b""),
        (Message("0.01", b"t", [(11, b"rd")]).encode(), b"CSM"),
        (Message(CSM).encode() + b"\x0f\x45", b"token of 15 bytes"),
        (Message(CSM).encode() + b"\xf0\xff\xff\xff\xff\x02", b"bytes"),
        (Message(CSM, b"", [(3, b"x")]).encode(), b"option 3 of the CSM"),
    ],
)
async def test_what_makes_no_sense_ends_with_words(server: Server, said: bytes, why: bytes) -> None:
    async with connected(server.addresses[0]) as peer:
        await peer.say_bytes(said)
        aborted = await peer.hear(ABORT)
        assert why in aborted.payload
        assert await peer.is_over()


async def test_a_device_with_a_key_does_not_register_in_clear(server: Server) -> None:
    async with connected(server.addresses[0]) as peer:
        await peer.say(Message(CSM), register("oxy-0417"))
        assert (await peer.hear("4.03", "2.01")).code == "4.03"


async def test_our_own_client_does_everything_over_a_connection(
    server: Server, listener: Listener, tmp_path: Path
) -> None:
    async with buoy(server) as device:
        await device.registered(PATIENCE)
        assert (await listener.hears(Registered)).binding == "T"
        assert await server.read("buoy-1", "/3/0/9") == 87
        await server.write("buoy-1", "/3/0/15", "Europe/Oslo")
        assert await server.read("buoy-1", "/3/0/15") == "Europe/Oslo"

        await listener.hears(Observation, lambda event: event.state == "established")
        device.set(TEMPERATURE, 5.5)
        await listener.hears(Reported, lambda event: event.via == "notify" and event.readings[0].value == 5.5)
        await device.send("/3/0/9")
        await listener.hears(Reported, lambda event: event.via == "send")

        file = tmp_path / "model"
        file.write_bytes(bytes(range(256)) * 1_000)
        path = server.serve_file("model", file, ["buoy-1"])
        assert await device.fetch(f"{server.addresses[0]}{path}") == file.read_bytes()

        await device.deregister()
        await listener.hears(Deregistered)


async def test_an_image_is_pulled_and_pushed_over_a_connection(
    server: Server, listener: Listener, tmp_path: Path
) -> None:
    image, installed = bytes(range(251)) * 400, list[bytes]()

    async def install(content: bytes) -> Result:
        installed.append(content)
        return Result.SUCCESS

    device = buoy(server)
    firmware = Firmware(device, install, method=Method.BOTH, protocols=(Protocol.COAP_TCP,))
    file = tmp_path / "image"
    file.write_bytes(image)
    async with device:
        await listener.hears(Registered)
        path = server.serve_file("image", file, ["buoy-1"])
        for resource, value in (("/5/0/1", f"{server.addresses[0]}{path}"), (PACKAGE, _opaque(image[::-1]))):
            await server.write("buoy-1", resource, value)
            await until(lambda: firmware.state is State.DOWNLOADED)
            await server.execute("buoy-1", "/5/0/2")
            await until(lambda: firmware.result is Result.SUCCESS)

    assert installed == [image, image[::-1]]


async def test_another_source_port_is_another_connection_and_the_same_registration(
    server: Server, listener: Listener
) -> None:
    async with buoy(server) as device:
        registered = await listener.hears(Registered)
        await device.registered(PATIENCE)

        device.rebind()

        updated = await listener.hears(Updated, lambda event: event.address is not None)
        assert updated.registration == registered.registration
        assert updated.address != registered.address
        assert await server.read("buoy-1", "/3/0/9") == 87
        assert len(listener.heard(Registered)) == 1


async def test_a_client_waits_for_a_server_that_is_not_there_yet() -> None:
    async with Server(TCP) as first:
        address = first.addresses[0]
    async with Device("buoy-1", address) as device:
        with pytest.raises(Unavailable, match="nobody is there"):
            await device.registered(timedelta(seconds=0.5))
        async with Server(address, endpoints=["buoy-1"]) as later, listening(later) as listener:
            await listener.hears(Registered)
            await device.registered(PATIENCE)


def test_a_connection_in_the_clear_takes_no_key_and_one_under_tls_needs_it() -> None:
    with pytest.raises((Rejected, ValueError), match="take none"):
        Device("x", "coap+tcp://127.0.0.1:5685", identity="x", key=KEY)
    with pytest.raises((Rejected, ValueError), match="need a key"):
        Device("x", "coaps+tcp://127.0.0.1:5685")
