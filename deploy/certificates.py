"""Makes an authority of one's own and the certificates of one cluster: `certificates.py --help`.

Runs before everything else (compose.yaml) and may be run again at any time: what is still good for a month stays, what is
not is made anew under the same authority. Who has certificates of their own puts them in the same places instead.
"""  # noqa: INP001  # a script

import argparse
import os
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

# Trusted by hand, by whoever installs it; a new one means to visit all of them.
AUTHORITY_LIVES: Final = timedelta(days=10 * 365)
# The longest that browsers take (CA/Browser Forum, Baseline Requirements §6.3.2).
CERTIFICATE_LIVES: Final = timedelta(days=397)
# So that a monthly restart of the cluster is enough.
RENEWED_BEFORE: Final = timedelta(days=31)
# Clocks of several machines do not agree.
EARLIER: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A certificate: whose, for which names, in which folder, readable by which user only."""

    name: str
    hosts: Sequence[str]
    folder: Path
    owner: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Makes what is missing or runs out."""
    parser = argparse.ArgumentParser(description="Makes an authority and the certificates of one cluster.")
    parser.add_argument(
        "--authority", type=Path, required=True, help="folder of ca.pem and ca.key; keep it to yourself"
    )
    parser.add_argument(
        "--for", dest="wanted", action="append", required=True, metavar="NAME:OWNER:FOLDER:HOST[,HOST]",
        help="makes FOLDER/NAME.pem, NAME.key, NAME.store.pem (both, as Kafka wants it) and ca.pem",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    now = datetime.now(UTC)
    key, ca = _authority(given.authority, now)
    for text in given.wanted:
        name, owner, folder, hosts = text.split(":", 3)
        wanted = Wanted(name, [host for host in hosts.split(",") if host], Path(folder), int(owner))
        made = _certificate(wanted, key, ca, now)
        print(f"{wanted.name}: {'made' if made else 'still good'}, for {', '.join(wanted.hosts)}")  # noqa: T201  # a script


def _authority(folder: Path, now: datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (folder / "ca.pem").exists():
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise SystemExit(f"{folder}/ca.key is of another kind: this script did not make it")
        return key, x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Shoal cluster authority {now:%Y-%m-%d}")])
    ca = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + AUTHORITY_LIVES)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(folder / "ca.key", _pem(key), os.geteuid())
    _write(folder / "ca.pem", ca.public_bytes(serialization.Encoding.PEM), os.geteuid())
    return key, ca


def _certificate(wanted: Wanted, signer: ec.EllipticCurvePrivateKey, ca: x509.Certificate, now: datetime) -> bool:
    """Whether it had to be made."""
    wanted.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    path = wanted.folder / f"{wanted.name}.pem"
    if path.exists() and _is_good(x509.load_pem_x509_certificate(path.read_bytes()), wanted, ca, now):
        return False
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wanted.name)]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + CERTIFICATE_LIVES)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        # Between the roles each is a server here and a client there.
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(_names(wanted.hosts)), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    _write(wanted.folder / "ca.pem", ca.public_bytes(serialization.Encoding.PEM), wanted.owner, mode=0o644)
    _write(wanted.folder / f"{wanted.name}.key", _pem(key), wanted.owner)
    _write(wanted.folder / f"{wanted.name}.store.pem", _pem(key) + certificate, wanted.owner)
    # The last, so that an interrupted run is done again.
    _write(path, certificate, wanted.owner)
    return True


def _is_good(known: x509.Certificate, wanted: Wanted, ca: x509.Certificate, now: datetime) -> bool:
    if known.issuer != ca.subject or known.not_valid_after_utc < now + RENEWED_BEFORE:
        return False
    names = known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names) == set(_names(wanted.hosts))


def _names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, owner: int, mode: int = 0o600) -> None:
    """All of it or none; at no moment may anybody else read a key."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
    if os.geteuid() == 0:
        os.chown(beside, owner, owner)
    beside.replace(path)


if __name__ == "__main__":
    main()
