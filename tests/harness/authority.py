"""A certificate authority for tests: signs servers and clients on loopback, for a day."""

import base64
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY: Final = timedelta(days=1)
# Clocks of one machine agree, but a test may look at a time a moment before now.
EARLIER: Final = timedelta(hours=1)
# What a certificate may be used for: as a server and as a client.
BOTH: Final = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files of a chain and of its key."""

    cert: Path
    key: Path

    @property
    def store(self) -> Path:
        """Key and chain in one file, as Kafka wants it."""
        path = self.cert.with_suffix(".store.pem")
        if not path.exists():
            path.write_bytes(self.key.read_bytes() + self.cert.read_bytes())
        return path


class Authority:
    """Keeps its files in a folder. `ca` is what others trust."""

    def __init__(self, folder: Path, name: str = "Shoal test authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - EARLIER)
            .not_valid_after(now + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def context(self) -> ssl.SSLContext:
        """For a client that trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.ca))

    def sign(self, text: str) -> str:
        """A signature of the authority's key over a text: ECDSA with SHA-256, DER in base64."""
        return base64.b64encode(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))).decode()

    def certificate(
        self,
        name: str,
        *,
        expired: bool = False,
        not_yet: bool = False,
        usages: Sequence[x509.ObjectIdentifier] = BOTH,
        common_name: str | None = None,
    ) -> Certificate:
        """In files of that name, for a server on loopback, and for a client of the name in it; over since an hour ago when `expired`, and good from
        tomorrow on when `not_yet`."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        begins, ends = (now - DAY, now - EARLIER) if expired else (now - EARLIER, now + DAY)
        if not_yet:
            begins, ends = now + DAY, now + 2 * DAY
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name or name)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        made = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        made.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        made.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        made.key.chmod(0o600)
        return made
