"""What a device is to report by itself: path by path, beside what its profile says, and what the device does about it."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field

from shoal.access.policy import Operation
from shoal.api.access import DeviceKey, HeldAsking
from shoal.api.context import HeldRooms
from shoal.api.paging import IfMatch, Listed, etag, version_of
from shoal.errors import NotFound
from shoal.inventory.observing import ATTRIBUTES, Observation, Origin, State, attributes_of
from shoal.lwm2m.path import Path

router = APIRouter(prefix="/devices/{device}/observations", tags=["observations"])

PathText = Annotated[str, PathParameter(max_length=24, description="3303, 3303/0, 3303/0/5700 or 3/0/11/0")]

_ATTRIBUTES: Final = "attributes of OMA LwM2M Core 1.2 §7.3, such as pmin and pmax in seconds"


class ObservationAsked(BaseModel):
    """`observe` of false: not to be reported, also where the profile of the device wants it."""

    observe: bool = True
    attributes: dict[str, float | bool] = Field({}, max_length=len(ATTRIBUTES), description=_ATTRIBUTES)


class ObservationShown(BaseModel):
    """`origin` is who wants it: the device's profile, or somebody (`by`) who said so of this device; null for nobody.

    `state` is established, refused (with the device's `code`), lost, waiting (for the device), absent (the device has no
    such path), off, or unwanted (the device reports it all the same). `taken` are the attributes that the device took,
    `drift` whether it does something else than what is wanted, and will not come to it by itself. `version` is that of
    the ETag: 0 as long as nobody said anything of this path.
    """

    path: str
    observe: bool
    origin: Origin | None
    attributes: dict[str, int | float | bool]
    taken: dict[str, int | float | bool] | None
    state: State
    code: str | None
    since: datetime | None
    drift: bool
    by: str | None
    at: datetime | None
    version: int


@router.get("")
async def several(device: DeviceKey, asking: HeldAsking, rooms: HeldRooms) -> Listed[ObservationShown]:
    """Every path that is wanted, that was switched off, or that the device reports all the same."""
    place = (await rooms.inventory.device(asking.tenant, device)).place
    asking.may(Operation.READ, place)
    known = await rooms.inventory.observations(asking.tenant, device)
    return Listed(items=[_shown(found) for found in known if asking.can(Operation.READ, place, found.path)])


@router.get("/{path:path}")
async def one(
    device: DeviceKey, path: PathText, response: Response, asking: HeldAsking, rooms: HeldRooms
) -> ObservationShown:
    """How it stands with one path."""
    at = Path.parse(path)
    asking.may(Operation.READ, (await rooms.inventory.device(asking.tenant, device)).place, at)
    found = _at(await rooms.inventory.observations(asking.tenant, device), at)
    response.headers.update(etag(_version(found)))
    return _shown(found)


@router.put("/{path:path}")
async def observe(
    device: DeviceKey,
    path: PathText,
    asked: ObservationAsked,
    response: Response,
    asking: HeldAsking,
    rooms: HeldRooms,
    if_match: IfMatch = None,
) -> ObservationShown:
    """From now on this device reports the path by itself, or does not, whatever its profile says.

    It is asked at once, or when it wakes, and again after each registration.
    """
    at = Path.parse(path)
    asking.may(Operation.OBSERVE, (await rooms.inventory.device(asking.tenant, device)).place, at)
    was = await rooms.inventory.observations(asking.tenant, device)
    async with rooms.database.transaction() as tx:
        await rooms.inventory.observe(
            tx,
            asking.tenant,
            device,
            at,
            is_wanted=asked.observe,
            attributes=asked.attributes,
            by=asking.name,
            if_version=version_of(if_match),
        )
        asking.tells(before=_said(was, at), after=asked.model_dump())
    found = _at(await rooms.inventory.observations(asking.tenant, device), at)
    response.headers.update(etag(_version(found)))
    return _shown(found)


@router.delete("/{path:path}", status_code=204)
async def forget(
    device: DeviceKey, path: PathText, asking: HeldAsking, rooms: HeldRooms, if_match: IfMatch = None
) -> None:
    """What was said of this path counts no more: the device's profile decides."""
    at = Path.parse(path)
    asking.may(Operation.OBSERVE, (await rooms.inventory.device(asking.tenant, device)).place, at)
    was = await rooms.inventory.observations(asking.tenant, device)
    async with rooms.database.transaction() as tx:
        await rooms.inventory.unobserve(tx, asking.tenant, device, at, version_of(if_match))
        asking.tells(before=_said(was, at))


def _at(found: list[Observation], path: Path) -> Observation:
    observation = next((one for one in found if one.path == path), None)
    if observation is None:
        raise NotFound(str(path), "is not observed on this device")
    return observation


def _said(found: list[Observation], path: Path) -> dict[str, object] | None:
    """What somebody said of a path before."""
    intent = next((one.intent for one in found if one.path == path), None)
    if intent is None:
        return None
    return {"observe": intent.is_wanted, "attributes": attributes_of(intent.attributes)}


def _version(found: Observation) -> int:
    return found.intent.version if found.intent else 0


def _shown(found: Observation) -> ObservationShown:
    return ObservationShown(
        path=str(found.path),
        observe=found.is_wanted,
        origin=found.origin,
        attributes=attributes_of(found.attributes),
        taken=None if found.standing is None else attributes_of(found.standing.attributes),
        state=found.state,
        code=found.standing.code if found.standing else None,
        since=found.standing.at if found.standing else None,
        drift=found.has_drifted,
        by=found.intent.by if found.intent else None,
        at=found.intent.at if found.intent else None,
        version=_version(found),
    )
