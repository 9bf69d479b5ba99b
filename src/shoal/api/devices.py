"""Devices: created with their key, found, changed, deleted."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from shoal.access.decision import Place
from shoal.access.policy import Operation
from shoal.api.access import Asking, DeviceKey, EnclosureKey, FarmKey, HeldAsking
from shoal.api.context import HeldRooms, Rooms
from shoal.api.credentials import SecurityAsked
from shoal.api.device_shown import DeviceShown, NewSecurityShown, device_shown, devices_shown
from shoal.api.enclosures import place_of
from shoal.api.paging import ITEMS_USUAL, Counted, Cursor, IfMatch, Limit, etag, version_of
from shoal.api.profiles import profile_named
from shoal.health.status import Status
from shoal.ids import DeviceId, EnclosureId, Prefix, parse_id
from shoal.inventory.claim import PLACEMENT
from shoal.inventory.device import ENDPOINT_BYTES_MAX, Device, Kind
from shoal.inventory.device_rows import DeviceFilter
from shoal.inventory.place import NAME_CHARACTERS_MAX
from shoal.onboarding.adding import WantedDevice, add

router = APIRouter(prefix="/devices", tags=["devices"])

# A name, an id, or a piece of one.
Q_CHARACTERS_MAX: Final = 100
# Enclosure of our Placement object: writing it is moving a device, whoever does it.
# Rounds in which a page of a status is filled when a name is looked for as well: 10,000 devices at most are looked at.
ROUNDS_MAX: Final = 20


class DeviceAsked(BaseModel):
    """`profile` is an id, or the key or name of one. Without `security` the device gets a generated pre-shared key."""

    endpoint: str = Field(max_length=ENDPOINT_BYTES_MAX, examples=["s-17"])
    kind: Kind = Kind.SENSOR
    name: str | None = Field(None, max_length=2 * NAME_CHARACTERS_MAX)
    enclosure: EnclosureKey | None = None
    profile: str | None = Field(None, max_length=NAME_CHARACTERS_MAX)
    security: SecurityAsked = SecurityAsked()


class DeviceChange(BaseModel):
    """What is left out stays as it is; `enclosure` of null takes the device out of its enclosure."""

    name: str | None = Field(None, max_length=2 * NAME_CHARACTERS_MAX)
    kind: Kind | None = None
    profile: str | None = Field(None, max_length=NAME_CHARACTERS_MAX)
    enclosure: EnclosureKey | None = None


class NewDeviceShown(DeviceShown):
    """A new device. `security.key` is shown this once."""

    security: NewSecurityShown


@router.post("", status_code=201)
async def create(asked: DeviceAsked, response: Response, asking: HeldAsking, rooms: HeldRooms) -> NewDeviceShown:
    """A new device, in an enclosure or in none yet."""
    asking.may(Operation.CREATE, await _place_in(rooms, asking, asked.enclosure))
    wanted = WantedDevice(
        endpoint=asked.endpoint,
        kind=asked.kind,
        name=asked.name,
        enclosure=asked.enclosure,
        profile=await profile_named(rooms, asking.tenant, asked.profile),
        proof=asked.security.proof(),
    )
    async with rooms.database.transaction() as tx:
        added = await add(tx, rooms.inventory, rooms.credentials, asking.tenant, wanted, by=asking.name)
        device, key = added.device, None if added.new is None else added.new.key
        asking.tells(device.id, after=added.told())
    shown = await device_shown(rooms, asking, device)
    response.headers["Location"] = f"/api/v1/devices/{device.id}"
    response.headers.update(etag(device.version))
    members = shown.model_dump(exclude={"security"})
    return NewDeviceShown(**members, security=NewSecurityShown(**shown.security.model_dump(), key=key))


@router.get("")
async def several(
    asking: HeldAsking,
    rooms: HeldRooms,
    farm: Annotated[FarmKey | None, Query()] = None,
    enclosure: Annotated[EnclosureKey | None, Query()] = None,
    placed: Annotated[bool | None, Query(description="only those in an enclosure, or only those in none")] = None,
    kind: Kind | None = None,
    status: Status | None = None,
    q: Annotated[str | None, Query(max_length=Q_CHARACTERS_MAX, description="a piece of endpoint or name")] = None,
    cursor: Cursor = None,
    limit: Limit = ITEMS_USUAL,
) -> Counted[DeviceShown]:
    """Devices, by endpoint; with `status` by id. `total` counts all that match, where that is cheap."""
    wanted = DeviceFilter(
        farm=farm, enclosure=enclosure, is_placed=placed, kind=kind, q=q, reach=asking.reach(Operation.READ)
    )
    if status is not None:
        return await _of_status(rooms, asking, status, wanted, cursor, limit)
    page = await rooms.inventory.devices(asking.tenant, wanted, cursor, limit)
    return Counted(
        items=await devices_shown(rooms, asking, page.items),
        next=page.next,
        total=await rooms.inventory.count_devices(asking.tenant, wanted),
    )


@router.get("/{device}")
async def one(device: DeviceKey, response: Response, asking: HeldAsking, rooms: HeldRooms) -> DeviceShown:
    """One device, with all that is known of it and what waits for it."""
    found = await rooms.inventory.device(asking.tenant, device)
    asking.may(Operation.READ, found.place)
    response.headers.update(etag(found.version))
    return await device_shown(rooms, asking, found)


@router.patch("/{device}")
async def change(
    device: DeviceKey,
    asked: DeviceChange,
    response: Response,
    asking: HeldAsking,
    rooms: HeldRooms,
    if_match: IfMatch = None,
) -> DeviceShown:
    """Another name, kind, profile or enclosure. A device with a Placement object is told when it is moved."""
    was = await rooms.inventory.device(asking.tenant, device)
    if asked.model_fields_set - {"enclosure"}:
        asking.may(Operation.WRITE, was.place)
    if "enclosure" in asked.model_fields_set:
        # Whoever moves a device takes it from one place and puts it into another.
        for place in (was.place, await _place_in(rooms, asking, asked.enclosure)):
            asking.may(Operation.WRITE, place, PLACEMENT)
    version = version_of(if_match)
    profile = await profile_named(rooms, asking.tenant, asked.profile)
    async with rooms.database.transaction() as tx:
        if asked.name is not None or asked.kind is not None or profile is not None:
            await rooms.inventory.change_device(
                tx, asking.tenant, device, name=asked.name, kind=asked.kind, profile=profile, if_version=version
            )
            version = None  # seen and used; the move is part of the same change
        if "enclosure" in asked.model_fields_set:
            await rooms.inventory.move_device(
                tx, asking.tenant, device, asked.enclosure, by=asking.name, if_version=version
            )
        asked_for = asked.model_dump(exclude_unset=True, exclude_none=True) | _moved(asked)
        asking.tells(before=_edited(was), after=asked_for | ({"profile": profile} if profile else {}))
    changed = await rooms.inventory.device(asking.tenant, device)
    response.headers.update(etag(changed.version))
    return await device_shown(rooms, asking, changed)


@router.delete("/{device}", status_code=204)
async def delete(device: DeviceKey, asking: HeldAsking, rooms: HeldRooms, if_match: IfMatch = None) -> None:
    """Forgets a device: its session ends, its credentials are void, what was asked of it is called back, its past goes."""
    was = await rooms.inventory.device(asking.tenant, device)
    asking.may(Operation.DELETE, was.place)
    asking.tells(before=_edited(was) | {"endpoint": was.endpoint})
    async with rooms.database.transaction() as tx:
        # The device itself first: who changes one holds it before anything else.
        await rooms.inventory.delete_device(tx, asking.tenant, device, version_of(if_match))
        await rooms.credentials.remove(tx, asking.tenant, device)
        await rooms.bootstraps.remove(tx, asking.tenant, device)
        await rooms.commands.cancel_all(tx, asking.tenant, device)


@router.post("/{device}:{verb}-claim", status_code=204)
async def settle_claim(
    device: DeviceKey, verb: Literal["accept", "refuse"], asking: HeldAsking, rooms: HeldRooms
) -> None:
    """Settles where a device is: `accept`, the inventory follows; `refuse`, the device is told, if it can be."""
    found = await rooms.inventory.device(asking.tenant, device)
    asking.may(Operation.WRITE, found.place, PLACEMENT)
    if verb == "accept" and found.claim is not None and found.claim.farm is not None:
        there = Place(tenant=asking.tenant, farm=found.claim.farm, enclosure=EnclosureId(found.claim.enclosure))
        asking.may(Operation.WRITE, there, PLACEMENT)
    settle = rooms.inventory.accept_claim if verb == "accept" else rooms.inventory.refuse_claim
    async with rooms.database.transaction() as tx:
        await settle(tx, asking.tenant, device, by=asking.name)


async def _place_in(rooms: Rooms, asking: Asking, enclosure: EnclosureId | None) -> Place:
    """Where a device will be; in no enclosure, it is of the tenant only."""
    if enclosure is None:
        return Place(tenant=asking.tenant)
    return place_of(await rooms.inventory.enclosure(asking.tenant, enclosure, asking.reach(Operation.READ)))


def _edited(device: Device) -> dict[str, str | None]:
    return {
        "name": device.name,
        "kind": device.kind.value,
        "profile": device.profile,
        "enclosure": device.enclosure,
    }


def _moved(asked: DeviceChange) -> dict[str, str | None]:
    """Taking a device out of its enclosure is a change, too."""
    return {"enclosure": asked.enclosure} if "enclosure" in asked.model_fields_set else {}


async def _of_status(
    rooms: Rooms, asking: Asking, status: Status, wanted: DeviceFilter, cursor: str | None, limit: int
) -> Counted[DeviceShown]:
    """A page of the devices of one status. Health finds them, the inventory drops those that do not match."""
    after = None if cursor is None else DeviceId(parse_id(cursor, Prefix.DEVICE))
    kind = wanted.kind.value if wanted.kind else None
    found: list[Device] = []
    for _ in range(ROUNDS_MAX):
        ids = [
            DeviceId(one)
            for one in await rooms.health.devices_with(
                asking.tenant,
                status,
                farm=wanted.farm,
                enclosure=wanted.enclosure,
                kind=kind,
                after=after,
                limit=limit,
                reach=wanted.reach,
            )
        ]
        known = await rooms.inventory.devices_for(asking.tenant, ids)
        for one in ids:
            after = one
            if one in known and _matches(known[one], wanted):
                found.append(known[one])
                if len(found) == limit:
                    break
        if len(found) == limit or len(ids) < limit:
            break
    is_last = len(found) < limit and len(ids) < limit
    is_counted = wanted.q is None and wanted.is_placed is None
    total = None
    if is_counted:
        total = await rooms.health.count_devices_with(
            asking.tenant, status, farm=wanted.farm, enclosure=wanted.enclosure, kind=kind, reach=wanted.reach
        )
    return Counted(items=await devices_shown(rooms, asking, found), next=None if is_last else after, total=total)


def _matches(device: Device, wanted: DeviceFilter) -> bool:
    """Whether the inventory sees the device as it was asked for; health may be a moment behind."""
    if wanted.farm not in {None, device.farm} or wanted.enclosure not in {None, device.enclosure}:
        return False
    if wanted.is_placed not in {None, device.enclosure is not None}:
        return False
    if not wanted.reach.covers(device.farm, device.enclosure, device.id):
        return False
    q = (wanted.q or "").lower()
    return wanted.kind in {None, device.kind} and (q in device.endpoint.lower() or q in device.name.lower())
