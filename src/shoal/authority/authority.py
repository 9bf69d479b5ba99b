"""What a certificate authority is to a tenant, and what may become of it and of what it issued."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from shoal.errors import Conflict
from shoal.ids import TenantId
from shoal.storage.database import Transaction


class State(StrEnum):
    """A current authority issues; a retiring one only vouches for what it issued; a retired one for nothing any more."""

    CURRENT = "current"
    RETIRING = "retiring"
    RETIRED = "retired"


class Trigger(StrEnum):
    """What an administrator can do with an authority."""

    ROLL_OVER = "roll over"
    RETIRE = "retire"


TRANSITIONS: Final[dict[tuple[State, Trigger], State]] = {
    (State.CURRENT, Trigger.ROLL_OVER): State.RETIRING,
    (State.CURRENT, Trigger.RETIRE): State.RETIRED,
    (State.RETIRING, Trigger.RETIRE): State.RETIRED,
}


class Usage(StrEnum):
    """What a certificate is for: a device shows it to us, or a server shows it to devices."""

    DEVICE = "device"
    SERVER = "server"


class Standing(StrEnum):
    """What a certificate is worth now."""

    GOOD = "good"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Reason(StrEnum):
    """Why a certificate is taken back, in the words of RFC 5280 §5.3.1."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """An authority as people see it: never with its key.

    `chain` is its certificate in DER, then those above it. `succeeds` is the one whose place it took. Without its key
    (lost with a master key) it can only be looked at.
    """

    id: str
    tenant: TenantId
    name: str
    state: State
    chain: tuple[bytes, ...]
    has_key: bool
    succeeds: str | None
    created_at: datetime
    created_by: str | None

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.chain[0])

    @property
    def issuers(self) -> tuple[bytes, ...]:
        """What goes with a certificate of it: itself and those above, without the root that everybody has."""
        return tuple(der for der in self.chain if not is_root(der))


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """A certificate that one of our authorities issued. `names` are those beside the common name `subject`."""

    id: str
    tenant: TenantId
    authority: str
    usage: Usage
    subject: str
    names: tuple[str, ...]
    serial: str
    fingerprint: str
    der: bytes
    not_before: datetime
    not_after: datetime
    issued_at: datetime
    issued_by: str | None
    revoked_at: datetime | None = None
    reason: Reason | None = None

    def standing(self, now: datetime) -> Standing:
        """What it is worth at this moment."""
        if self.revoked_at is not None:
            return Standing.REVOKED
        return Standing.EXPIRED if self.not_after <= now else Standing.GOOD

    @property
    def pem(self) -> str:
        return pem_of(self.der)


class DeviceTrust(Protocol):
    """The room that knows by whose word devices are let in: told in the transaction of each change."""

    async def trust(self, tx: Transaction, authority: Authority) -> None:
        """Devices with certificates of this authority are the tenant's from now on. We made it: nobody has to prove it."""

    async def distrust(self, tx: Transaction, authority: Authority) -> None:
        """Its word counts no more: sessions that stand on it end."""


def after(authority: Authority, trigger: Trigger) -> State:
    """The state that an authority is in then.

    Raises:
        Conflict: that cannot be done with it in the state that it is in.
    """
    state = TRANSITIONS.get((authority.state, trigger))
    if state is None:
        raise Conflict(authority.id, f"is {authority.state.value}: it cannot {trigger.value}", state=authority.state)
    return state


def is_root(der: bytes) -> bool:
    """Whether a certificate stands for itself."""
    certificate = x509.load_der_x509_certificate(der)
    return certificate.issuer == certificate.subject


def fingerprint_of(der: bytes) -> str:
    """SHA-256 of a whole certificate, in hexadecimal."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    return digest.finalize().hex()


def pem_of(*certificates: bytes) -> str:
    """Certificates as text (RFC 7468), one after the other."""
    return "".join(
        x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode("ascii") for der in certificates
    )
