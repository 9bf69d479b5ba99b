"""Certificates instead of keys, from the files that people have."""

import ipaddress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shoal.errors import Rejected, Unavailable
from shoal.lwm2m import Certificate, Device, Registered, Security, Server
from tests.harness.listener import listening
from tests.unit.lwm2m.conftest import KEY, PATIENCE, SECURE

PEM = serialization.Encoding.PEM


@dataclass
class Issued:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def write(self, folder: Path) -> tuple[Path, Path]:
        name = self.certificate.subject.rfc4514_string()
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(self.certificate.public_bytes(PEM))
        key.write_bytes(self.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return certificate, key


def issue(common_name: str, issuer: Issued | None = None, *names: x509.GeneralName) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    today = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Issued(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def is_of(endpoint: str, event: Registered) -> bool:
    return event.endpoint == endpoint and event.secure


@dataclass
class Shown:
    """What the server and a camera show each other."""

    server: Certificate
    camera: Certificate


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    of_servers, of_cameras = issue("servers"), issue("cameras")
    server = issue("shoal", of_servers, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    camera = issue("camera-1", of_cameras)
    trusts_cameras, trusts_servers = of_cameras.write(tmp_path)[0], of_servers.write(tmp_path)[0]
    return Shown(
        Certificate.load(*server.write(tmp_path), trusts_cameras),
        Certificate.load(*camera.write(tmp_path), trusts_servers),
    )


async def test_a_device_with_a_certificate_registers_beside_one_with_a_key(shown: Shown) -> None:
    async with (
        Server(SECURE, credentials={"camera-1": "x509", "oxy-0417": KEY}, certificate=shown.server) as server,
        listening(server) as listener,
        Device("camera-1", server.addresses[0], certificate=shown.camera) as camera,
        Device("oxy-0417", server.addresses[0], identity="oxy-0417", key=KEY) as sensor,
    ):
        await camera.registered(PATIENCE)
        await sensor.registered(PATIENCE)
        for endpoint in ("camera-1", "oxy-0417"):
            await listener.hears(Registered, partial(is_of, endpoint))


async def test_a_device_of_an_authority_that_nobody_trusts_is_told_of_and_not_let_in(
    shown: Shown, tmp_path: Path
) -> None:
    rogue = issue("rogue")
    loaded = Certificate.load(*issue("camera-1", rogue).write(tmp_path), rogue.write(tmp_path)[0])
    forged = replace(loaded, authorities=shown.camera.authorities)
    async with (
        Server(SECURE, credentials={"camera-1": "x509"}, certificate=shown.server) as server,
        listening(server) as listener,
        Device("camera-1", server.addresses[0], certificate=forged) as camera,
    ):
        event = await listener.hears(Security)
        with pytest.raises(Unavailable):
            await camera.registered(timedelta(0))

    assert (event.reason, event.identity) == ("unknown_authority", "camera-1")


async def test_a_device_does_not_talk_to_a_server_with_another_name(shown: Shown) -> None:
    wants_another = replace(shown.camera, server_name="lwm2m.example")
    async with (
        Server(SECURE, credentials={"camera-1": "x509"}, certificate=shown.server) as server,
        listening(server) as listener,
        Device("camera-1", server.addresses[0], certificate=wants_another),
    ):
        event = await listener.hears(Security)

    assert event.reason == "handshake_failed"
    assert listener.heard(Registered) == []


async def test_what_is_no_certificate_or_has_another_key_is_refused(shown: Shown, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with pytest.raises(Rejected, match="no certificate"):
        Certificate.load(empty, issue("x").write(tmp_path)[1], empty)
    with pytest.raises(Rejected, match="private key"):
        Certificate.load(empty, empty, empty)
    with pytest.raises(Rejected, match="key"):
        async with Server(SECURE, certificate=replace(shown.server, key=shown.camera.key)):
            pass
    with pytest.raises(Rejected, match="authorities"):
        async with Server(SECURE, certificate=replace(shown.server, authorities=[b"none"])):
            pass


def test_a_key_and_a_certificate_at_once_are_refused(shown: Shown) -> None:
    with pytest.raises(Rejected):
        Device("camera-1", "coaps://127.0.0.1:5684", identity="camera-1", key=KEY, certificate=shown.camera)
