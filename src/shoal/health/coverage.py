"""What an enclosure can still see: per quantity, how many of the devices that should measure it are alive.

A farmer cares about a blind enclosure, not about one device of it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shoal.health.status import Status


class Quantity(StrEnum):
    """What is watched in an enclosure."""

    OXYGEN = "oxygen"
    TEMPERATURE = "temperature"
    SALINITY = "salinity"
    VIDEO = "video"


# Object ids of the OMA registry, and 26242, our camera health, that alone tell what a device measures.
OBJECTS: Final = {
    "3303": Quantity.TEMPERATURE,
    "3327": Quantity.SALINITY,  # Conductivity: in water that is what it is measured for
    "10340": Quantity.VIDEO,
    "26242": Quantity.VIDEO,
}
# 3300 is the generic sensor, 3325 concentration: what they measure stands in 5701, the unit, or 5750, the application
# type.
_DESCRIBED: Final = re.compile(r"/(3300|3325)/\d+/(5701|5750)")
_WORDS: Final = {
    "oxygen": Quantity.OXYGEN,
    "mg/l": Quantity.OXYGEN,
    "salin": Quantity.SALINITY,
    "psu": Quantity.SALINITY,
    "temperature": Quantity.TEMPERATURE,
}


@dataclass(frozen=True, slots=True)
class Watcher:
    """A device as far as coverage is concerned."""

    enclosure: str | None
    quantities: frozenset[Quantity]
    status: Status
    is_late: bool


@dataclass(frozen=True, slots=True)
class Coverage:
    """One quantity of one enclosure."""

    enclosure: str | None
    quantity: Quantity
    alive: int
    expected: int

    @property
    def is_blind(self) -> bool:
        return self.alive == 0

    @property
    def redundancy_left(self) -> int:
        """How many more may fail before nobody watches."""
        return max(0, self.alive - 1)


def coverage(watchers: Iterable[Watcher]) -> list[Coverage]:
    """Alive of expected for every enclosure and quantity, in order of enclosure and quantity."""
    expected: dict[tuple[str, Quantity], int] = {}
    alive: dict[tuple[str, Quantity], int] = {}
    for watcher in watchers:
        for quantity in watcher.quantities:
            key = (watcher.enclosure or "", quantity)
            expected[key] = expected.get(key, 0) + 1
            alive[key] = alive.get(key, 0) + _is_alive(watcher)
    order = list(Quantity)
    return [
        Coverage(enclosure=enclosure or None, quantity=quantity, alive=alive[enclosure, quantity], expected=count)
        for (enclosure, quantity), count in sorted(
            expected.items(), key=lambda item: (item[0][0], order.index(item[0][1]))
        )
    ]


def of_objects(objects: Iterable[str]) -> frozenset[Quantity]:
    """What a device measures, as far as the numbers of its objects tell."""
    return frozenset(OBJECTS[number] for number in objects if number in OBJECTS)


def of_description(path: str, value: object) -> Quantity | None:
    """What a sensor says that it measures, by its unit or its application type; None for all other readings."""
    if not isinstance(value, str) or _DESCRIBED.fullmatch(path) is None:
        return None
    text = value.lower()
    return next((quantity for word, quantity in _WORDS.items() if word in text), None)


def _is_alive(watcher: Watcher) -> bool:
    return watcher.status not in {Status.NEW, Status.SILENT} and not watcher.is_late
