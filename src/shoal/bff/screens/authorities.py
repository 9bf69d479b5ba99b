"""The tenant's own authorities: which of them issues, what it issued, what of that ends soon."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args

from pydantic import BaseModel

from shoal.bff import heard, heard_trust
from shoal.bff.screens import anchors
from shoal.bff.screens.vocabulary import nearest

# As for credentials: a certificate is renewed by hand, on a trip that has to be planned.
ENDS_WITHIN: Final = timedelta(days=30)
CERTIFICATES_PER_PAGE: Final = 50

AuthorityState: TypeAlias = Literal["current", "retiring", "retired"]
Standing: TypeAlias = Literal["good", "expired", "revoked"]
_STATES: Final[tuple[AuthorityState, ...]] = get_args(AuthorityState)
_STANDINGS: Final[tuple[Standing, ...]] = get_args(Standing)


class AuthorityNamed(BaseModel):
    id: str
    name: str


class AuthorityLine(BaseModel):
    """`devices` showed a certificate of it last. `trust` in PEM: its certificate, then those above it, `levels` in all."""

    id: str
    name: str
    state: AuthorityState
    curve: str
    subject: str
    fingerprint: str
    not_before: datetime | None
    not_after: datetime | None
    ends_soon: bool
    has_key: bool
    levels: int
    devices: int
    succeeds: AuthorityNamed | None
    successor: AuthorityNamed | None
    created_at: datetime | None
    created_by: str
    trust: str


class AuthoritiesScreen(BaseModel):
    """Those that issue, those that only vouch, those that are over."""

    at: datetime
    authorities: list[AuthorityLine]


class CertificateLine(BaseModel):
    """`ends_soon`: within 30 days, and it counts until then."""

    id: str
    usage: str
    subject: str
    names: list[str]
    serial: str
    fingerprint: str
    state: Standing
    not_after: datetime | None
    ends_soon: bool
    issued_at: datetime | None
    issued_by: str
    revoked_at: datetime | None
    reason: str


class AuthorityScreen(BaseModel):
    """`roots` are those that an intermediate, or its successor, can be put under."""

    at: datetime
    authority: AuthorityLine
    roots: list[AuthorityNamed]
    certificates: list[CertificateLine]
    next: str | None


def authorities_screen(
    at: datetime,
    authorities: Sequence[heard_trust.Authority],
    known: Sequence[heard_trust.Anchor],
    use: heard_trust.AnchorUse,
) -> AuthoritiesScreen:
    lines = [_line(at, said, authorities, known, use) for said in authorities]
    return AuthoritiesScreen(at=at, authorities=sorted(lines, key=lambda line: _STATES.index(line.state)))


def authority_screen(
    at: datetime,
    said: heard_trust.Authority,
    authorities: Sequence[heard_trust.Authority],
    known: Sequence[heard_trust.Anchor],
    use: heard_trust.AnchorUse,
    page: heard.Page[heard_trust.IssuedCertificate],
) -> AuthorityScreen:
    return AuthorityScreen(
        at=at,
        authority=_line(at, said, authorities, known, use),
        roots=[
            AuthorityNamed(id=one.id, name=one.name)
            for one in authorities
            if one.state == "current" and one.has_key and _levels(one) == 1 and one.id != said.id
        ],
        certificates=[_certificate(at, one) for one in page.items],
        next=page.next,
    )


def _line(
    at: datetime,
    said: heard_trust.Authority,
    authorities: Sequence[heard_trust.Authority],
    known: Sequence[heard_trust.Anchor],
    use: heard_trust.AnchorUse,
) -> AuthorityLine:
    ends = said.not_after
    anchor = next(
        (one for one in known if one.state == "trusted" and one.certificate.fingerprint == said.fingerprint), None
    )
    return AuthorityLine(
        id=said.id,
        name=said.name,
        state=nearest(_STATES, said.state, "current"),
        curve=said.curve,
        subject=anchors.readable(said.subject),
        fingerprint=said.fingerprint,
        not_before=said.not_before,
        not_after=ends,
        ends_soon=said.state != "retired" and ends is not None and ends <= at + anchors.ENDS_WITHIN,
        has_key=said.has_key,
        levels=_levels(said),
        devices=use.of(anchor.id) if anchor else 0,
        succeeds=_named(next((one for one in authorities if one.id == said.succeeds), None)),
        successor=_named(next((one for one in authorities if one.succeeds == said.id), None)),
        created_at=said.created_at,
        created_by=said.created_by,
        trust=said.trust,
    )


def _named(said: heard_trust.Authority | None) -> AuthorityNamed | None:
    return AuthorityNamed(id=said.id, name=said.name) if said else None


def _levels(said: heard_trust.Authority) -> int:
    return said.trust.count("-----BEGIN CERTIFICATE-----")


def _certificate(at: datetime, said: heard_trust.IssuedCertificate) -> CertificateLine:
    state, ends = nearest(_STANDINGS, said.state, "good"), said.not_after
    return CertificateLine(
        id=said.id,
        usage=said.usage,
        subject=said.subject,
        names=said.names,
        serial=said.serial,
        fingerprint=said.fingerprint,
        state=state,
        not_after=ends,
        ends_soon=state == "good" and ends is not None and ends <= at + ENDS_WITHIN,
        issued_at=said.issued_at,
        issued_by=said.issued_by,
        revoked_at=said.revoked_at,
        reason=said.reason,
    )
