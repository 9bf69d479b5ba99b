"""What devices prove themselves with: several at a time while one takes over from another; keys are shown once."""

from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, SecretStr

from shoal.access.policy import Operation
from shoal.api.access import CredentialKey, DeviceKey, EnclosureKey, HeldAsking
from shoal.api.context import HeldRooms
from shoal.api.enclosures import place_of
from shoal.api.paging import ITEMS_USUAL, Cursor, Limit, Listed
from shoal.credentials.credential import OVERLAP_MAX, Credential, Pin, Rotation, State, Until
from shoal.credentials.psk import IDENTITY_BYTES_MAX, KEY_BYTES_MAX
from shoal.credentials.x509 import PEM_CHARACTERS_MAX
from shoal.errors import Rejected
from shoal.inventory.claim import PLACEMENT
from shoal.inventory.device import Security, parse_security
from shoal.inventory.paging import cursor_after, parse_cursor
from shoal.onboarding.adding import WantedProof, add_credential
from shoal.storage.directory import CertificateFacts

# Hexadecimal, with a blank or a colon between the bytes.
KEY_CHARACTERS_MAX: Final = 4 * KEY_BYTES_MAX

router = APIRouter(tags=["devices"])


class SecurityAsked(BaseModel):
    """`psk` with an identity (the device's id unless given) and a key in hexadecimal (generated unless given).

    `x509`: a certificate of one of the tenant's trust anchors that bears the endpoint name, or with `certificate` (PEM)
    this one; with `pin` of `subject` any with its names of issuer and subject.
    """

    mode: str = Field(default=Security.PSK.value, max_length=16)
    identity: str | None = Field(default=None, max_length=IDENTITY_BYTES_MAX)
    key: SecretStr | None = Field(default=None, max_length=KEY_CHARACTERS_MAX)
    certificate: str | None = Field(default=None, max_length=PEM_CHARACTERS_MAX)
    pin: Pin = Pin.CERTIFICATE

    def proof(self) -> WantedProof:
        """How the device is to prove who it is.

        Raises:
            Rejected: a mode that there is not, or a proof that does not belong to it.
        """
        return WantedProof(
            mode=parse_security(self.mode),
            identity=self.identity,
            key=self.key.get_secret_value() if self.key else None,
            certificate=self.certificate,
            pin=self.pin,
        )


class CredentialAsked(SecurityAsked):
    """Those before go on for `overlap_s` (a week unless given, 0 ends them at once), at most `until` the device is seen
    with the new one, or to the `end` of that time."""

    overlap_s: int | None = Field(default=None, ge=0, le=int(OVERLAP_MAX.total_seconds()))
    until: Until = Until.SEEN

    def rotation(self) -> Rotation:
        overlap = None if self.overlap_s is None else timedelta(seconds=self.overlap_s)
        return Rotation(overlap=overlap, until=self.until)


class ApprovalAsked(BaseModel):
    """`enclosure` is where the device is put with this; without it, it stays where it is."""

    enclosure: EnclosureKey | None = None


class CertificateShown(BaseModel):
    subject: str
    issuer: str
    serial: str
    fingerprint: str
    not_before: datetime
    not_after: datetime


class CredentialShown(BaseModel):
    """`certificate` is the pinned one, or the one that was seen last; null for a key, and before the first.
    `is_from_bootstrap`: a bootstrap handed it out, and nobody made it."""

    id: str
    device: str
    mode: str
    identity: str
    state: State
    created_at: datetime
    created_by: str | None
    is_from_bootstrap: bool
    expires_at: datetime | None
    last_used_at: datetime | None
    certificate: CertificateShown | None
    needs_key: bool


class NewCredentialShown(CredentialShown):
    """`key` in hexadecimal: shown this once; null for a certificate."""

    key: str | None


@router.post("/devices/{device}/credentials", status_code=201)
async def create(device: DeviceKey, asked: CredentialAsked, asking: HeldAsking, rooms: HeldRooms) -> NewCredentialShown:
    """A new credential beside those that the device has, which end when it is used, or after a while, or at once."""
    found = await rooms.inventory.device(asking.tenant, device)
    asking.may(Operation.ADMINISTER, found.place)
    proof = asked.proof()
    async with rooms.database.transaction() as tx:
        new = await add_credential(
            tx, rooms.inventory, rooms.credentials, found, proof, asked.rotation(), by=asking.name
        )
        said = new.credential
        asking.tells(after={"credential": said.id, "mode": said.mode.value, "identity": said.identity})
    return NewCredentialShown(**credential_shown(said).model_dump(), key=new.key)


@router.get("/devices/{device}/credentials")
async def of_device(device: DeviceKey, asking: HeldAsking, rooms: HeldRooms) -> Listed[CredentialShown]:
    """What a device proves itself with, the newest first, and what it did lately: never a key."""
    asking.may(Operation.READ, (await rooms.inventory.device(asking.tenant, device)).place)
    found = await rooms.credentials.of_device(asking.tenant, device)
    return Listed(items=[credential_shown(one) for one in found])


@router.post("/devices/{device}/credentials/{credential}:approve")
async def approve(
    device: DeviceKey,
    credential: CredentialKey,
    asking: HeldAsking,
    rooms: HeldRooms,
    asked: ApprovalAsked | None = None,
) -> CredentialShown:
    """Lets a device in that came by itself with a good certificate and waits for a person; best where it says it is."""
    enclosure = asked.enclosure if asked else None
    found = await rooms.inventory.device(asking.tenant, device)
    asking.may(Operation.ADMINISTER, found.place)
    if enclosure is not None:
        there = await rooms.inventory.enclosure(asking.tenant, enclosure, asking.reach(Operation.READ))
        asking.may(Operation.WRITE, place_of(there), PLACEMENT)
    async with rooms.database.transaction() as tx:
        # The device itself first: who changes one holds it before anything else.
        await rooms.inventory.move_device(tx, asking.tenant, device, enclosure or found.enclosure, by=asking.name)
        approved = await rooms.credentials.approve(tx, asking.tenant, device, credential)
        asking.tells(device, after={"credential": credential, "state": approved.state.value, "enclosure": enclosure})
    return credential_shown(approved)


@router.delete("/devices/{device}/credentials/{credential}", status_code=204)
async def revoke(
    device: DeviceKey,
    credential: CredentialKey,
    asking: HeldAsking,
    rooms: HeldRooms,
    last: Annotated[bool, Query(description="also when the device cannot connect afterwards")] = False,
) -> None:
    """A credential is void from now on; the session that began with it ends at once."""
    asking.may(Operation.ADMINISTER, (await rooms.inventory.device(asking.tenant, device)).place)
    asking.tells(device, before={"credential": credential})
    async with rooms.database.transaction() as tx:
        await rooms.credentials.revoke(tx, asking.tenant, device, credential, even_last=last)


@router.get("/credentials")
async def ending(
    asking: HeldAsking,
    rooms: HeldRooms,
    expires_before: datetime | None = None,
    state: State | None = None,
    cursor: Cursor = None,
    limit: Limit = ITEMS_USUAL,
) -> Listed[CredentialShown]:
    """Credentials of the tenant's devices that end by themselves, the soonest first; those that live unless `state`.

    With `waiting`, those that nobody has approved yet, the longest first: they do not end.
    """
    asking.may(Operation.READ)
    if expires_before is not None and state is State.WAITING:
        raise Rejected("expires_before", "what waits for approval does not end")
    if expires_before is not None and expires_before.tzinfo is None:
        raise Rejected("expires_before", "has no time zone")
    after = None
    if cursor is not None:
        moment, id_ = parse_cursor(cursor, parts=2)
        try:
            after = datetime.fromisoformat(moment), id_
        except ValueError as error:
            raise Rejected("cursor", "not one of ours") from error
        if after[0].tzinfo is None:
            raise Rejected("cursor", "not one of ours")
    found = await rooms.credentials.ending(
        asking.tenant, before=expires_before, state=state, after=after, limit=limit + 1
    )
    page = found[:limit]
    last = page[-1] if len(found) > limit else None
    place = last and (last.created_at if state is State.WAITING else last.expires_at)
    return Listed(
        items=[credential_shown(one) for one in page],
        next=cursor_after(place.isoformat(), last.id) if last and place else None,
    )


def credential_shown(said: Credential) -> CredentialShown:
    facts = said.certificate
    return CredentialShown(
        id=said.id,
        device=said.device,
        mode=said.mode.value,
        identity=said.identity,
        state=said.state,
        created_at=said.created_at,
        created_by=said.created_by,
        is_from_bootstrap=said.is_from_bootstrap,
        expires_at=said.expires_at,
        last_used_at=said.last_used_at,
        certificate=None if facts is None else certificate_shown(facts),
        needs_key=said.needs_key,
    )


def certificate_shown(facts: CertificateFacts) -> CertificateShown:
    return CertificateShown(
        subject=facts.subject,
        issuer=facts.issuer,
        serial=facts.serial,
        fingerprint=facts.fingerprint,
        not_before=facts.not_before,
        not_after=facts.not_after,
    )
