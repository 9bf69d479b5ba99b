"""Whose certificates let devices in: each trust anchor with who stands on it, how one is proved, and who waits at the door."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args

from pydantic import BaseModel

from shoal.bff import heard, heard_trust
from shoal.bff.screens.credentials import ClaimLine, claim_line
from shoal.bff.screens.vocabulary import nearest

# Every device has to get another certificate until then: some are visited twice a year.
ENDS_WITHIN: Final = timedelta(days=180)
# As many as a person would go through in one go; more come when these are gone.
WAITING_MAX: Final = 50

AnchorState: TypeAlias = Literal["unproved", "trusted", "retired"]
ZeroTouch: TypeAlias = Literal["off", "approve", "admit"]
# What needs somebody first, what is over last.
_STATES: Final[tuple[AnchorState, ...]] = get_args(AnchorState)
_WAYS: Final[tuple[ZeroTouch, ...]] = get_args(ZeroTouch)


class ProofWanted(BaseModel):
    """What the authority's key has to answer until `expires_at`; commands for whoever has `ca.pem` and `ca.key`."""

    challenge: str
    expires_at: datetime | None
    is_over: bool
    certificate_command: str
    signature_command: str


class AnchorLine(BaseModel):
    """`devices` showed a certificate of it last; with `namesakes` it bears one name, and their devices are counted, too.

    `authority` is the tenant's own authority that it is of; `successor` and `succeeds` are the names of anchors.
    """

    id: str
    name: str
    state: AnchorState
    subject: str
    serial: str
    fingerprint: str
    not_before: datetime | None
    not_after: datetime | None
    is_over: bool
    ends_soon: bool
    zero_touch: ZeroTouch
    kind: str
    created_at: datetime | None
    created_by: str
    retired_at: datetime | None
    devices: int
    namesakes: list[str]
    authority: str
    successor: str
    succeeds: str
    proof: ProofWanted | None


class WaitingLine(BaseModel):
    """A device that nobody made, with a good certificate: it is let in when somebody approves it, where it says it is."""

    device: str
    endpoint: str
    credential: str
    since: datetime | None
    claim: ClaimLine | None


class TrustScreen(BaseModel):
    """`elsewhere`: devices whose certificate another authority signed, as one between; `unseen`: with none yet."""

    at: datetime
    anchors: list[AnchorLine]
    elsewhere: int
    unseen: int
    waiting: list[WaitingLine]
    has_more_waiting: bool


def trust_screen(
    at: datetime,
    anchors: Sequence[heard_trust.Anchor],
    use: heard_trust.AnchorUse,
    authorities: Sequence[heard_trust.Authority],
    waiting: heard.Page[heard_trust.Credential],
    devices: Mapping[str, heard.Device],
) -> TrustScreen:
    lines = [_line(at, said, use, anchors, authorities) for said in anchors]
    return TrustScreen(
        at=at,
        anchors=sorted(lines, key=lambda line: (_STATES.index(line.state), not _needs_somebody(line))),
        elsewhere=use.elsewhere,
        unseen=use.unseen,
        waiting=[
            WaitingLine(
                device=said.device,
                endpoint=said.identity,
                credential=said.id,
                since=said.created_at,
                claim=claim_line(devices[said.device]) if said.device in devices else None,
            )
            for said in waiting.items
        ],
        has_more_waiting=waiting.next is not None,
    )


def readable(name: str) -> str:
    """The name of an authority; RFC 4514 §3 has no word for the serial number in it, RFC 4519 §2.31 has."""
    return name.replace("2.5.4.5=", "serialNumber=")


def _needs_somebody(line: AnchorLine) -> bool:
    return line.ends_soon or line.successor != ""


def _line(
    at: datetime,
    said: heard_trust.Anchor,
    use: heard_trust.AnchorUse,
    anchors: Sequence[heard_trust.Anchor],
    authorities: Sequence[heard_trust.Authority],
) -> AnchorLine:
    certificate, state = said.certificate, nearest(_STATES, said.state, "trusted")
    own = next((one for one in authorities if one.fingerprint == certificate.fingerprint), None)
    before = next((one for one in authorities if own and one.id == own.succeeds), None)
    after = next((one for one in authorities if own and one.succeeds == own.id), None)
    ends = certificate.not_after
    return AnchorLine(
        id=said.id,
        name=said.name,
        state=state,
        subject=readable(certificate.subject),
        serial=certificate.serial,
        fingerprint=certificate.fingerprint,
        not_before=certificate.not_before,
        not_after=ends,
        is_over=ends is not None and ends <= at,
        ends_soon=ends is not None and ends <= at + ENDS_WITHIN,
        zero_touch=nearest(_WAYS, said.zero_touch, "off"),
        kind=said.kind,
        created_at=said.created_at,
        created_by=said.created_by,
        retired_at=said.retired_at,
        devices=0 if state == "retired" else use.of(said.id),
        namesakes=[
            one.name
            for one in anchors
            if one.id != said.id and one.state != "retired" and one.certificate.subject == certificate.subject
        ],
        authority=own.id if own else "",
        successor=_anchor_of(after, anchors),
        succeeds=_anchor_of(before, anchors),
        proof=_proof(at, said) if state == "unproved" else None,
    )


def _anchor_of(authority: heard_trust.Authority | None, anchors: Sequence[heard_trust.Anchor]) -> str:
    """The name of the living anchor of this authority; successors are called alike, so with what tells them apart."""
    for one in anchors:
        if authority and one.state != "retired" and one.certificate.fingerprint == authority.fingerprint:
            return f"{one.name} ({authority.id})"
    return ""


def _proof(at: datetime, said: heard_trust.Anchor) -> ProofWanted:
    ends = said.challenge_expires_at
    subject, challenge = shlex.quote(f"/CN={said.challenge}"), shlex.quote(said.challenge)
    return ProofWanted(
        challenge=said.challenge,
        expires_at=ends,
        is_over=not said.challenge or (ends is not None and ends <= at),
        certificate_command=(
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout proof.key"
            f" -subj {subject} | openssl x509 -req -CA ca.pem -CAkey ca.key -set_serial 1 -days 1 -out proof.pem"
        ),
        signature_command=f"printf %s {challenge} | openssl dgst -sha256 -sign ca.key | openssl base64 -A",
    )
