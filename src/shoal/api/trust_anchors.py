"""Whose certificates let a tenant's devices in: taken in, proved to be the tenant's own, renamed, retired."""

from datetime import datetime
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel, Field

from shoal.access.policy import Operation
from shoal.api.access import HeldAsking, TrustAnchorKey
from shoal.api.context import HeldRooms
from shoal.api.credentials import CertificateShown, certificate_shown
from shoal.api.paging import Listed
from shoal.authority.authority import State, fingerprint_of
from shoal.credentials.anchor import SIGNATURE_CHARACTERS_MAX, AnchorState, TrustAnchor, ZeroTouch
from shoal.credentials.anchor_store import NAME_CHARACTERS_MAX
from shoal.credentials.x509 import PEM_CHARACTERS_MAX
from shoal.errors import Conflict
from shoal.inventory.device import Kind

router = APIRouter(prefix="/trust-anchors", tags=["trust"])

# With blanks around it, as people paste.
_NAME_MAX: Final = 2 * NAME_CHARACTERS_MAX


class AnchorAsked(BaseModel):
    """The certificate of an authority in PEM. `zero_touch` says what becomes of devices that nobody made; `kind` what
    they are taken for."""

    name: str = Field(max_length=_NAME_MAX)
    certificate: str = Field(max_length=PEM_CHARACTERS_MAX)
    zero_touch: ZeroTouch = ZeroTouch.OFF
    kind: Kind = Kind.SENSOR


class AnchorChange(BaseModel):
    """What is left out stays as it is."""

    name: str | None = Field(None, max_length=_NAME_MAX)
    zero_touch: ZeroTouch | None = None
    kind: Kind | None = None


class ProofAsked(BaseModel):
    """A certificate (PEM) that the authority issued and whose common name is the challenge; or the challenge signed with
    its key (ECDSA with SHA-256, DER in base64)."""

    certificate: str | None = Field(None, max_length=PEM_CHARACTERS_MAX)
    signature: str | None = Field(None, max_length=SIGNATURE_CHARACTERS_MAX)


class AnchorShown(BaseModel):
    """`challenge` is what the authority's key has to answer; null when it has."""

    id: str
    name: str
    state: AnchorState
    certificate: CertificateShown
    zero_touch: ZeroTouch
    kind: Kind
    created_at: datetime
    created_by: str | None
    challenge: str | None
    challenge_expires_at: datetime | None
    retired_at: datetime | None


class AnchorUseShown(BaseModel):
    """`devices` whose certificate names this anchor as its issuer; anchors of one name have the same number."""

    anchor: str
    devices: int


class UseShown(BaseModel):
    """By the certificates that are pinned, or that devices showed last.

    `elsewhere` counts devices whose certificate has another issuer, as an intermediate is; `unseen` those with none yet.
    """

    anchors: list[AnchorUseShown]
    elsewhere: int
    unseen: int


@router.post("", status_code=201)
async def create(asked: AnchorAsked, asking: HeldAsking, rooms: HeldRooms) -> AnchorShown:
    """Takes an authority in. It lets nobody in before it is proved."""
    asking.may(Operation.ADMINISTER)
    async with rooms.database.transaction() as tx:
        made = await rooms.trust_anchors.create(
            tx,
            asking.tenant,
            name=asked.name,
            certificate=asked.certificate,
            zero_touch=asked.zero_touch,
            kind=asked.kind.value,
            by=asking.name,
        )
        asking.tells(made.id, after=_edited(made) | {"fingerprint": made.certificate.fingerprint})
    return anchor_shown(made)


@router.get("")
async def several(asking: HeldAsking, rooms: HeldRooms) -> Listed[AnchorShown]:
    """The tenant's trust anchors, the newest first."""
    asking.may(Operation.READ)
    return Listed(items=[anchor_shown(one) for one in await rooms.trust_anchors.anchors(asking.tenant)])


@router.get(":use")
async def use(asking: HeldAsking, rooms: HeldRooms) -> UseShown:
    """How many devices stand on which trust anchor: what to know before one is retired."""
    asking.may(Operation.READ)
    found = await rooms.trust_anchors.use(asking.tenant)
    return UseShown(
        anchors=[AnchorUseShown(anchor=anchor, devices=devices) for anchor, devices in found.devices.items()],
        elsewhere=found.elsewhere,
        unseen=found.unseen,
    )


@router.get("/{anchor}")
async def one(anchor: TrustAnchorKey, asking: HeldAsking, rooms: HeldRooms) -> AnchorShown:
    """One trust anchor."""
    asking.may(Operation.READ)
    return anchor_shown(await rooms.trust_anchors.anchor(asking.tenant, anchor))


@router.post("/{anchor}:prove")
async def prove(anchor: TrustAnchorKey, asked: ProofAsked, asking: HeldAsking, rooms: HeldRooms) -> AnchorShown:
    """Shows that the tenant holds the key of the authority: from now on it lets devices in."""
    asking.may(Operation.ADMINISTER)
    async with rooms.database.transaction() as tx:
        proved = await rooms.trust_anchors.prove(
            tx, asking.tenant, anchor, certificate=asked.certificate, signature=asked.signature
        )
        asking.tells(anchor, after={"state": proved.state.value})
    return anchor_shown(proved)


@router.patch("/{anchor}")
async def change(anchor: TrustAnchorKey, asked: AnchorChange, asking: HeldAsking, rooms: HeldRooms) -> AnchorShown:
    """Another name, or another way with devices that nobody made."""
    asking.may(Operation.ADMINISTER)
    was = await rooms.trust_anchors.anchor(asking.tenant, anchor)
    kind = None if asked.kind is None else asked.kind.value
    async with rooms.database.transaction() as tx:
        changed = await rooms.trust_anchors.change(
            tx, asking.tenant, anchor, name=asked.name, zero_touch=asked.zero_touch, kind=kind
        )
        asking.tells(before=_edited(was), after=_edited(changed))
    return anchor_shown(changed)


@router.delete("/{anchor}", status_code=204)
async def retire(anchor: TrustAnchorKey, asking: HeldAsking, rooms: HeldRooms) -> None:
    """Trusts an authority no longer: sessions that began with its certificates end at once.

    409 for the anchor of an authority of your own: retire that one (`POST /authorities/{authority}:retire`).
    """
    asking.may(Operation.ADMINISTER)
    was = await rooms.trust_anchors.anchor(asking.tenant, anchor)
    for own in await rooms.authorities.several(asking.tenant):
        if own.state is not State.RETIRED and fingerprint_of(own.chain[0]) == was.certificate.fingerprint:
            raise Conflict(
                anchor,
                f"it belongs to your own authority {own.id}, whose certificates nobody would trust; retire that one",
                authority=own.id,
            )
    asking.tells(before=_edited(was) | {"fingerprint": was.certificate.fingerprint})
    async with rooms.database.transaction() as tx:
        await rooms.trust_anchors.retire(tx, asking.tenant, anchor)


def anchor_shown(anchor: TrustAnchor) -> AnchorShown:
    return AnchorShown(
        id=anchor.id,
        name=anchor.name,
        state=anchor.state,
        certificate=certificate_shown(anchor.certificate),
        zero_touch=anchor.zero_touch,
        kind=Kind(anchor.kind),
        created_at=anchor.created_at,
        created_by=anchor.created_by,
        challenge=anchor.challenge,
        challenge_expires_at=anchor.challenge_expires_at,
        retired_at=anchor.retired_at,
    )


def _edited(anchor: TrustAnchor) -> dict[str, str]:
    return {"name": anchor.name, "zero_touch": anchor.zero_touch.value, "kind": anchor.kind}
