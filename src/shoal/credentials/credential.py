"""One of the things that a device proves itself with, and how one takes over from another."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shoal.errors import Rejected
from shoal.ids import CredentialId, DeviceId, TenantId
from shoal.storage.directory import CertificateFacts

# The one in use and the next one, and the same of another kind while a device changes over; the core holds no more.
LIVING_MAX: Final = 4
# Those that are over and still shown: enough to see how the last rotations went.
ENDED_SHOWN_MAX: Final = 8
# A sensor that sleeps for days, or hangs out of reach over a weekend, is back by then.
OVERLAP_USUAL: Final = timedelta(days=7)
# A season at sea. Longer, and two keys are good where one was meant.
OVERLAP_MAX: Final = timedelta(days=90)


class Mode(StrEnum):
    """What kind of proof it is."""

    PSK = "psk"
    X509 = "x509"


class State(StrEnum):
    """`next` was never used, `retiring` has a successor; both let the device in, as `current` does.

    `waiting` is of a device that nobody made: a person has to approve it first.
    """

    CURRENT = "current"
    NEXT = "next"
    RETIRING = "retiring"
    WAITING = "waiting"
    REVOKED = "revoked"
    EXPIRED = "expired"

    @property
    def is_living(self) -> bool:
        return self in LIVING


LIVING: Final = frozenset({State.CURRENT, State.NEXT, State.RETIRING})


class Until(StrEnum):
    """How long the old one goes on: until the device used the new one, or in any case until the overlap ends."""

    SEEN = "seen"
    END = "end"


class Pin(StrEnum):
    """Which certificates count: this one alone, or all of its subject by its issuer."""

    CERTIFICATE = "certificate"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What may be shown of a credential at any time: never its key.

    `identity` is what the device goes by: of a key its PSK identity, of a certificate the name in it. `certificate` is
    the pinned one, or the one that was seen last. `is_from_bootstrap`: nobody made it, a bootstrap handed it out. `needs_key`: that is lost with the master key, and must be made anew.
    """

    id: CredentialId
    device: DeviceId
    tenant: TenantId
    mode: Mode
    identity: str
    state: State
    created_at: datetime
    created_by: str | None
    is_from_bootstrap: bool = False
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    certificate: CertificateFacts | None = None
    needs_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCredential:
    """A credential with its key in hexadecimal, shown once, to the one who made it; None for a certificate."""

    credential: Credential
    key: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """How the ones before go on beside a new one. Without an overlap they are void at once.

    `overlap` of None is the usual one, or none where the new one goes by the identity of an old one: of two keys under
    one name a handshake can try only one.
    """

    overlap: timedelta | None = None
    until: Until = Until.SEEN

    def __post_init__(self) -> None:
        if self.overlap is not None and not timedelta() <= self.overlap <= OVERLAP_MAX:
            raise Rejected(
                "overlap", f"at most {OVERLAP_MAX.days} days", overlap_s_max=int(OVERLAP_MAX.total_seconds())
            )
