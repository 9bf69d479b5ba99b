"""What a device proves itself with: a new key takes the place of the old one, and is shown once."""

from datetime import datetime
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel, Field, SecretStr

from shoal.access.policy import Operation
from shoal.api.access import DeviceKey, HeldAsking
from shoal.api.context import HeldRooms
from shoal.credentials.psk import IDENTITY_BYTES_MAX, KEY_BYTES_MAX
from shoal.errors import Conflict, NotFound, Rejected
from shoal.inventory.device import Security, parse_security

# Hexadecimal, with a blank or a colon between the bytes.
KEY_CHARACTERS_MAX: Final = 4 * KEY_BYTES_MAX

router = APIRouter(tags=["devices"])


class SecurityAsked(BaseModel):
    """`psk` with an identity (the device's id unless given) and a key in hexadecimal (generated unless given)."""

    mode: str = Field(default=Security.PSK.value, max_length=16)
    identity: str | None = Field(default=None, max_length=IDENTITY_BYTES_MAX)
    key: SecretStr | None = Field(default=None, max_length=KEY_CHARACTERS_MAX)

    def parsed_mode(self) -> Security:
        """How the device is to prove who it is.

        Raises:
            Rejected: a mode that there is not, or a key for a device that is to have none.
        """
        mode = parse_security(self.mode)
        if mode is Security.NONE and (self.identity is not None or self.key is not None):
            raise Rejected("security", "mode none has neither identity nor key")
        return mode

    def key_text(self) -> str | None:
        return self.key.get_secret_value() if self.key else None


class CredentialShown(BaseModel):
    mode: str
    identity: str
    created_at: datetime
    created_by: str | None


class NewCredentialShown(CredentialShown):
    """`key` in hexadecimal: shown this once."""

    key: str


@router.post("/devices/{device}/credentials", status_code=201)
async def create(device: DeviceKey, asked: SecurityAsked, asking: HeldAsking, rooms: HeldRooms) -> NewCredentialShown:
    """A new key for a device. The old one is void at once."""
    asking.may(Operation.ADMINISTER, (await rooms.inventory.device(asking.tenant, device)).place)
    if asked.parsed_mode() is not Security.PSK:
        raise Conflict(device, "a device loses its security only by being created anew")
    async with rooms.database.transaction() as tx:
        new = await rooms.credentials.create(
            tx, asking.tenant, device, identity=asked.identity, key=asked.key_text(), by=asking.name
        )
        asking.tells(after={"mode": new.credential.mode, "identity": new.credential.identity})
    said = new.credential
    return NewCredentialShown(
        mode=said.mode, identity=said.identity, created_at=said.created_at, created_by=said.created_by, key=new.key
    )


@router.get("/devices/{device}/credentials")
async def one(device: DeviceKey, asking: HeldAsking, rooms: HeldRooms) -> CredentialShown:
    """What may be shown of a device's credential at any time: never its key."""
    asking.may(Operation.READ, (await rooms.inventory.device(asking.tenant, device)).place)
    said = await rooms.credentials.credential(asking.tenant, device)
    if said is None:
        raise NotFound(device, "has no credential")
    return CredentialShown(
        mode=said.mode, identity=said.identity, created_at=said.created_at, created_by=said.created_by
    )
