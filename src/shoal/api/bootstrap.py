"""Bootstrap: what a device proves itself with to be given its account, and asking it to get a new one."""

from datetime import datetime, timedelta

from fastapi import APIRouter
from pydantic import BaseModel, Field, SecretStr

from shoal.access.policy import Operation
from shoal.api.access import DeviceKey, HeldAsking
from shoal.api.answers import ask
from shoal.api.commands import CommandShown, command_shown, expected_at
from shoal.api.context import HeldRooms
from shoal.api.credentials import KEY_CHARACTERS_MAX
from shoal.commands.command import Operation as Asked
from shoal.credentials.bootstrap_store import BootstrapCredential
from shoal.credentials.psk import IDENTITY_BYTES_MAX
from shoal.errors import Conflict, NotFound

router = APIRouter(prefix="/devices", tags=["devices"])


class BootstrapAsked(BaseModel):
    """An identity (the device's id unless given) and a key in hexadecimal (generated unless given)."""

    identity: str | None = Field(default=None, max_length=IDENTITY_BYTES_MAX)
    key: SecretStr | None = Field(default=None, max_length=KEY_CHARACTERS_MAX)


class BootstrapShown(BaseModel):
    identity: str
    created_at: datetime
    created_by: str | None


class NewBootstrapShown(BootstrapShown):
    """`key` in hexadecimal: shown this once."""

    key: str


@router.post("/{device}/bootstrap", status_code=201)
async def create(device: DeviceKey, asked: BootstrapAsked, asking: HeldAsking, rooms: HeldRooms) -> NewBootstrapShown:
    """Lets a device ask the bootstrap server for its account. A key that it had for that is void at once."""
    asking.may(Operation.ADMINISTER, (await rooms.inventory.device(asking.tenant, device)).place)
    key = asked.key.get_secret_value() if asked.key else None
    async with rooms.database.transaction() as tx:
        new = await rooms.bootstraps.create(tx, asking.tenant, device, identity=asked.identity, key=key, by=asking.name)
        asking.tells(after={"bootstrap_identity": new.credential.identity})
    return NewBootstrapShown(**_shown(new.credential).model_dump(), key=new.key)


@router.get("/{device}/bootstrap")
async def one(device: DeviceKey, asking: HeldAsking, rooms: HeldRooms) -> BootstrapShown:
    """What may be shown of that at any time: never its key."""
    asking.may(Operation.READ, (await rooms.inventory.device(asking.tenant, device)).place)
    found = await rooms.bootstraps.credential(asking.tenant, device)
    if found is None:
        raise NotFound(device, "may not ask the bootstrap server")
    return _shown(found)


@router.delete("/{device}/bootstrap", status_code=204)
async def remove(device: DeviceKey, asking: HeldAsking, rooms: HeldRooms) -> None:
    """The device may not ask any more. The account that it was given goes on."""
    asking.may(Operation.ADMINISTER, (await rooms.inventory.device(asking.tenant, device)).place)
    was = await rooms.bootstraps.credential(asking.tenant, device)
    async with rooms.database.transaction() as tx:
        if not await rooms.bootstraps.remove(tx, asking.tenant, device) or was is None:
            raise NotFound(device, "may not ask the bootstrap server")
        asking.tells(before={"bootstrap_identity": was.identity})


@router.post("/{device}:bootstrap", status_code=202)
async def ask_again(device: DeviceKey, asking: HeldAsking, rooms: HeldRooms) -> CommandShown:
    """Asks a device to go to its bootstrap server for a new account: executes `/1/x/9`. One that sleeps does so when it
    wakes."""
    found = await rooms.inventory.device(asking.tenant, device)
    asking.may(Operation.ADMINISTER, found.place)
    if await rooms.bootstraps.credential(asking.tenant, device) is None:
        raise Conflict(device, "may not ask the bootstrap server: create what it proves itself with first")
    objects = found.registration.objects if found.registration else ()
    server = next((path for path, _ in objects if path.startswith("/1/")), "/1/0")
    command = await ask(rooms, asking, found, Asked.EXECUTE, f"{server}/9", None, timedelta())
    return command_shown(command, await expected_at(rooms, asking.tenant, device))


def _shown(credential: BootstrapCredential) -> BootstrapShown:
    return BootstrapShown(
        identity=credential.identity, created_at=credential.created_at, created_by=credential.created_by
    )
