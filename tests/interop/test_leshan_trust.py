"""Eclipse Leshan's client and who is let in: each suite, each length of a connection id, each reason to be refused, a network
that loses a fifth, and somebody on the way who repeats and forges.

One Java machine begins anew again and again: a handshake takes it a tenth of a second then, its start three.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from shoal.lwm2m import Registered, Reported, Server
from shoal.lwm2m.certificates import AUTHORITY, Certificate
from shoal.lwm2m.server import Observation, Security
from tests.harness import authority
from tests.harness.authority import Authority
from tests.harness.listener import Listener, listening
from tests.harness.nat import Nat, nat, storm
from tests.harness.peers import NAME, SECURE, LeshanPeer, leshan

pytestmark = [pytest.mark.leshan, pytest.mark.timeout(300)]

TEMPERATURE: Final = "/3303/0/5700"
WITH_KEYS: Final = ("TLS_PSK_WITH_AES_128_CCM_8", "TLS_PSK_WITH_AES_128_GCM_SHA256", "TLS_PSK_WITH_AES_128_CBC_SHA256")
WITH_CERTIFICATES: Final = tuple(suite.replace("PSK", "ECDHE_ECDSA") for suite in WITH_KEYS)
# What Californium has besides, and we do not.
FOREIGN: Final = "TLS_PSK_WITH_AES_256_GCM_SHA384,TLS_PSK_WITH_AES_256_CCM_8,TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256"
# RFC 9146 §3 allows 255 bytes, our library 32; Californium gives itself no more than 12.
CONNECTION_ID_BYTES: Final = (*range(9), 12)


@dataclass(frozen=True)
class Trust:
    """A server that knows one device by its certificate, and the files of both; another tenant trusts `elsewhere`."""

    server: Server
    listener: Listener
    ours: Authority
    elsewhere: Authority
    shown: Path

    def account(self, made: authority.Certificate) -> dict[str, Any]:
        return {"certificate": made.cert, "key": made.key, "server": self.shown}


def pem(path: Path) -> bytes:
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)


@pytest.fixture
async def trust(tmp_path: Path) -> AsyncIterator[Trust]:
    ours, elsewhere = Authority(tmp_path / "ours"), Authority(tmp_path / "elsewhere", "Another farm")
    of_server = ours.certificate("lwm2m")
    loaded = Certificate.load(of_server.cert, of_server.key, ours.ca)
    async with (
        Server("coaps://127.0.0.1:0", credentials={NAME: "x509", "leshan-2": "x509"}, certificate=loaded) as server,
        listening(server) as listener,
    ):
        foreign = [(AUTHORITY, pem(ours.ca), ""), ("somebody else", pem(elsewhere.ca), "")]
        assert server._core.put_authorities(foreign) == []
        yield Trust(server, listener, ours, elsewhere, of_server.cert)


async def joins(peer: LeshanPeer, server: Server, listener: Listener, value: float) -> None:
    """It registers, and both ends talk."""
    await peer.says("registered")
    await talk(peer, server, listener, value)


async def talk(peer: LeshanPeer, server: Server, listener: Listener, value: float) -> None:
    """Records go in both directions, and each is what the other end said."""
    await peer.tell(f"value {value}")
    await peer.tell(f"send SENML_CBOR {TEMPERATURE}")
    assert await peer.says("sent") == "sent CHANGED"
    await listener.hears(Reported, partial(is_reading, value))
    assert await server.read(NAME, TEMPERATURE) == value


def is_because(reason: str, event: Security) -> bool:
    return event.reason == reason


def is_reading(value: float, event: Reported) -> bool:
    return reading(event) == value


def reading(event: Reported) -> object:
    return {reading.path: reading.value for reading in event.readings}.get(TEMPERATURE)


async def test_it_is_served_with_every_suite_that_both_know_and_with_no_other(
    server: Server, listener: Listener, trust: Trust
) -> None:
    async with leshan(server.addresses[0], NAME, **SECURE) as peer:
        await peer.says("registered")
        for number, suite in enumerate(WITH_KEYS):
            await peer.become(suites=suite)
            await joins(peer, server, listener, number + 0.5)

        await peer.become(suites=FOREIGN)
        assert (await listener.hears(Security)).reason == "no_shared_suite"
        await peer.says("refused", "timeout")

        account = trust.account(trust.ours.certificate(NAME))
        for number, suite in enumerate(WITH_CERTIFICATES):
            await peer.become(uri=trust.server.addresses[0], suites=suite, **account)
            await joins(peer, trust.server, trust.listener, number + 0.5)

    assert len(listener.heard(Registered)) == 1 + len(WITH_KEYS)
    assert len(trust.listener.heard(Registered)) == len(WITH_CERTIFICATES)
    assert trust.listener.heard(Security) == []


async def test_it_is_refused_for_each_flaw_of_its_certificate_and_let_in_without(trust: Trust, tmp_path: Path) -> None:
    rogue = Authority(tmp_path / "rogue", "Nobody we know")
    # Whoever copies the name of an authority has not got its key.
    impostor = Authority(tmp_path / "impostor")
    # One for another usage it does not even show: OpenSSL does (`crates/dtls/tests/openssl.rs`).
    flawed = {
        "unknown_authority": rogue.certificate(NAME),
        "certificate_signature": impostor.certificate(NAME),
        "certificate_expired": trust.ours.certificate("expired", common_name=NAME, expired=True),
        "certificate_not_yet_valid": trust.ours.certificate("early", common_name=NAME, not_yet=True),
        "unknown_certificate": trust.elsewhere.certificate(NAME),
        "endpoint_mismatch": trust.ours.certificate("leshan-2"),
    }
    good = trust.account(trust.ours.certificate(NAME))
    async with leshan(trust.server.addresses[0], NAME, **SECURE) as peer:
        for number, (reason, made) in enumerate(flawed.items()):
            await peer.become(**trust.account(made))
            await trust.listener.hears(Security, partial(is_because, reason))
            # A stranger with a good certificate is shown out in silence; Leshan tries for minutes.
            if reason != "unknown_certificate":
                await peer.says("refused", "timeout")
            assert len(trust.listener.heard(Registered)) == number

            await peer.become(**good)
            await joins(peer, trust.server, trust.listener, number)


@pytest.mark.parametrize("kind", ["key", "certificate"])
async def test_it_may_want_a_connection_id_of_any_length_in_what_it_gets(
    kind: str, server: Server, listener: Listener, trust: Trust
) -> None:
    if kind == "certificate":
        account = trust.account(trust.ours.certificate(NAME))
        server, listener = trust.server, trust.listener
    else:
        account = {}
    async with leshan(server.addresses[0], NAME, **SECURE) as peer:
        for length in CONNECTION_ID_BYTES:
            await peer.become(cid=length, **account)
            await joins(peer, server, listener, length + 0.25)

    assert listener.heard(Security) == []


async def test_an_observation_goes_on_when_the_port_of_its_device_changes(server: Server, listener: Listener) -> None:
    async with nat(server.addresses[0]) as router, leshan(router.uri, NAME, **SECURE) as peer:
        await peer.says("registered")
        await server.observe(NAME, TEMPERATURE)
        await listener.hears(Observation, lambda event: event.path == TEMPERATURE)

        for value in (21.5, 22.5, 23.5):
            await router.forget()
            await peer.tell(f"value {value}")
            reported = await listener.hears(Reported, partial(is_reading, value))
            assert reported.via == "notify"
            # And down the new way.
            assert await server.read(NAME, "/3/0/9") == 87

    assert len(listener.heard(Registered)) == 1
    assert server._core.stats()["relocated"] == 3


async def test_a_certificate_passes_in_datagrams_of_256_bytes_through_a_network_that_loses_a_fifth(
    trust: Trust,
) -> None:
    account = trust.account(trust.ours.certificate(NAME))
    async with (
        nat(trust.server.addresses[0]) as router,
        leshan(router.uri, NAME, **SECURE) as peer,
    ):
        await peer.become(mtu=256, **account)
        await joins(peer, trust.server, trust.listener, 1)
        flights = list(router.seen)
        assert max(len(datagram) for datagram in flights) <= 256
        # A certificate takes more than one.
        assert sum(datagram[0] == 22 for datagram in flights) > 4

        for seed in (1, 2):
            router.weather = storm(seed)
            await peer.become(mtu=256, repeat=300, **account)
            await peer.says("registered")
            router.weather = None
            await talk(peer, trust.server, trust.listener, seed + 1)

    assert trust.listener.heard(Security) == []


async def test_whoever_repeats_and_forges_on_the_way_is_heard_by_nobody(server: Server, listener: Listener) -> None:
    async with nat(server.addresses[0]) as router, leshan(router.uri, NAME, **SECURE) as peer:
        await joins(peer, server, listener, 1)
        hello = next(datagram for datagram in router.seen if datagram[0] == 22)
        before = server._core.stats()

        for datagram in list(router.seen):
            router.inject(datagram)
            for at in range(0, len(datagram), 7):
                router.inject(datagram[:at] + bytes([datagram[at] ^ 0x40]) + datagram[at + 1 :])
        # A hello as of somebody who begins anew, from where the device is: its random number is another.
        spoofed = hello[:27] + bytes(32) + hello[59:]
        router.inject(spoofed)
        stranger = await Nat(server.addresses[0]).open()
        for datagram in list(router.seen):
            stranger.inject(datagram)
        stranger.close()

        await talk(peer, server, listener, 2)
        after = server._core.stats()
        assert (after["handshakes"], after["sessions"], after["registrations"]) == (before["handshakes"], 1, 1)
        assert (after["send"], after["relocated"]) == (before["send"] + 1, 0)

    assert len(listener.heard(Registered)) == 1
    assert [reading(event) for event in listener.heard(Reported) if event.via == "send"] == [1, 2]
