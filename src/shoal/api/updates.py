"""Updates of devices: one device on its way to another firmware or model."""

from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, model_validator

from shoal.access.policy import Operation
from shoal.api.access import ArtifactKey, DeviceKey, HeldAsking, UpdateKey
from shoal.api.context import HeldRooms
from shoal.api.paging import Cursor, Listed
from shoal.campaigns.campaigns import SOAK_S_MAX
from shoal.campaigns.rollback import can_roll_back
from shoal.campaigns.store import ITEMS_PER_PAGE_MAX
from shoal.campaigns.update import Update
from shoal.errors import NotFound

router = APIRouter(tags=["updates"])


class UpdateAsked(BaseModel):
    """Either an artifact to install, or an update to undo: the device then goes back to what was confirmed before it.

    `soak_s` is how long it is watched once it runs the new version; by default as its profile suggests.
    """

    artifact: ArtifactKey | None = None
    delivery: Literal["automatic", "pull", "push"] = "automatic"
    soak_s: Annotated[float | None, Field(ge=0, le=SOAK_S_MAX)] = None
    roll_back: UpdateKey | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.artifact is None) == (self.roll_back is None):
            raise ValueError("artifact or roll_back, one of both")
        return self


class UpdateShown(BaseModel):
    """`state` is one of waiting, resetting, downloading, downloaded, installing, trial; at the end confirmed, failed,
    rolled_back, cancelled or needs_attention, with the reason. Every state has a deadline. In `trial` the device runs
    the new version and is watched until then. `delivery` is pull or push, once that is decided, `over` the scheme of
    the address. `undoes` names the update that this one takes back, `ran_since` when the device first reported the new
    version. `can_roll_back` does not know of updates that came later; `previous_version` is where it leads.
    """

    id: str
    device: str
    artifact: str
    kind: str
    name: str
    version: str
    from_version: str | None
    state: str
    reason: str
    deadline: datetime | None
    bytes: int
    size: int
    started_at: datetime
    changed_at: datetime
    by: str | None
    delivery: str | None
    over: str | None
    undoes: str | None
    ran_since: datetime | None
    can_roll_back: bool
    previous_version: str | None


@router.post("/devices/{device}/updates", status_code=201)
async def start(
    device: DeviceKey, asked: UpdateAsked, response: Response, asking: HeldAsking, rooms: HeldRooms
) -> UpdateShown:
    """Begins an update, or takes one back. It goes on by itself; 409 while another one of this device is running.

    A roll back is refused with 409 when the update goes on, changed nothing, was replaced since, or when nothing that
    came from here was confirmed on the device before.
    """
    known = await rooms.inventory.device(asking.tenant, device)
    asking.may(Operation.UPDATE_FIRMWARE, known.place)
    asking.tells(device, after=asked.model_dump(exclude_none=True))
    if asked.roll_back is not None:
        update = await rooms.campaigns.roll_back(asking.tenant, device, asked.roll_back, by=asking.name)
    else:
        update = await rooms.campaigns.start_update(
            known,
            asked.artifact or "",
            delivery=asked.delivery,
            soak_s=asked.soak_s,
            by=asking.name,
        )
    response.headers["Location"] = f"/api/v1/devices/{device}/updates/{update.id}"
    return update_shown(update)


@router.get("/devices/{device}/updates")
async def of_device(
    device: DeviceKey,
    asking: HeldAsking,
    rooms: HeldRooms,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=ITEMS_PER_PAGE_MAX)] = 50,
) -> Listed[UpdateShown]:
    """The updates of a device, newest first."""
    asking.may(Operation.READ, (await rooms.inventory.device(asking.tenant, device)).place)
    page = await rooms.campaigns.updates(asking.tenant, device=device, after=cursor, limit=limit)
    return Listed(items=[update_shown(update) for update in page.items], next=page.next)


@router.get("/devices/{device}/updates/{update}")
async def one(device: DeviceKey, update: UpdateKey, asking: HeldAsking, rooms: HeldRooms) -> UpdateShown:
    """One update."""
    asking.may(Operation.READ, (await rooms.inventory.device(asking.tenant, device)).place)
    return update_shown(_of_device(await rooms.campaigns.update(asking.tenant, update), device))


@router.post("/devices/{device}/updates/{update}:cancel")
async def cancel(device: DeviceKey, update: UpdateKey, asking: HeldAsking, rooms: HeldRooms) -> UpdateShown:
    """Stops an update: 409 when it is over, or when the device was asked to install already."""
    asking.may(Operation.UPDATE_FIRMWARE, (await rooms.inventory.device(asking.tenant, device)).place)
    _of_device(await rooms.campaigns.update(asking.tenant, update), device)
    return update_shown(await rooms.campaigns.cancel_update(asking.tenant, update, by=asking.name))


def update_shown(update: Update) -> UpdateShown:
    return UpdateShown(
        id=update.id,
        device=update.device,
        artifact=update.artifact,
        kind=update.kind.value,
        name=update.name,
        version=update.version,
        from_version=update.from_version,
        state=update.state.value,
        reason=update.reason,
        deadline=update.deadline,
        bytes=update.bytes,
        size=update.size,
        started_at=update.created_at,
        changed_at=update.since,
        by=update.by,
        delivery=update.delivery,
        over=update.over,
        undoes=update.undoes,
        ran_since=update.ran_since,
        can_roll_back=can_roll_back(update),
        previous_version=update.previous_version,
    )


def _of_device(update: Update, device: str) -> Update:
    if update.device != device:
        raise NotFound(update.id, "no such update of this device")
    return update
