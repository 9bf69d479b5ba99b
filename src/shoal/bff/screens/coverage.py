"""What can still be seen of the animals: per enclosure, how many sources of each quantity are alive, of how many."""

from datetime import datetime
from typing import Final, Literal, TypeAlias

from pydantic import BaseModel

from shoal.bff import heard

QUANTITIES: Final = ("oxygen", "temperature", "salinity", "video")
# Blind: nothing left of something that should be seen. Reduced: less than planned. Unwatched: nothing was planned.
CellState: TypeAlias = Literal["dark", "blind", "reduced", "covered", "unwatched"]
CELL_RANK: Final[dict[CellState, int]] = {"dark": 0, "blind": 1, "reduced": 2, "unwatched": 3, "covered": 4}


class QuantityShown(BaseModel):
    quantity: str
    alive: int
    expected: int
    freshest_at: datetime | None
    value: float | None
    unit: str
    blind_since: datetime | None


class Cell(BaseModel):
    """An enclosure at a glance."""

    enclosure: str
    name: str
    label: str
    state: CellState
    quantities: list[QuantityShown]


def cell(coverage: heard.Coverage) -> Cell:
    known = {quantity.quantity: quantity for quantity in coverage.quantities}
    # The four in their order, so that the same bar always means the same; then what else is watched there.
    four = [known.get(name, heard.Quantity(quantity=name)) for name in QUANTITIES]
    others = [said for name, said in known.items() if name not in QUANTITIES and said.expected]
    shown = [
        QuantityShown(
            quantity=said.quantity,
            alive=said.alive,
            expected=said.expected,
            freshest_at=said.freshest_at,
            value=said.value,
            unit=said.unit,
            blind_since=said.blind_since,
        )
        for said in (*four, *others)
    ]
    return Cell(
        enclosure=coverage.enclosure,
        name=coverage.name or coverage.enclosure,
        label=label(coverage.name or coverage.enclosure),
        state=cell_state(shown),
        quantities=shown,
    )


def cell_state(quantities: list[QuantityShown]) -> CellState:
    expected = [quantity for quantity in quantities if quantity.expected > 0]
    if not expected:
        return "unwatched"
    if all(quantity.alive == 0 for quantity in expected):
        return "dark"
    if any(quantity.alive == 0 for quantity in expected):
        return "blind"
    if any(quantity.alive < quantity.expected for quantity in expected):
        return "reduced"
    return "covered"


def label(name: str) -> str:
    """What fits beneath three bars: the number of `Pen 12`, or the first letters."""
    last = name.rsplit(maxsplit=1)[-1] if name.split() else ""
    return last if last.isdecimal() and len(last) <= 3 else name[:3]
