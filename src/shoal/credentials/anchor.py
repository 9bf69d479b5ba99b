"""An authority that a tenant trusts to vouch for its devices, and how the tenant shows that it is its own."""

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from shoal.credentials.x509 import Certificate, common_name
from shoal.errors import Rejected
from shoal.ids import TenantId, TrustAnchorId
from shoal.storage.directory import CertificateFacts

# Whoever holds the key of the authority has a week to use it once: it may lie in a safe.
CHALLENGE_LASTS: Final = timedelta(days=7)
# A DER signature over a digest takes 72 bytes on P-256 and 104 on P-384; base64 and blanks around it.
SIGNATURE_CHARACTERS_MAX: Final = 256
# The one in use and the next, for each of a few makers of devices.
ANCHORS_PER_TENANT_MAX: Final = 16
# The gateway takes no more of one name from one owner (`gateway::limits::AUTHORITIES_PER_NAME_MAX`).
ANCHORS_PER_NAME_MAX: Final = 4


class AnchorState(StrEnum):
    """Only what is `trusted` lets devices in."""

    UNPROVED = "unproved"
    TRUSTED = "trusted"
    RETIRED = "retired"


class ZeroTouch(StrEnum):
    """What becomes of a device that nobody made and whose certificate is good: refused, kept waiting for a person's
    approval, or let in."""

    OFF = "off"
    APPROVE = "approve"
    ADMIT = "admit"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustAnchor:
    """One authority of a tenant. `challenge` is there until it is proved; `kind` is what unknown devices are taken for."""

    id: TrustAnchorId
    tenant: TenantId
    name: str
    state: AnchorState
    certificate: CertificateFacts
    zero_touch: ZeroTouch
    kind: str
    created_at: datetime
    created_by: str | None
    challenge: str | None = None
    challenge_expires_at: datetime | None = None
    retired_at: datetime | None = None


def new_challenge() -> str:
    """A name that no certificate bears yet; it fits into a common name (64 characters)."""
    return f"shoal-proof-{secrets.token_hex(16)}"


def check_certificate(anchor: Certificate, challenge: str, proof: Certificate, now: datetime) -> None:
    """Whether the authority issued a certificate with the challenge as its common name.

    Raises:
        Rejected: it did not.
    """
    if not hmac.compare_digest((common_name(proof) or "").encode(), challenge.encode()):
        raise Rejected("certificate", "its common name is not the challenge")
    if not proof.facts.not_before <= now <= proof.facts.not_after:
        raise Rejected("certificate", "it is not valid now")
    try:
        proof.parsed.verify_directly_issued_by(anchor.parsed)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise Rejected("certificate", "the trust anchor did not issue it") from error


def check_signature(anchor: Certificate, challenge: str, signature: str) -> None:
    """Whether the authority's key signed the challenge: ECDSA with SHA-256, DER in base64.

    Raises:
        Rejected: it did not.
    """
    key = anchor.parsed.public_key()
    try:
        given = base64.b64decode("".join(signature.split()), validate=True)
        assert isinstance(key, ec.EllipticCurvePublicKey)  # noqa: S101  # no other certificate is read
        key.verify(given, challenge.encode(), ec.ECDSA(hashes.SHA256()))
    except (binascii.Error, ValueError, InvalidSignature) as error:
        raise Rejected("signature", "the trust anchor's key did not make it") from error
