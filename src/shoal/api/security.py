"""Who was not let in, what was refused, and why: the security log."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel

from shoal.access.policy import Operation
from shoal.api.access import DeviceKey, HeldAsking
from shoal.api.context import HeldRooms, NamingRooms
from shoal.api.history import moment_of
from shoal.api.names import named
from shoal.api.paging import Cursor, Listed
from shoal.history.refusal import NOBODY, says
from shoal.history.refusal_store import ENTRIES_MAX, Logged, RefusalFilter
from shoal.ids import DeviceId, TenantId
from shoal.inventory.device import Device
from shoal.inventory.paging import cursor_after

router = APIRouter(tags=["access"])

# An identity has 128 bytes at most, an address 45.
WORD_CHARACTERS_MAX: Final = 128


_KINDS: Final[Mapping[str, Literal["security", "refused", "denied"]]] = {"refused": "refused", "denied": "denied"}


class SecurityEventShown(BaseModel):
    """What was alike on one day (UTC), counted. `device` is null for a stranger.

    `security`: somebody was not let in; `refused`: a device asked for something that we refused, with `operation` and
    CoAP `code`; `denied`: a person or a token did, at `place`. `subject` is that person or token (or whose token it is
    that ended), `identity` their name then; `policy` the one that denies it, null where none allows it. `is_rest` stands
    for many others of that reason, from that network or, without an address, from anywhere.
    """

    id: str
    kind: Literal["security", "refused", "denied"]
    reason: str
    operation: str
    code: str
    identity: str
    address: str
    device: str | None
    endpoint: str
    subject: str | None
    place: str | None
    place_name: str
    policy: str | None
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
    subject: Annotated[
        str | None, Query(max_length=WORD_CHARACTERS_MAX, description="a person (usr-...) or a token (tok-...)")
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

    Strangers belong to nobody: they are told where there is one tenant, and otherwise only counted (`/metrics`). What was
    refused to people and programs is told to administrators.
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
        subject=subject,
        with_people=asking.can(Operation.ADMINISTER),
        among=None if reach.is_everywhere else rooms.inventory.ids_of(asking.tenant, reach),
        since=since,
        until=until,
    )
    found = await rooms.history.refusals(
        asking.tenant, wanted, moment_of(cursor), limit, with_strangers=is_alone and device is None
    )
    return Listed(
        items=await events_shown(rooms, asking.tenant, found),
        next=cursor_after(found[-1].refusal.last_at.isoformat(), found[-1].id) if len(found) == limit else None,
    )


async def events_shown(rooms: NamingRooms, tenant: TenantId, found: Sequence[Logged]) -> list[SecurityEventShown]:
    """Entries of the security log, with the names of devices and places as they are now."""
    known = sorted({DeviceId(one.refusal.device) for one in found if one.refusal.device != NOBODY})
    devices = await rooms.inventory.devices_for(tenant, known)
    names = (await named(rooms, tenant, [one.refusal.place for one in found])).names
    return [_shown(one, devices.get(DeviceId(one.refusal.device)), names) for one in found]


def _shown(logged: Logged, device: Device | None, names: Mapping[str, str]) -> SecurityEventShown:
    entry = logged.refusal
    return SecurityEventShown(
        id=logged.id,
        kind=_KINDS.get(entry.kind, "security"),
        reason=entry.reason,
        operation=entry.operation,
        code=entry.code,
        identity=entry.identity,
        address=entry.address,
        device=None if entry.device == NOBODY else entry.device,
        endpoint=device.endpoint if device else entry.endpoint,
        subject=None if entry.subject == NOBODY else entry.subject,
        place=entry.place or None,
        place_name=names.get(entry.place, entry.place),
        policy=entry.policy or None,
        is_rest=entry.is_rest,
        count=entry.count,
        first_at=entry.first_at,
        last_at=entry.last_at,
        says=says(entry),
        detail=entry.detail,
    )
