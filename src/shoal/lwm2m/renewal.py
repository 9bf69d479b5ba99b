"""A device's certificate and its key over the years: when it is time for the next one, what is asked for, what is kept.

The file is replaced as a whole, so that there is always a pair that works, whenever the power goes: `current` has let the
device in; `next` is a key that no certificate has come for yet, or one that has not let it in yet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path as FilePath
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    pkcs7,
)
from cryptography.x509.oid import NameOID

from shoal.errors import Rejected
from shoal.lwm2m.certificates import Certificate
from shoal.lwm2m.state import save

FORMAT: Final = 1
# Of a certificate's life: there is as much time again as a season at sea takes, and nobody renews more often than needed.
RENEW_AFTER: Final = 2 / 3
# So that cameras that came in one delivery do not all ask in one hour: the share of the life over which they spread.
SPREAD: Final = 1 / 24
# After a failure: doubles from the first to the last of these. A server issues a dozen a day to one device.
PAUSE_FIRST: Final = timedelta(minutes=1)
PAUSE_LAST: Final = timedelta(hours=6)
# A certificate that ends tomorrow is not left alone for hours: so often at least it is tried before.
TRIES_LEFT_MIN: Final = 8
# What the session takes (`dtls::CHAIN_BYTES_MAX`).
CHAIN_BYTES_MAX: Final = 4_000


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A private key (PKCS #8 in DER) and its certificate, then its issuers; none while it is asked for."""

    key: bytes
    chain: tuple[bytes, ...] = ()

    @property
    def leaf(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.chain[0])

    def __repr__(self) -> str:
        return f"Pair({len(self.chain)} certificates)"


class Pairs(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file."""

    format: int = FORMAT
    current: Pair | None = None
    next: Pair | None = None


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """That a device gets its certificates by itself (EST over CoAPs, RFC 9148), and keeps them in `file`.

    `authorities` vouch for the server, `server_name` is what its certificate must be for: both may be left out where the
    device begins with a certificate that has them. `on_trouble` is told why there is no new certificate yet; it is tried
    again in any case.
    """

    file: FilePath
    authorities: Sequence[bytes] = ()
    server_name: str | None = None
    on_trouble: Callable[[str], None] | None = None

    def certificate(self, pair: Pair, given: Certificate | None) -> Certificate:
        """What the device shows."""
        authorities = self.authorities or (given.authorities if given else ())
        name = self.server_name or (given.server_name if given else None)
        return Certificate(pair.chain, pair.key, authorities, name)


def load_pairs(file: FilePath) -> Pairs:
    """What is kept; nothing when there is no file yet.

    Raises:
        Rejected: it is damaged, or of a newer program, or cannot be read.
    """
    try:
        pairs = msgspec.json.decode(file.read_bytes(), type=Pairs)
        for pair in (pairs.current, pairs.next):
            if pair is not None:
                _check_pair(pair)
    except FileNotFoundError:
        return Pairs()
    except OSError as error:
        raise Rejected("renewal", f"{file} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, ValueError, UnsupportedAlgorithm) as error:
        raise Rejected("renewal", f"{file} is damaged") from error
    if pairs.format != FORMAT:
        raise Rejected("renewal", f"{file} has the format {pairs.format} of another version of this program")
    return pairs


def save_pairs(file: FilePath, pairs: Pairs) -> None:
    """Replaces what is kept; it is on the disk afterwards. Raises OSError, and then what was kept before still is."""
    save(file, msgspec.json.encode(pairs))


def to_begin_with(pairs: Pairs, given: Pair | None, now: datetime) -> Pair | None:
    """What has let the device in, or is to: the one that ends last. None when none is good any more, and a key has to do."""
    known = [pair for pair in (pairs.current, given) if pair is not None]
    good = [pair for pair in known if pair.leaf.not_valid_after_utc > now]
    if known and not good and pairs.next is not None and pairs.next.chain:
        good = [pairs.next]
    return max(good, key=lambda pair: pair.leaf.not_valid_after_utc, default=given)


def due_at(certificate: x509.Certificate, share: float) -> datetime:
    """When to ask for the next one. `share`, from 0 to 1, is this device's place among many."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begins + (ends - begins) * (RENEW_AFTER + SPREAD * share)


def pause_after(failures: int, left: timedelta | None, share: float, said_s: int | None = None) -> timedelta:
    """How long to wait after so many failures in a row; `left` is how long the certificate is still good, if there is one.

    A server that is busy says when to come back (`said_s`).
    """
    doubled = min(PAUSE_FIRST * (1 << min(max(failures - 1, 0), 10)), PAUSE_LAST)
    if left is not None:
        doubled = max(min(doubled, left / TRIES_LEFT_MIN), min(PAUSE_FIRST, doubled))
    return max(doubled * (1 + share / 4), min(timedelta(seconds=said_s or 0), PAUSE_LAST))


def new_key() -> bytes:
    """A key on P-256, which every suite of LwM2M takes. It never leaves the device."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def request_for(endpoint: str, key: bytes, shown: Pair | None) -> bytes:
    """PKCS #10 for this key: the names of the certificate that it is to follow (RFC 7030 §4.2.2), or the endpoint name."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, endpoint)])
    names = None
    if shown is not None:
        subject = shown.leaf.subject
        found = [one.value for one in shown.leaf.extensions if isinstance(one.value, x509.SubjectAlternativeName)]
        names = found[0] if found else None
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return builder.sign(_private(key), hashes.SHA256()).public_bytes(Encoding.DER)


def chain_of(answer: bytes, key: bytes, now: datetime) -> tuple[bytes, ...]:
    """The certificate in an answer (application/pkcs7-mime, certs-only) that is this key's, then the others of it.

    Raises:
        Rejected: there is none, or it is of no use: over, of another key, or longer than a handshake carries.
    """
    try:
        found = pkcs7.load_der_pkcs7_certificates(answer)
        public = _private(key).public_key()
        own = [one for one in found if one.public_key() == public]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Rejected("answer", "no certificates can be read in it") from error
    if len(own) != 1:
        raise Rejected("answer", f"{len(own)} certificates of our key, expected 1")
    if own[0].not_valid_after_utc <= now:
        raise Rejected("answer", "its certificate is over already, by our clock")
    chain = tuple(one.public_bytes(Encoding.DER) for one in [*own, *(one for one in found if one not in own)])
    if sum(map(len, chain)) > CHAIN_BYTES_MAX:
        raise Rejected("answer", f"its certificates take more than {CHAIN_BYTES_MAX} bytes")
    return chain


def _check_pair(pair: Pair) -> None:
    public = _private(pair.key).public_key()
    if pair.chain and pair.leaf.public_key() != public:
        raise ValueError("another key")


def _private(key: bytes) -> ec.EllipticCurvePrivateKey:
    loaded = load_der_private_key(key, None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise ValueError("not on a curve")  # of its content, not of its type
    return loaded
