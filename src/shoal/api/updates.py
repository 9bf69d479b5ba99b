"""Updates of devices: one device on its way to another firmware or model."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from shoal.access.policy import Operation
from shoal.api.access import ArtifactKey, DeviceKey, HeldAsking, UpdateKey
from shoal.api.context import HeldRooms
from shoal.api.paging import Cursor, Listed
from shoal.campaigns.store import ITEMS_PER_PAGE_MAX
from shoal.campaigns.update import Update
from shoal.errors import NotFound

router = APIRouter(tags=["updates"])


class UpdateAsked(BaseModel):
    artifact: ArtifactKey
    delivery: Literal["pull", "push"] = "pull"


class UpdateShown(BaseModel):
    """`state` is one of waiting, resetting, downloading, downloaded, installing; at the end confirmed, failed,
    rolled_back, cancelled or needs_attention, with the reason. Every state has a deadline.
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


@router.post("/devices/{device}/updates", status_code=201)
async def start(
    device: DeviceKey, asked: UpdateAsked, response: Response, asking: HeldAsking, rooms: HeldRooms
) -> UpdateShown:
    """Begins an update. It goes on by itself; 409 while another one of this device is running."""
    asking.may(Operation.UPDATE_FIRMWARE, (await rooms.inventory.device(asking.tenant, device)).place)
    asking.tells(device, after=asked.model_dump(exclude_none=True))
    update = await rooms.campaigns.start_update(
        asking.tenant, device, asked.artifact, delivery=asked.delivery, by=asking.name
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
    )


def _of_device(update: Update, device: str) -> Update:
    if update.device != device:
        raise NotFound(update.id, "no such update of this device")
    return update
