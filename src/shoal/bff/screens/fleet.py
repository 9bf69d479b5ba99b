"""The fleet: how many are well, what is wrong now, and each farm with its enclosures, worst first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import BaseModel

from shoal.bff import heard
from shoal.bff.screens.alerts import AlertGroup, AlertLine
from shoal.bff.screens.coverage import CELL_RANK, Cell, QuantityShown, cell
from shoal.bff.screens.vocabulary import STATUS_RANK, Status

# As alerting judges it: from this share of silent devices on, and from this many, it is the farm and not the devices.
DARK_SHARE: Final = 0.6
DARK_DEVICES_MIN: Final = 3
# More than this on the first page is a list to read, not a glance; the rest is one tap away.
WRONG_NOW_MAX: Final = 7


class CountsShown(BaseModel):
    devices: int
    healthy: int
    asleep: int
    degraded: int
    failing: int
    silent: int
    new: int


class FarmCard(BaseModel):
    id: str
    name: str
    status: Status
    says: str
    counts: CountsShown
    cells: list[Cell]


class FleetScreen(BaseModel):
    at: datetime
    farms_total: int
    enclosures_total: int
    counts: CountsShown
    needs_person: AlertGroup
    taken_total: int | None
    last_resolved: AlertLine | None
    farms: list[FarmCard]


def fleet_screen(
    at: datetime,
    health: heard.Health,
    farms: Sequence[heard.Farm],
    coverage: Sequence[heard.Coverage],
    needs_person: AlertGroup,
    taken_total: int | None,
    last_resolved: AlertLine | None,
) -> FleetScreen:
    counts = {line.farm: line for line in health.farms}
    cards = [
        farm_card(
            farm,
            counts.get(farm.id, heard.FarmCounts(farm=farm.id)),
            [line for line in coverage if line.farm == farm.id],
        )
        for farm in farms
    ]
    cards.sort(key=lambda card: (STATUS_RANK[card.status], -card.counts.silent, card.name))
    shown = AlertGroup(alerts=needs_person.alerts[:WRONG_NOW_MAX], total=needs_person.total)
    return FleetScreen(
        at=at,
        farms_total=len(farms),
        enclosures_total=len(coverage),
        counts=counts_shown(health),
        needs_person=shown,
        taken_total=taken_total,
        last_resolved=last_resolved,
        farms=cards,
    )


def counts_shown(counts: heard.Counts) -> CountsShown:
    return CountsShown(
        devices=counts.devices,
        healthy=counts.healthy,
        asleep=counts.asleep,
        degraded=counts.degraded,
        failing=counts.failing,
        silent=counts.silent,
        new=counts.new,
    )


def farm_card(farm: heard.Farm, counts: heard.FarmCounts, coverage: Sequence[heard.Coverage]) -> FarmCard:
    cells = [cell(line) for line in coverage]
    return FarmCard(
        id=farm.id,
        name=farm.name or farm.id,
        status=farm_status(counts, cells),
        says=farm_says(counts, cells),
        counts=counts_shown(counts),
        cells=cells,
    )


def farm_status(counts: heard.Counts, cells: Sequence[Cell]) -> Status:
    """How the farm as a whole is drawn: what can no longer be seen weighs more than single devices."""
    if counts.devices == 0:
        return "new"
    if is_dark(counts):
        return "silent"
    if counts.failing or any(line.state in ("dark", "blind") for line in cells):
        return "failing"
    if counts.degraded or counts.silent or any(line.state == "reduced" for line in cells):
        return "degraded"
    return "healthy" if counts.healthy else "new"


def is_dark(counts: heard.Counts) -> bool:
    """Whether so many are silent that the farm itself must be cut off."""
    if counts.silent == counts.devices:
        return counts.devices > 0
    return counts.silent >= DARK_DEVICES_MIN and counts.silent >= DARK_SHARE * counts.devices


def farm_says(counts: heard.Counts, cells: Sequence[Cell]) -> str:
    """One line: what is worst here, in words."""
    if counts.devices == 0:
        return "No device yet"
    if is_dark(counts):
        return f"Dark: {_all_of(counts.silent, counts.devices)} silent"
    blind = sorted((line for line in cells if line.state in ("dark", "blind")), key=lambda line: CELL_RANK[line.state])
    if len(blind) == 1:
        return f"{blind[0].name}: no {_list([q.quantity for q in blind[0].quantities if q.expected and not q.alive])}"
    if blind:
        return f"{len(blind)} enclosures are blind"
    said = [
        f"{number} {word}"
        for number, word in (
            (counts.failing, "failing"),
            (counts.silent, "silent"),
            (counts.degraded, "degraded"),
        )
        if number
    ]
    if said:
        return ", ".join(said)
    reduced = [line for line in cells if line.state == "reduced"]
    if len(reduced) == 1:
        return f"{reduced[0].name}: {_list([_left(q) for q in reduced[0].quantities if q.alive < q.expected], 'and')}"
    if reduced:
        return f"{len(reduced)} enclosures have lost a source"
    return "All covered" if counts.healthy else f"{counts.new} not heard yet"


def _all_of(some: int, every: int) -> str:
    if every == 1:
        return "its device is"
    return f"all {every} devices are" if some == every else f"{some} of {every} devices are"


def _left(quantity: QuantityShown) -> str:
    return f"{quantity.quantity} {quantity.alive} of {quantity.expected}"


def _list(words: Sequence[str], link: str = "or") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {link} {words[-1]}"
