"""Certificates instead of keys: what an end shows, and whom it trusts to vouch for the other."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Final, Literal, Self, TypeAlias, TypedDict

from shoal._core import DeviceCredential
from shoal.errors import Rejected

# RFC 7468: the label, and base64 in lines.
_PEM: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s([A-Za-z0-9+/=\s]*)-----END \1-----")
# PKCS #8 and RFC 5915; an encrypted key has another label.
_KEY_LABELS: Final = ("PRIVATE KEY", "EC PRIVATE KEY")
AUTHORITY: Final = "server"  # of a `Server`: there all authorities vouch for all devices

# Shorter ones can be guessed.
KEY_BYTES_MIN: Final = 8
# RFC 4279 §5.3 asks implementations for keys of up to 64 bytes.
KEY_BYTES_MAX: Final = 64

# How a server knows a device: by a pre-shared key, or by a certificate that bears the endpoint name.
Credential: TypeAlias = bytes | Literal["x509"]


@dataclass(frozen=True)
class Certificate:
    """A certificate on P-256 or P-384 and its key, in DER. `chain` is the certificate itself, then its issuers.

    `authorities` are the certificates of those who may vouch for the other end. `server_name` is for devices: the DNS
    name or IP address that the server's certificate must be for; by default the address of the server.
    """

    chain: Sequence[bytes]
    key: bytes = field(repr=False)
    authorities: Sequence[bytes] = ()
    server_name: str | None = None

    @classmethod
    def load(
        cls, certificate: FilePath, key: FilePath, authorities: FilePath, *, server_name: str | None = None
    ) -> Self:
        """Reads the three from PEM files.

        Raises:
            OSError: a file cannot be read.
            Rejected: nothing of that kind is in it; an encrypted key counts as none.
        """
        chain, own_key = load_chain(certificate, key)
        return cls(chain, own_key, load_authorities(authorities), server_name)


def load_chain(certificate: FilePath, key: FilePath) -> tuple[list[bytes], bytes]:
    """A certificate with its issuers, and its key, from PEM files. Raises as `Certificate.load`."""
    keys = _blocks(key, *_KEY_LABELS)
    return _blocks(certificate, "CERTIFICATE"), keys[0]


def load_authorities(file: FilePath) -> list[bytes]:
    """Those who may vouch for the other end, from a PEM file. Raises as `Certificate.load`."""
    return _blocks(file, "CERTIFICATE")


def _blocks(file: FilePath, *labels: str) -> list[bytes]:
    found = [base64.b64decode(body) for label, body in _PEM.findall(file.read_text()) if label in labels]
    if not found:
        raise Rejected(str(file), f"there is no {labels[0].lower()} in it")
    return found


class Proof(TypedDict, total=False):
    """How a device proves who it is, as the core takes it."""

    identity: bytes
    key: bytes
    certificate: Sequence[bytes]
    authorities: Sequence[bytes]
    server_name: str | None


def proof(identity: str | None, key: bytes | None, certificate: Certificate | None) -> Proof:
    """A pre-shared key, a certificate, or nothing.

    Raises:
        Rejected: a key without its identity, or both ways at once.
    """
    if (identity is None) != (key is None):
        raise Rejected("key", "identity and key belong together")
    if identity is None or key is None:
        if certificate is None:
            return Proof()
        return Proof(
            certificate=certificate.chain,
            key=certificate.key,
            authorities=certificate.authorities,
            server_name=certificate.server_name,
        )
    if certificate is not None:
        raise Rejected("certificate", "a key and a certificate at once")
    _check_key(key)
    return Proof(identity=identity.encode(), key=key)


def admission(endpoint: str, credential: Credential | None) -> list[DeviceCredential] | None:
    """How a device is let in: by its key, by a certificate with its name, or (None) by its name alone.

    Raises:
        Rejected: a key of another length than 8 to 64 bytes, or something else.
    """
    if credential is None:
        return None
    if isinstance(credential, bytes):
        _check_key(credential)
        return [DeviceCredential.psk(endpoint, endpoint.encode(), credential)]
    if credential != "x509":
        raise Rejected(endpoint, 'a credential is a key (bytes) or "x509"')
    return [DeviceCredential.named(endpoint, AUTHORITY)]


def _check_key(key: bytes) -> None:
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise Rejected("key", f"{len(key)} bytes, expected {KEY_BYTES_MIN} to {KEY_BYTES_MAX}")
