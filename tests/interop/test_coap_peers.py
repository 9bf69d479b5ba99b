"""aiocoap and libcoap against our server, over TCP (RFC 8323) and over UDP: what CoAP that others wrote can do with us."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiocoap
import pytest

from shoal.lwm2m import Registered, Reported, Server
from shoal.lwm2m.server_events import Observation
from tests.harness.coap_peers import Aiocoap, Sensor, aiocoap_peer, libcoap
from tests.harness.listener import Listener, listening

pytestmark = pytest.mark.timeout(300)

TEMPERATURE: Final = "/3303/0/5700"
# Larger than a datagram, and than our longest message over a connection.
LONG: Final = "".join(chr(ord("a") + number % 26) for number in range(40_000))
# A Register in blocks: over TCP it goes in one message of ours, over UDP in eleven.
MANY_LINKS: Final = b",".join(b"</3303/%d>" % instance for instance in range(900))
# No Register of ours may be as long as this.
TOO_MANY_LINKS: Final = b",".join([MANY_LINKS] * 8)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    listen = ("coap+tcp://127.0.0.1:0", "coap://127.0.0.1:0")
    async with Server(*listen, endpoints=("peer",), observe=[(TEMPERATURE, "")]) as running:
        yield running


@pytest.fixture
async def listener(server: Server) -> AsyncIterator[Listener]:
    async with listening(server) as made:
        yield made


@pytest.fixture(params=["T", "U"])
def binding(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def uri(server: Server, binding: str) -> str:
    return server.addresses["TU".index(binding)]


@pytest.fixture
def temperature() -> Sensor:
    return Sensor(b"4.5")


@pytest.fixture
def zone() -> Sensor:
    return Sensor(LONG.encode())


@pytest.fixture
async def peer(uri: str, binding: str, listener: Listener, temperature: Sensor, zone: Sensor) -> AsyncIterator[Aiocoap]:
    """aiocoap, registered."""
    async with aiocoap_peer(uri, {TEMPERATURE: temperature, "/3/0/15": zone, "/3/0/9": Sensor(b"87")}) as made:
        answer = await made.register("peer", binding)
        assert (answer.code, answer.opt.location_path[0]) == (aiocoap.CREATED, "rd")
        assert (await listener.hears(Registered)).binding == binding
        yield made


async def test_aiocoap_is_read_and_written_also_in_blocks(peer: Aiocoap, server: Server, zone: Sensor) -> None:
    assert await server.read("peer", "/3/0/9") == 87
    assert await server.read("peer", "/3/0/15") == LONG

    await server.write("peer", "/3/0/15", LONG[::-1])

    # In the format that we prefer: what it made of the blocks is whole.
    assert LONG[::-1].encode() in zone.value


async def test_aiocoap_is_observed(peer: Aiocoap, listener: Listener, temperature: Sensor) -> None:
    await listener.hears(Observation, lambda event: event.state == "established")

    for value in (5.5, 6.5):
        temperature.change(str(value).encode())
        await listener.hears(Reported, lambda event, value=value: event.readings[0].value == value)


async def test_aiocoap_fetches_a_file_in_blocks(peer: Aiocoap, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(LONG.encode() * 5)
    path = server.serve_file("model", file, ["peer"])

    answer = await peer.ask(aiocoap.GET, path)

    assert (answer.code, answer.payload) == (aiocoap.CONTENT, file.read_bytes())


async def test_aiocoap_registers_in_blocks_and_not_without_end(peer: Aiocoap, binding: str, listener: Listener) -> None:
    assert (await peer.register("peer", binding, MANY_LINKS)).code == aiocoap.CREATED
    await listener.hears(Registered, lambda event: len(event.objects) == 900)

    assert (await peer.register("peer", binding, TOO_MANY_LINKS)).code == aiocoap.REQUEST_ENTITY_TOO_LARGE


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        (aiocoap.GET, "/.well-known/core", aiocoap.NOT_FOUND),
        (aiocoap.GET, "/nothing", aiocoap.NOT_FOUND),
        (aiocoap.FETCH, "/dp", aiocoap.METHOD_NOT_ALLOWED),
        (aiocoap.iPATCH, "/rd", aiocoap.METHOD_NOT_ALLOWED),
        (aiocoap.POST, "/rd/0123456789abcdef", aiocoap.NOT_FOUND),
        (aiocoap.POST, "/rd?ep=peer&lwm2m=9.9", aiocoap.PRECONDITION_FAILED),
        (aiocoap.POST, "/rd?lwm2m=1.1", aiocoap.BAD_REQUEST),
        (aiocoap.POST, "/rd?ep=stranger&lwm2m=1.1", aiocoap.FORBIDDEN),
    ],
)
async def test_aiocoap_hears_what_is_wrong(peer: Aiocoap, method: aiocoap.Code, path: str, code: aiocoap.Code) -> None:
    assert (await peer.ask(method, path)).code == code


async def test_libcoap_registers_whole_and_in_blocks(uri: str, binding: str, listener: Listener) -> None:
    register = f"{uri}/rd?ep=peer&lt=300&lwm2m=1.1&b={binding}"

    said = await libcoap(register, "post", "-t", "40", payload=b"</1/0>,</3/0>")
    assert "c:2.01" in said
    assert "Location-Path:rd" in said
    await listener.hears(Registered, lambda event: len(event.objects) == 2)

    assert "c:2.01" in await libcoap(register, "post", "-t", "40", payload=MANY_LINKS)
    await listener.hears(Registered, lambda event: len(event.objects) == 900)
    assert "c:4.13" in await libcoap(register, "post", "-t", "40", payload=TOO_MANY_LINKS)


async def test_libcoap_hears_what_is_wrong(uri: str, listener: Listener) -> None:
    assert "c:4.04" in await libcoap(f"{uri}/nothing")
    assert "c:4.02" in await libcoap(f"{uri}/rd", "get", "-O", "2049,x")
    assert "c:4.05" in await libcoap(f"{uri}/rd", "put")
    assert "c:4.05" in await libcoap(f"{uri}/dp", "fetch")
    # Elective, and unknown to us.
    assert "c:4.04" in await libcoap(f"{uri}/nothing", "get", "-O", "2050,x")


async def test_libcoap_introduces_itself_and_hears_our_capabilities(server: Server) -> None:
    said = await libcoap(f"{server.addresses[0]}/nothing")

    assert "c:CSM i:0000 {} [ Max-Message-Size:16384, Block-Wise-Transfer: ]" in said
