"""The past of a device: what it measured, downsampled, and what happened to it, in plain words."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel

from shoal.access.policy import Operation
from shoal.api.access import DeviceKey, HeldAsking
from shoal.api.context import HeldRooms
from shoal.api.object_tree import Meanings
from shoal.api.paging import Cursor, Listed
from shoal.errors import Rejected
from shoal.history.store import LINES_MAX, POINTS_MAX, READINGS_KEPT
from shoal.inventory.paging import cursor_after, parse_cursor
from shoal.lwm2m.path import Path

router = APIRouter(tags=["past"])

# What a chart shows for which nobody said how much.
SPAN_USUAL: Final = timedelta(hours=24)
POINTS_USUAL: Final = 500
LINES_USUAL: Final = 50
# Kinds of lines asked for at once: there are about ten.
KINDS_MAX: Final = 20


class PointShown(BaseModel):
    """Readings of one stretch of time, folded: `at` is the first of them."""

    at: datetime
    mean: float
    min: float
    max: float
    count: int


class ReadingsShown(BaseModel):
    """A stretch without readings has no point: it is a gap."""

    path: str
    unit: str
    points: list[PointShown]


class LineShown(BaseModel):
    id: str
    at: datetime
    kind: str
    says: str
    detail: dict[str, Any]


@router.get("/devices/{device}/readings")
async def readings(
    device: DeviceKey,
    asking: HeldAsking,
    rooms: HeldRooms,
    path: Annotated[str, Query(max_length=24, examples=["/3303/0/5700"])],
    since: Annotated[AwareDatetime | None, Query(alias="from", description="24 hours before `to` unless given")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="now unless given")] = None,
    points: Annotated[int, Query(ge=1, le=POINTS_MAX)] = POINTS_USUAL,
) -> ReadingsShown:
    """Numbers of one path, at most so many points: for a chart, one for each pixel."""
    at = Path.parse(path)
    found = await rooms.inventory.device(asking.tenant, device)
    asking.may(Operation.READ, found.place, at)
    ends = until or rooms.clock.now()
    begins = since or ends - SPAN_USUAL
    if ends - begins > READINGS_KEPT + SPAN_USUAL:
        raise Rejected("from", f"readings are kept for {READINGS_KEPT.days} days")
    chart = await rooms.history.chart(device, str(at), begins, ends, points)
    return ReadingsShown(
        path=str(at),
        unit=Meanings(rooms.objects, found).units_of(at),
        points=[PointShown(at=p.time, mean=p.mean, min=p.min, max=p.max, count=p.count) for p in chart],
    )


@router.get("/devices/{device}/timeline")
async def timeline(
    device: DeviceKey,
    asking: HeldAsking,
    rooms: HeldRooms,
    kind: Annotated[list[str] | None, Query(max_length=KINDS_MAX, description="only lines of these kinds")] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=LINES_MAX)] = LINES_USUAL,
) -> Listed[LineShown]:
    """All that happened to a device, newest first."""
    asking.may(Operation.READ, (await rooms.inventory.device(asking.tenant, device)).place)
    lines = await rooms.history.timeline(device, moment_of(cursor), limit, kind or ())
    return Listed(
        items=[
            LineShown(id=line.id, at=line.time, kind=line.kind, says=line.says, detail=line.detail) for line in lines
        ],
        next=cursor_after(lines[-1].time.isoformat(), lines[-1].id) if len(lines) == limit else None,
    )


def moment_of(cursor: str | None) -> tuple[datetime, str] | None:
    """Time and id of the last line that the caller has.

    Raises:
        Rejected: not one of our cursors.
    """
    if cursor is None:
        return None
    time, line = parse_cursor(cursor, parts=2)
    try:
        moment = datetime.fromisoformat(time)
    except ValueError as error:
        raise Rejected("cursor", "not one of ours") from error
    if moment.tzinfo is None:
        raise Rejected("cursor", "not one of ours")
    return moment, line
