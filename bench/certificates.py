"""Certificates for a run: a server's, and one of each client, by one authority that both sides trust."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Certificates:
    """Files, all in one folder: of the server (DER, its key PKCS #8), of who signed, and of all clients (for `load`)."""

    folder: Path

    @property
    def server(self) -> Path:
        return self.folder / "server.der"

    @property
    def key(self) -> Path:
        return self.folder / "server.key"

    @property
    def authority(self) -> Path:
        return self.folder / "authority.der"

    @property
    def clients(self) -> Path:
        return self.folder / "clients.json"


def make(folder: Path, prefix: str, clients: int) -> Certificates:
    """Makes them anew, on P-256; the name of a client is its endpoint name."""
    folder.mkdir(parents=True)
    made = Certificates(folder)
    of_authority = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Shoal bench authority")])

    def issue(name: str, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType | None = None) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
        )
        if extension is not None:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(of_authority, hashes.SHA256()).public_bytes(Encoding.DER)

    def written(key: ec.EllipticCurvePrivateKey) -> bytes:
        return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    made.authority.write_bytes(
        issue("Shoal bench authority", of_authority, x509.BasicConstraints(ca=True, path_length=None))
    )
    of_server = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made.server.write_bytes(issue("Shoal bench server", of_server, names))
    made.key.write_bytes(written(of_server))
    devices = []
    for number in range(clients):
        key = ec.generate_private_key(ec.SECP256R1())
        devices.append((issue(f"{prefix}{number:06}", key).hex(), written(key).hex()))
    made.clients.write_text(json.dumps({"authority": made.authority.read_bytes().hex(), "devices": devices}))
    return made
