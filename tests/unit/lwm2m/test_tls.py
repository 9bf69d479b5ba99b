"""CoAP over TLS: our own client and a peer of Python's own TLS, against our own server."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509

from shoal.errors import Unavailable
from shoal.lwm2m import Certificate, Device, Registered, Reported, Security, Server
from tests.harness.coap_tcp import CSM, Message, connected, register
from tests.harness.listener import Listener, listening
from tests.unit.lwm2m.conftest import CLEAR, KEY, PATIENCE, SECURE, until
from tests.unit.lwm2m.test_certificates import Issued, issue

TLS = "coaps+tcp://127.0.0.1:0"
TEMPERATURE = "/3303/0/5700"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Knows `oxy-0417` by its key, over TLS and over DTLS."""
    names = {"oxy-0417": KEY}
    async with Server(TLS, SECURE, CLEAR, credentials=names, observe=[(TEMPERATURE, "")]) as server:
        yield server


@pytest.fixture
async def listener(server: Server) -> AsyncIterator[Listener]:
    async with listening(server) as listener:
        yield listener


def probe(server: Server, *, identity: str = "oxy-0417", key: bytes = KEY) -> Device:
    device = Device("oxy-0417", server.addresses[0], identity=identity, key=key)
    device.set("/3/0/9", 87)
    device.set(TEMPERATURE, 4.5)
    return device


async def test_a_device_with_a_key_registers_is_read_reports_and_fetches(
    server: Server, listener: Listener, tmp_path: Path
) -> None:
    image = bytes(range(256)) * 200
    (tmp_path / "image.bin").write_bytes(image)
    assert server.addresses[0].startswith("coaps+tcp://127.0.0.1:")
    async with probe(server) as device:
        registered = await listener.hears(Registered)
        assert (registered.endpoint, registered.binding, registered.secure) == ("oxy-0417", "T", True)
        assert await server.read("oxy-0417", "/3/0/9") == 87
        device.set(TEMPERATURE, 5.5)
        await listener.hears(Reported, lambda event: any(reading.value == 5.5 for reading in event.readings))
        await device.send(TEMPERATURE)
        server.serve_file("image.bin", tmp_path / "image.bin", ["oxy-0417"])
        assert await device.fetch(f"{server.addresses[0]}/fw/image.bin") == image


@pytest.mark.parametrize(
    ("identity", "key", "reason"), [("stranger", KEY, "unknown_identity"), ("oxy-0417", bytes(16), "wrong_key")]
)
async def test_who_is_not_let_in_is_told_and_told_of(
    server: Server, listener: Listener, identity: str, key: bytes, reason: str
) -> None:
    async with probe(server, identity=identity, key=key) as device:
        event = await listener.hears(Security)
        with pytest.raises(Unavailable, match="alert"):
            await device.registered(timedelta(seconds=0.5))

    assert (event.reason, event.identity) == (reason, identity)
    assert listener.heard(Registered) == []


async def test_what_is_no_tls_is_closed_and_told_of(server: Server, listener: Listener) -> None:
    parts = urlsplit(server.addresses[0])
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: farm.example\r\n\r\n")
    # A fatal alert: unexpected_message (RFC 8446 §6).
    assert await asyncio.wait_for(reader.read(), PATIENCE.total_seconds()) == bytes([21, 3, 3, 0, 2, 2, 10])
    writer.close()

    assert (await listener.hears(Security)).reason == "handshake_failed"


@pytest.fixture
def of_devices() -> Issued:
    return issue("devices")


@pytest.fixture
def of_servers() -> Issued:
    return issue("servers")


@pytest.fixture
def own(tmp_path: Path, of_servers: Issued, of_devices: Issued) -> Certificate:
    """The server's."""
    server = issue("shoal", of_servers, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    return Certificate.load(*server.write(tmp_path), of_devices.write(tmp_path)[0])


async def test_a_device_with_a_certificate_registers_and_checks_its_server(
    tmp_path: Path, own: Certificate, of_devices: Issued, of_servers: Issued
) -> None:
    shown = issue("camera-1", of_devices).write(tmp_path)
    camera = Certificate.load(*shown, of_servers.write(tmp_path)[0])
    elsewhere = Certificate.load(*shown, of_servers.write(tmp_path)[0], server_name="other.example")
    async with Server(TLS, credentials={"camera-1": "x509"}, certificate=own) as server, listening(server) as listener:
        async with Device("camera-1", server.addresses[0], certificate=camera) as device:
            await device.registered(PATIENCE)
            assert (await listener.hears(Registered)).secure
        async with Device("camera-1", server.addresses[0], certificate=elsewhere) as device:
            with pytest.raises(Unavailable, match="wrong name"):
                await device.registered(timedelta(seconds=0.5))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_peer_of_another_library_registers_in_both_versions(
    tmp_path: Path, own: Certificate, of_devices: Issued, of_servers: Issued, version: ssl.TLSVersion
) -> None:
    context = ssl.create_default_context(cafile=str(of_servers.write(tmp_path)[0]))
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["coap"])
    certificate, key = issue("camera-1", of_devices).write(tmp_path)
    context.load_cert_chain(certificate, key)
    async with (
        Server(TLS, credentials={"camera-1": "x509"}, certificate=own) as server,
        listening(server) as listener,
        connected(server.addresses[0], context) as peer,
    ):
        await peer.say(Message(CSM), register("camera-1"))
        assert (await peer.hear()).code == CSM
        assert (await peer.hear("2.01")).code == "2.01"
        assert (await listener.hears(Registered)).secure
        asked = asyncio.create_task(server.read("camera-1", "/3/0/9"))
        assert (await peer.hear("0.01")).code == "0.01"
        asked.cancel()


async def test_a_peer_without_a_certificate_is_refused_in_both_versions(own: Certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with Server(TLS, certificate=own) as server, listening(server) as listener:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.minimum_version = context.maximum_version = version
            with pytest.raises(ssl.SSLError):
                # In TLS 1.3 a client believes that it is in before it hears that it is not.
                await asyncio.to_thread(_read_until_the_end, server.addresses[0], context)
        event = await listener.hears(Security)
    assert event.reason == "certificate_missing"


def _read_until_the_end(uri: str, context: ssl.SSLContext) -> None:
    parts = urlsplit(uri)
    with (
        socket.create_connection((parts.hostname, parts.port or 0), PATIENCE.total_seconds()) as plain,
        context.wrap_socket(plain) as wrapped,
    ):
        while wrapped.recv(1_000):
            pass


async def test_a_device_that_lost_its_connection_makes_another_and_stays_registered(
    server: Server, listener: Listener
) -> None:
    async with probe(server) as device:
        await device.registered(PATIENCE)
        registered = await listener.hears(Registered)
        device.rebind()
        await until(lambda: server._core.stats()["handshakes"] == 2)
        assert await server.read("oxy-0417", "/3/0/9") == 87
        assert [event.registration for event in listener.heard(Registered)] == [registered.registration]
