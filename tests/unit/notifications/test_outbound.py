"""What a tenant names is called only where it is in the outside world: by its text, and by every address it has."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shoal.errors import Rejected
from shoal.notifications import outbound
from shoal.notifications.outbound import (
    ANSWER_BYTES_MAX,
    URL_CHARACTERS_MAX,
    Address,
    Away,
    Outbound,
    Refused,
    checked_url,
    is_public,
    resolved,
)
from tests.harness.hook import HookServer
from tests.harness.product import free_port

LOOPBACK = ipaddress.ip_address("127.0.0.1")


@pytest.fixture
async def server() -> AsyncIterator[HookServer]:
    made = HookServer()
    await made.start()
    yield made
    await made.stop()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
    ],
)
def test_what_is_not_the_outside_world_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_what_is_the_outside_world_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/x",
        "ftp://hooks.example",
        "https://",
        "hooks.example",
        "https://user:secret@hooks.example/",
        "https://hooks.example/#part",
        "https://hooks.example:8443/",
        "https://hooks.example:99999/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://hooks.example/a b",
        "https://hooks.example/\r\nHost: inside",
        "https://hoøks.example/",
        "https://hooks.example/" + "x" * URL_CHARACTERS_MAX,
    ],
)
def test_a_url_that_must_not_be_called_is_refused_when_it_is_named(url: str) -> None:
    with pytest.raises(Rejected) as caught:
        checked_url(url, is_private_allowed=False)

    assert caught.value.subject == "url"


def test_a_url_of_the_outside_world_may_be_called() -> None:
    for url in ("https://hooks.example/x?y=1", "https://hooks.example:443", " https://1.1.1.1/x "):
        assert checked_url(url, is_private_allowed=False) == url.strip()


def test_an_operator_may_allow_the_own_network() -> None:
    for url in ("http://127.0.0.1:8080/x", "https://192.168.1.7:8443/"):
        assert checked_url(url, is_private_allowed=True) == url
    with pytest.raises(Rejected):
        checked_url("http://user@127.0.0.1/", is_private_allowed=True)


@pytest.mark.parametrize("found", [["127.0.0.1"], ["93.184.215.14", "10.0.0.1"], ["::ffff:192.168.0.1"]])
async def test_a_name_that_leads_inside_is_refused_even_if_only_one_of_its_addresses_does(found: list[str]) -> None:
    async def resolve(_host: str, _port: int) -> Sequence[Address]:
        return [ipaddress.ip_address(address) for address in found]

    with pytest.raises(Refused, match="private network"):
        await Outbound(resolve=resolve).post("https://hooks.example/", b"{}", {})


async def test_a_name_is_looked_up_once_and_the_address_that_was_checked_is_called(server: HookServer) -> None:
    asked = []

    async def resolve(host: str, _port: int) -> Sequence[Address]:
        asked.append(host)
        return [LOOPBACK]

    out = Outbound(is_private_allowed=True, resolve=resolve)
    answered = await out.post(f"http://hooks.example:{server.port}/x?y=1", b"{}", {"X-One": "1"})

    assert (answered.status, asked) == (204, ["hooks.example"])
    [posted] = server.posted
    assert (posted.path, posted.body, posted.headers["x-one"]) == ("/x?y=1", b"{}", "1")
    assert posted.headers["host"] == f"hooks.example:{server.port}"


async def test_a_redirect_is_not_followed(server: HookServer) -> None:
    server.answers = [(307, f"Location: {server.url}\r\n")]

    answered = await Outbound(is_private_allowed=True).post(server.url, b"{}", {})

    assert (answered.status, len(server.posted)) == (307, 1)


async def test_whoever_asks_to_wait_is_heard(server: HookServer) -> None:
    server.answers = [(429, "Retry-After: 30\r\n"), (503, "Retry-After: tomorrow\r\n")]
    out = Outbound(is_private_allowed=True)

    assert (await out.post(server.url, b"{}", {})).retry_after == timedelta(seconds=30)
    assert (await out.post(server.url, b"{}", {})).retry_after is None


async def test_an_answer_without_end_is_not_read_to_its_end(server: HookServer) -> None:
    server.answers = [(200, "")]
    server.body = b"x" * (ANSWER_BYTES_MAX * 20)

    assert (await Outbound(is_private_allowed=True).post(server.url, b"{}", {})).status == 200


async def test_whoever_does_not_answer_is_away(server: HookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "CALL_TIMEOUT", timedelta(milliseconds=200))
    server.hangs = True
    out = Outbound(is_private_allowed=True)

    with pytest.raises(Away, match="no answer"):
        await out.post(server.url, b"{}", {})
    with pytest.raises(Away, match="no connection"):
        await out.post(f"http://127.0.0.1:{free_port()}/", b"{}", {})


async def test_a_name_that_nobody_has_is_away_and_one_of_ours_is_found() -> None:
    with pytest.raises(Away):
        await resolved("no-such-host.invalid", 443)
    assert LOOPBACK in await resolved("localhost", 443)


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server of that name shows, and what a client that trusts it takes."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    shows = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    shows.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return shows, ssl.create_default_context(cafile=str(folder / "cert.pem"))


async def test_tls_is_with_the_name_not_with_the_number(tmp_path: Path) -> None:
    async def resolve(_host: str, _port: int) -> Sequence[Address]:
        return [LOOPBACK]

    # Creating a certificate takes a moment of the processor, and blocks nobody here.
    shows, trusts = await asyncio.to_thread(certificate, tmp_path, "hooks.example")
    server = HookServer(shows)
    await server.start()
    out = Outbound(is_private_allowed=True, resolve=resolve, tls=trusts)
    try:
        assert (await out.post(f"https://hooks.example:{server.port}/", b"{}", {})).status == 204
        with pytest.raises(Away, match="TLS"):
            await out.post(f"https://other.example:{server.port}/", b"{}", {})
        with pytest.raises(Away, match="TLS"):
            await Outbound(is_private_allowed=True, resolve=resolve).post(
                f"https://hooks.example:{server.port}/", b"{}", {}
            )
    finally:
        await server.stop()
    assert len(server.posted) == 1
