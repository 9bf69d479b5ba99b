"""Who was not let in, what was refused, and why: the security log."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel

from shoal.access.policy import Operation
from shoal.api.access import DeviceKey, HeldAsking
from shoal.api.context import HeldRooms
from shoal.api.history import moment_of
from shoal.api.paging import Cursor, Listed
from shoal.history.refusal import NOBODY, says
from shoal.history.refusal_store import ENTRIES_MAX, Logged, RefusalFilter
from shoal.ids import DeviceId, TenantId
from shoal.inventory.device import Device
from shoal.inventory.paging import cursor_after
from shoal.inventory.store import Inventory

router = APIRouter(tags=["access"])

# An identity has 128 bytes at most, an address 45.
WORD_CHARACTERS_MAX: Final = 128


class SecurityEventShown(BaseModel):
    """What was alike on one day (UTC), counted. `device` is null for a stranger.

    `security`: somebody was not let in; `refused`: a device asked for something that we refused, with `operation` and
    CoAP `code`. `is_rest` stands for many others of that reason, from that network or, without an address, from anywhere.
    """

    id: str
    kind: Literal["security", "refused"]
    reason: str
    operation: str
    code: str
    identity: str
    address: str
    device: str | None
    endpoint: str
    is_rest: bool
    count: int
    first_at: datetime
    last_at: datetime
    says: str
    detail: str


Word = Annotated[str | None, Query(max_length=WORD_CHARACTERS_MAX)]


@router.get("/security-events")
async def security_events(
    asking: HeldAsking,
    rooms: HeldRooms,
    q: Annotated[
        str | None, Query(max_length=WORD_CHARACTERS_MAX, description="a piece of identity, endpoint or address")
    ] = None,
    reason: Word = None,
    identity: Word = None,
    address: Word = None,
    device: DeviceKey | None = None,
    since: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=ENTRIES_MAX)] = 50,
) -> Listed[SecurityEventShown]:
    """The security log: what happened last comes first. Entries are kept for 90 days after they happened last.

    Strangers belong to nobody: they are told where there is one tenant, and otherwise only counted (`/metrics`).
    """
    reach = asking.reach()
    if device is not None:
        asking.may(Operation.READ, (await rooms.inventory.device(asking.tenant, device)).place)
    is_alone = reach.is_everywhere and len((await rooms.inventory.tenants(limit=2)).items) == 1
    wanted = RefusalFilter(
        q=q,
        reason=reason,
        identity=identity,
        address=address,
        device=device,
        among=None if reach.is_everywhere else rooms.inventory.ids_of(asking.tenant, reach),
        since=since,
        until=until,
    )
    found = await rooms.history.refusals(
        asking.tenant, wanted, moment_of(cursor), limit, with_strangers=is_alone and device is None
    )
    return Listed(
        items=await events_shown(rooms.inventory, asking.tenant, found),
        next=cursor_after(found[-1].refusal.last_at.isoformat(), found[-1].id) if len(found) == limit else None,
    )


async def events_shown(inventory: Inventory, tenant: TenantId, found: Sequence[Logged]) -> list[SecurityEventShown]:
    """Entries of the security log, with the devices' names as they are now."""
    known = sorted({DeviceId(one.refusal.device) for one in found if one.refusal.device != NOBODY})
    devices = await inventory.devices_for(tenant, known)
    return [_shown(one, devices.get(DeviceId(one.refusal.device))) for one in found]


def _shown(logged: Logged, device: Device | None) -> SecurityEventShown:
    entry = logged.refusal
    return SecurityEventShown(
        id=logged.id,
        kind="refused" if entry.kind == "refused" else "security",
        reason=entry.reason,
        operation=entry.operation,
        code=entry.code,
        identity=entry.identity,
        address=entry.address,
        device=None if entry.device == NOBODY else entry.device,
        endpoint=device.endpoint if device else entry.endpoint,
        is_rest=entry.is_rest,
        count=entry.count,
        first_at=entry.first_at,
        last_at=entry.last_at,
        says=says(entry),
        detail=entry.detail,
    )
