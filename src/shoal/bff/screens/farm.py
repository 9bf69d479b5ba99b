"""One farm: is it watched, what is wrong here, its enclosures and its devices."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel

from shoal.bff import heard
from shoal.bff.screens.alerts import AlertGroup
from shoal.bff.screens.coverage import CELL_RANK, Cell, cell
from shoal.bff.screens.devices import DeviceLine, device_line
from shoal.bff.screens.fleet import CountsShown, counts_shown, farm_says, farm_status
from shoal.bff.screens.vocabulary import STATUS_RANK, Status


class FarmScreen(BaseModel):
    """`devices_next` is set when there are more devices than fit this page."""

    at: datetime
    id: str
    name: str
    status: Status
    says: str
    counts: CountsShown
    needs_person: AlertGroup
    taken: AlertGroup
    enclosures: list[Cell]
    devices: list[DeviceLine]
    devices_next: str | None


def farm_screen(
    at: datetime,
    farm: heard.FarmDetail,
    health: heard.Health,
    coverage: Sequence[heard.Coverage],
    needs_person: AlertGroup,
    taken: AlertGroup,
    devices: heard.Page[heard.Device],
) -> FarmScreen:
    counts = next((line for line in health.farms if line.farm == farm.id), heard.FarmCounts(farm=farm.id))
    covered = {line.enclosure for line in coverage}
    bare = [
        heard.Coverage(enclosure=enclosure.id, farm=farm.id, name=enclosure.name)
        for enclosure in farm.enclosures
        if enclosure.id not in covered
    ]
    cells = [cell(line) for line in (*coverage, *bare)]
    lines = [device_line(device) for device in devices.items]
    return FarmScreen(
        at=at,
        id=farm.id,
        name=farm.name or farm.id,
        status=farm_status(counts, cells),
        says=farm_says(counts, cells),
        counts=counts_shown(counts),
        needs_person=needs_person,
        taken=taken,
        enclosures=sorted(cells, key=lambda line: CELL_RANK[line.state]),
        devices=sorted(lines, key=lambda line: (STATUS_RANK[line.status], line.name)),
        devices_next=devices.next,
    )
