"""Who was not let in, and why."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel

from shoal.access.policy import Operation
from shoal.api.access import HeldAsking
from shoal.api.context import HeldRooms
from shoal.api.history import moment_of
from shoal.api.paging import Cursor, Listed
from shoal.history.store import LINES_MAX
from shoal.ids import DeviceId
from shoal.inventory.paging import cursor_after

router = APIRouter(tags=["access"])

# What of a timeline is about security: handshakes that failed, requests that we refused.
KINDS: Final = ("security", "refused")


class SecurityEventShown(BaseModel):
    id: str
    at: datetime
    kind: str
    device: str
    endpoint: str | None
    says: str
    detail: dict[str, Any]


@router.get("/security-events")
async def security_events(
    asking: HeldAsking,
    rooms: HeldRooms,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=LINES_MAX)] = 50,
) -> Listed[SecurityEventShown]:
    """Refused handshakes and requests of the tenant's devices, newest first."""
    asking.may(Operation.READ)
    lines = await rooms.history.timeline_of_tenant(asking.tenant, KINDS, moment_of(cursor), limit)
    devices = await rooms.inventory.devices_for(asking.tenant, sorted({DeviceId(device) for device, _ in lines}))
    return Listed(
        items=[
            SecurityEventShown(
                id=line.id,
                at=line.time,
                kind=line.kind,
                device=device,
                endpoint=devices[DeviceId(device)].endpoint if device in devices else None,
                says=line.says,
                detail=line.detail,
            )
            for device, line in lines
        ],
        next=cursor_after(lines[-1][1].time.isoformat(), lines[-1][1].id) if len(lines) == limit else None,
    )
