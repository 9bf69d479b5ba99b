"""Who was not let in, and why."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel

from shoal.api.access import HeldAsking
from shoal.api.context import HeldRooms
from shoal.api.history import moment_of
from shoal.api.paging import Cursor, Listed
from shoal.history.store import LINES_MAX
from shoal.history.timeline import NOBODY
from shoal.ids import DeviceId
from shoal.inventory.paging import cursor_after

router = APIRouter(tags=["access"])

# What of a timeline is about security: handshakes that failed, requests that we refused.
KINDS: Final = ("security", "refused")


class SecurityEventShown(BaseModel):
    id: str
    at: datetime
    kind: str
    device: str | None
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
    """Refused handshakes and requests of the tenant's devices, newest first; `device` is null for a stranger.

    Strangers belong to nobody: they are told where there is one tenant, and otherwise only counted (`/metrics`).
    """
    reach = asking.reach()
    is_alone = reach.is_everywhere and len((await rooms.inventory.tenants(limit=2)).items) == 1
    lines = await rooms.history.timeline_of_tenant(
        asking.tenant,
        KINDS,
        moment_of(cursor),
        limit,
        among=None if reach.is_everywhere else rooms.inventory.ids_of(asking.tenant, reach),
        with_strangers=is_alone,
    )
    known = sorted({DeviceId(device) for device, _ in lines if device != NOBODY})
    devices = await rooms.inventory.devices_for(asking.tenant, known)
    return Listed(
        items=[
            SecurityEventShown(
                id=line.id,
                at=line.time,
                kind=line.kind,
                device=None if device == NOBODY else device,
                endpoint=devices[DeviceId(device)].endpoint if device in devices else None,
                says=line.says,
                detail=line.detail,
            )
            for device, line in lines
        ],
        next=cursor_after(lines[-1][1].time.isoformat(), lines[-1][1].id) if len(lines) == limit else None,
    )
