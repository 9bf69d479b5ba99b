"""One field finds all: devices, farms, enclosures and open alerts, by name, endpoint, id, code or serial number."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from shoal.access.policy import Operation
from shoal.alerting.alert import Alert, AlertState
from shoal.api.access import Asking, HeldAsking
from shoal.api.context import HeldRooms, Rooms
from shoal.api.paging import Listed
from shoal.ids import DeviceId
from shoal.inventory.search_store import FOUND_MAX, Found, Match, match_of
from shoal.lwm2m.path import Path

router = APIRouter(tags=["search"])

# A name, an id, or a piece of one.
Q_CHARACTERS_MAX: Final = 100
# As many of each kind as a list beneath a field has room for.
ITEMS_USUAL: Final = 8
# Open alerts that are looked through: more need a person at once than any person could take.
ALERTS_MAX: Final = 200
# Where a device tells its serial number (OMA LwM2M Core 1.1, appendix E.4).
SERIAL_PATH: Final = "/3/0/2"
# With fewer characters, half of a fleet of one maker would be found.
SERIAL_CHARACTERS_MIN: Final = 3

_BEST_FIRST: Final = ("exact", "prefix", "part")


class FoundShown(BaseModel):
    """`match` says how well it is meant: exact, prefix or part. `detail` is an endpoint, a serial number or a code.

    `farm` is the id of where it is, `farm_name` and `enclosure_name` say it.
    """

    kind: Literal["device", "farm", "enclosure", "alert"]
    id: str
    name: str
    detail: str
    farm: str | None
    farm_name: str
    enclosure_name: str
    match: Literal["exact", "prefix", "part"]


@router.get("/search")
async def search(
    asking: HeldAsking,
    rooms: HeldRooms,
    q: Annotated[str, Query(max_length=Q_CHARACTERS_MAX)],
    limit: Annotated[int, Query(ge=1, le=FOUND_MAX, description="at most that many of each kind")] = ITEMS_USUAL,
) -> Listed[FoundShown]:
    """What may be meant, the best match first."""
    reach = asking.reach()
    if not q.strip():
        return Listed(items=[])
    named = await rooms.inventory.search(asking.tenant, q, limit, reach)
    alerts = await _alerts(rooms, asking, q.strip(), limit)
    serials = await _by_serial(rooms, asking, q.strip(), {one.id for one in named}, limit)
    found = [*alerts, *(_shown(one) for one in named), *serials]
    return Listed(items=sorted(found, key=lambda one: _BEST_FIRST.index(one.match)))


async def _alerts(rooms: Rooms, asking: Asking, q: str, limit: int) -> list[FoundShown]:
    states = (AlertState.OPEN, AlertState.ACKNOWLEDGED)
    page = await rooms.alerts.list(asking.tenant, states=states, limit=ALERTS_MAX, reach=asking.reach())
    sought = q.removeprefix("#")
    matches = [(match_of([alert.code, alert.id, alert.headline], sought), alert) for alert in page.items]
    found = sorted(((match, alert) for match, alert in matches if match is not None), key=lambda one: one[0])
    return [_alert(alert, match) for match, alert in found[:limit]]


async def _by_serial(rooms: Rooms, asking: Asking, q: str, known: set[str], limit: int) -> list[FoundShown]:
    """Devices that tell such a serial number, and that were not found otherwise."""
    if len(q) < SERIAL_CHARACTERS_MIN:
        return []
    among = rooms.inventory.ids_of(asking.tenant, asking.reach())
    told = await rooms.history.devices_with(SERIAL_PATH, q, among, limit + len(known))
    ids = [DeviceId(device) for device in told if device not in known][:limit]
    devices = await rooms.inventory.devices_for(asking.tenant, ids) if ids else {}
    return [
        FoundShown(
            kind="device",
            id=device.id,
            name=device.name,
            detail=told[device.id],
            farm=device.farm,
            farm_name=device.farm_name or "",
            enclosure_name=device.enclosure_name or "",
            match="exact" if told[device.id].lower() == q.lower() else "prefix",
        )
        for device in (devices[id_] for id_ in ids if id_ in devices)
        if asking.can(Operation.READ, device.place, Path.parse(SERIAL_PATH))
    ]


def _shown(found: Found) -> FoundShown:
    return FoundShown(
        kind=found.kind.value,
        id=found.id,
        name=found.name,
        detail="" if found.endpoint in {None, found.name} else found.endpoint or "",
        farm=found.farm,
        farm_name=found.farm_name or "",
        enclosure_name=found.enclosure_name or "",
        match=_word(found.match),
    )


def _alert(alert: Alert, match: Match) -> FoundShown:
    return FoundShown(
        kind="alert",
        id=alert.id,
        name=alert.headline,
        detail=alert.code,
        farm=alert.farm,
        farm_name="",
        enclosure_name="",
        match=_word(match),
    )


def _word(match: Match) -> Literal["exact", "prefix", "part"]:
    return "exact" if match is Match.EXACT else "prefix" if match is Match.PREFIX else "part"
