"""The health of a fleet in numbers: devices by status, what each enclosure can still see, whether we hear at all."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel

from shoal.access.policy import Operation
from shoal.api.access import Asking, EnclosureKey, FarmKey, HeldAsking
from shoal.api.context import HeldRooms, Rooms
from shoal.api.paging import Cursor, Listed, PlacesLimit, long_page
from shoal.health.coverage import Coverage, Quantity, of_description
from shoal.history.store import LastValue
from shoal.ids import DeviceId, EnclosureId, FarmId
from shoal.inventory.device_rows import DeviceFilter
from shoal.inventory.paging import PAGE_ITEMS_MAX, Page
from shoal.inventory.place import Enclosure
from shoal.lwm2m.path import Path

router = APIRouter(tags=["health"])

# Where a value stands by the number of its object alone, and where its unit. 3300 says in its unit what it measures.
VALUES: Final[Mapping[str, Quantity | None]] = {
    "/3300/0/5700": None,
    "/3303/0/5700": Quantity.TEMPERATURE,
    "/3327/0/5700": Quantity.SALINITY,
}
_UNIT: Final = "5701"


class CountsShown(BaseModel):
    """Devices by status. Those asleep as planned are counted beside it: most of them are healthy."""

    healthy: int = 0
    asleep: int = 0
    degraded: int = 0
    failing: int = 0
    silent: int = 0
    new: int = 0


class FarmCountsShown(CountsShown):
    farm: str


class HealthShown(CountsShown):
    """All devices, and those of each farm that has any."""

    farms: list[FarmCountsShown]
    delayed_since: datetime | None


class QuantityShown(BaseModel):
    """How many sources are alive, of how many; the freshest value where a single farm or enclosure was asked for."""

    quantity: str
    alive: int
    expected: int
    freshest_at: datetime | None = None
    value: float | None = None
    unit: str = ""


class CoverageShown(BaseModel):
    enclosure: str
    farm: str
    name: str
    quantities: list[QuantityShown]


class PipelineShown(BaseModel):
    """`delayed_since`: we do not hear, and nothing below may be believed. `heartbeat_at`: until when we heard.

    `unheard_nodes` are the node numbers of the gateways that we wait for: all of them where the reason is ours.
    """

    delayed_since: datetime | None
    heartbeat_at: datetime | None
    unheard_nodes: list[int]
    waiting_events: int


@router.get("/health")
async def health(asking: HeldAsking, rooms: HeldRooms) -> HealthShown:
    """How many devices are well, in all and on each farm."""
    summary = await rooms.health.summary(asking.tenant, reach=asking.reach())
    by_farm: defaultdict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for place in summary.places:
        if place.farm is not None:
            for status, count in place.counts.items():
                by_farm[place.farm][status.value] += count
            by_farm[place.farm]["asleep"] += place.asleep
    return HealthShown(
        **{status.value: count for status, count in summary.counts.items()},
        asleep=summary.asleep,
        farms=[FarmCountsShown(farm=farm, **counts) for farm, counts in sorted(by_farm.items())],
        delayed_since=summary.delayed_since,
    )


@router.get("/health/coverage")
async def coverage(
    asking: HeldAsking,
    rooms: HeldRooms,
    farm: Annotated[FarmKey | None, Query()] = None,
    enclosure: Annotated[EnclosureKey | None, Query()] = None,
    cursor: Cursor = None,
    limit: PlacesLimit = PAGE_ITEMS_MAX,
) -> Listed[CoverageShown]:
    """What each enclosure can still see, by name; also those in which no device hangs."""
    reach = asking.reach()
    page = await _enclosures(rooms, asking, farm, enclosure, cursor, limit)
    by_enclosure: defaultdict[str | None, list[Coverage]] = defaultdict(list)
    for line in await rooms.health.coverage(asking.tenant, farm, enclosure, reach):
        by_enclosure[line.enclosure].append(line)
    freshest = await _freshest(rooms, asking, farm, enclosure) if farm or enclosure else {}
    return Listed(
        items=[
            CoverageShown(
                enclosure=one.id,
                farm=one.farm,
                name=one.name,
                quantities=[_quantity(line, freshest.get((one.id, line.quantity))) for line in by_enclosure[one.id]],
            )
            for one in page.items
        ],
        next=page.next,
    )


@router.get("/pipeline")
async def pipeline(asking: HeldAsking, rooms: HeldRooms) -> PipelineShown:
    """Whether what is shown is up to date, and since when not."""
    asking.reach()
    return PipelineShown(
        delayed_since=await rooms.health.delayed_since(),
        heartbeat_at=await rooms.health.heard_until(),
        unheard_nodes=await rooms.health.unheard(),
        waiting_events=await rooms.database.outbox_waiting(),
    )


async def _enclosures(
    rooms: Rooms,
    asking: Asking,
    farm: FarmId | None,
    enclosure: EnclosureId | None,
    cursor: str | None,
    limit: int,
) -> Page[Enclosure]:
    if enclosure is not None:
        found = await rooms.inventory.enclosure(asking.tenant, enclosure, asking.reach())
        return Page([found] if farm in {None, found.farm} else [])
    return await long_page(
        lambda cursor, limit: rooms.inventory.enclosures(asking.tenant, farm, cursor, limit, asking.reach()),
        cursor,
        limit,
    )


_Freshest = tuple[LastValue, str]


async def _freshest(
    rooms: Rooms, asking: Asking, farm: FarmId | None, enclosure: EnclosureId | None
) -> dict[tuple[str, Quantity], _Freshest]:
    """The newest value of each quantity of each enclosure, with its unit. The first page of devices is enough."""
    page = await rooms.inventory.devices(
        asking.tenant, DeviceFilter(farm=farm, enclosure=enclosure, reach=asking.reach())
    )
    where: dict[DeviceId, EnclosureId] = {d.id: d.enclosure for d in page.items if d.enclosure}
    places = {d.id: d.place for d in page.items}
    if not where:
        return {}
    paths = [*VALUES, *(_unit_path(path) for path in VALUES)]
    known = await rooms.history.last_values_of(list(where), paths)
    found: dict[tuple[str, Quantity], _Freshest] = {}
    for (device, path), value in known.items():
        if path not in VALUES or not isinstance(value.value, int | float):
            continue
        if not asking.can(Operation.READ, places[DeviceId(device)], Path.parse(path)):
            continue
        unit = known.get((device, _unit_path(path)))
        unit_text = str(unit.value) if unit else ""
        quantity = VALUES[path] or of_description(_unit_path(path), unit_text)
        if quantity is None:
            continue
        key = (where[DeviceId(device)], quantity)
        if key not in found or found[key][0].time < value.time:
            found[key] = (value, unit_text)
    return found


def _unit_path(path: str) -> str:
    return f"{path.rpartition('/')[0]}/{_UNIT}"


def _quantity(line: Coverage, freshest: _Freshest | None) -> QuantityShown:
    shown = QuantityShown(quantity=line.quantity.value, alive=line.alive, expected=line.expected)
    if freshest is not None and isinstance(freshest[0].value, int | float):
        shown.freshest_at, shown.value, shown.unit = freshest[0].time, float(freshest[0].value), freshest[1]
    return shown
