"""Who may have a certificate by enrolling (EST, RFC 7030): the rules, without the world around them."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shoal.authority.authority import IssuedCertificate, Standing, Usage
from shoal.authority.issuing import PublicKey
from shoal.authority.request import SigningRequest, check_names
from shoal.errors import Rejected, TooMany
from shoal.ids import TenantId

# 160 bits: nobody guesses it, and a person can copy its 32 letters and digits once.
_SECRET_BYTES: Final = 20
# What somebody shows as a secret, before it is hashed; ours have 32 characters.
SECRET_CHARACTERS_MAX: Final = 128
# From the workshop to the pen.
ENROLMENT_LIFETIME: Final = timedelta(days=7)
# A device that lies in a store for a season.
ENROLMENT_LIFETIME_MAX: Final = timedelta(days=90)
# Shorter than it takes to type it.
ENROLMENT_LIFETIME_MIN: Final = timedelta(minutes=5)
# A device that starts again and again, and each time with a new key, must not fill our tables.
CERTIFICATES_PER_DAY_MAX: Final = 12
DAY: Final = timedelta(days=1)


class Unproved(Rejected):
    """Whoever asks has not shown who they are. Answer 401, or 4.01."""

    kind = "unauthenticated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """Leave for one device to get its first certificate. `used_for` is the digest of the key that it was used for."""

    id: str
    tenant: TenantId
    endpoint: str
    secret_digest: bytes = field(repr=False)
    expires_at: datetime
    used_for: bytes | None
    created_at: datetime
    created_by: str | None


@dataclass(frozen=True, slots=True)
class NewEnrolment:
    """Such leave with its secret: shown once, to whoever made it."""

    enrolment: Enrolment
    secret: str = field(repr=False)


def new_secret() -> str:
    """What a device shows once, as letters and digits that are not mistaken for each other."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii").lower()


def digest_of(secret: str) -> bytes:
    """What is kept of it. Raises Unproved: nothing that we ever gave out."""
    if not secret.isascii() or len(secret) > SECRET_CHARACTERS_MAX:
        raise Unproved("enrolment", "wrong endpoint name or secret")
    return hashlib.sha256(secret.encode()).digest()


def digest_of_key(key: PublicKey) -> bytes:
    """Which key that is."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def check_secret(known: Enrolment | None, secret: str, request: SigningRequest, now: datetime) -> Enrolment:
    """The leave, when it is this one's. Once used it is good only for the same key: the answer may have been lost.

    Raises:
        Unproved: unknown, another secret, out of date, or used for another key. Which of them is not told to a stranger.
    """
    if known is None or not hmac.compare_digest(known.secret_digest, digest_of(secret)):
        raise Unproved("enrolment", "wrong endpoint name or secret")
    if known.expires_at <= now:
        raise Unproved("enrolment", "out of date: ask for a new secret")
    if known.used_for not in {None, digest_of_key(request.key)}:
        raise Unproved("enrolment", "used already, for another key: ask for a new secret")
    return known


def check_shown(shown: IssuedCertificate | None, tenant: TenantId, now: datetime) -> IssuedCertificate:
    """The certificate that a device showed, when it is one of this tenant's devices and still counts.

    Raises:
        Unproved: none of ours, a server's, another tenant's, revoked or expired.
    """
    if shown is None or shown.tenant != tenant or shown.usage is not Usage.DEVICE:
        raise Unproved("certificate", "not of a device of this tenant")
    if (standing := shown.standing(now)) is not Standing.GOOD:
        raise Unproved("certificate", standing.value)
    return shown


def check_renewal(shown: IssuedCertificate, request: SigningRequest) -> None:
    """Nothing when a request asks for what the certificate shown has (RFC 7030 §4.2.2); its key may be another.

    Raises:
        Rejected: another subject, or other names.
    """
    check_names(request, shown.subject, shown.names)
    if set(request.uris) != set(shown.names):
        raise Rejected("subject alternative name", "not that of the certificate that is to be renewed")
    if request.subject != x509.load_der_x509_certificate(shown.der).subject:
        raise Rejected("subject", "not that of the certificate that is to be renewed")


def check_rate(issued_today: int) -> None:
    """Nothing while a device has not asked too often. Raises TooMany."""
    if issued_today >= CERTIFICATES_PER_DAY_MAX:
        raise TooMany("enrolment", f"{issued_today} certificates in a day", int(DAY.total_seconds()) // 24)


def checked_enrolment_lifetime(wanted: timedelta | None) -> timedelta:
    """For how long a secret is good. Raises Rejected."""
    lifetime = ENROLMENT_LIFETIME if wanted is None else wanted
    if not ENROLMENT_LIFETIME_MIN <= lifetime <= ENROLMENT_LIFETIME_MAX:
        raise Rejected("lifetime", f"{lifetime}, expected 5 minutes to {ENROLMENT_LIFETIME_MAX.days} days")
    return lifetime
