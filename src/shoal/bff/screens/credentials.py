"""What devices prove themselves with: in which state, until when, last used; and what ends soon."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args

from pydantic import BaseModel

from shoal.bff import heard, heard_trust
from shoal.bff.screens.device import last_refused
from shoal.bff.screens.security import SecurityLine
from shoal.bff.screens.vocabulary import nearest

# A certificate is renewed by hand, on a boat trip that has to be planned.
ENDS_WITHIN: Final = timedelta(days=30)
# A screen of the inventory; each line asks for the name of its device.
CREDENTIALS_PER_PAGE: Final = 25

CredentialState: TypeAlias = Literal["current", "next", "retiring", "waiting", "revoked", "expired"]
STATES: Final[tuple[CredentialState, ...]] = get_args(CredentialState)


class CertificateShown(BaseModel):
    subject: str
    issuer: str
    serial: str
    fingerprint: str
    not_before: datetime | None
    not_after: datetime | None


class ClaimLine(BaseModel):
    """Where the device says it is. `name` and `farm` where that is one of the tenant's own; `state` as on its page."""

    enclosure: str
    name: str
    farm: str
    state: str


class CredentialLine(BaseModel):
    """`ends_soon`: within 30 days, and it would stop working. `is_from_bootstrap`: nobody made it."""

    id: str
    device: str
    endpoint: str
    mode: str
    identity: str
    state: CredentialState
    created_at: datetime | None
    created_by: str
    is_from_bootstrap: bool
    expires_at: datetime | None
    last_used_at: datetime | None
    certificate: CertificateShown | None
    needs_key: bool
    ends_soon: bool


class CredentialsScreen(BaseModel):
    """`alive` counts what the device can still connect with; `refused` is how it was last not let in; `claim` is where it
    says it is, for whoever approves it."""

    at: datetime
    endpoint: str
    mode: str
    alive: int
    items: list[CredentialLine]
    claim: ClaimLine | None
    refused: SecurityLine | None


class NewCredential(BaseModel):
    """`key` in hexadecimal: this once, and only when it was generated; else empty."""

    id: str
    identity: str
    key: str


class EndingScreen(BaseModel):
    """Credentials that end by themselves within 30 days, the soonest first."""

    at: datetime
    items: list[CredentialLine]
    next: str | None


def credentials_screen(
    at: datetime,
    device: heard.Device,
    credentials: Sequence[heard_trust.Credential],
    refusals: Sequence[heard_trust.SecurityEvent],
) -> CredentialsScreen:
    lines = [credential_line(at, said, device.endpoint) for said in credentials]
    return CredentialsScreen(
        at=at,
        endpoint=device.endpoint,
        mode=device.security.mode if device.security else "",
        alive=sum(line.state in {"current", "next", "retiring"} and not line.needs_key for line in lines),
        items=lines,
        claim=claim_line(device),
        refused=last_refused(device, refusals),
    )


def claim_line(device: heard.Device) -> ClaimLine | None:
    said = device.claim
    if said is None:
        return None
    return ClaimLine(enclosure=said.enclosure, name=said.name, farm=said.farm_name, state=device.place.state)


def ending_screen(at: datetime, page: heard.Page[heard_trust.Credential], endpoints: Mapping[str, str]) -> EndingScreen:
    lines = [credential_line(at, said, endpoints.get(said.device, "")) for said in page.items]
    return EndingScreen(at=at, items=lines, next=page.next)


def credential_line(at: datetime, said: heard_trust.Credential, endpoint: str) -> CredentialLine:
    certificate = said.certificate
    state = nearest(STATES, said.state, "current")
    is_alive = state in {"current", "next"}
    return CredentialLine(
        id=said.id,
        device=said.device,
        endpoint=endpoint,
        mode=said.mode,
        identity=said.identity,
        state=state,
        created_at=said.created_at,
        created_by=said.created_by,
        is_from_bootstrap=said.is_from_bootstrap,
        expires_at=said.expires_at,
        last_used_at=said.last_used_at,
        certificate=CertificateShown(
            subject=certificate.subject,
            issuer=certificate.issuer,
            serial=certificate.serial,
            fingerprint=certificate.fingerprint,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
        )
        if certificate
        else None,
        needs_key=said.needs_key,
        ends_soon=is_alive and said.expires_at is not None and said.expires_at <= at + ENDS_WITHIN,
    )


def new_credential(made: heard_trust.NewCredential, *, is_key_given: bool) -> NewCredential:
    return NewCredential(id=made.id, identity=made.identity, key="" if is_key_given else made.key)
