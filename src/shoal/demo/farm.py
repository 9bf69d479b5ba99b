"""Who lives on the demo farm: two farms, six enclosures, eighteen sensors, six cameras."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shoal.demo.world import Spot


class Quantity(StrEnum):
    """What a device measures."""

    OXYGEN = "oxygen"
    TEMPERATURE = "temperature"
    SALINITY = "salinity"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class Layout:
    """One enclosure of the demo, by name; ids come from Shoal when it is created."""

    farm: str
    enclosure: str
    kind: str


@dataclass(frozen=True, slots=True)
class Inhabitant:
    """One device of the demo: its endpoint name, what it measures, where, and whether it sleeps between reports."""

    endpoint: str
    quantity: Quantity
    home: Layout
    spot: Spot
    sleeps: bool

    @property
    def kind(self) -> str:
        return "camera" if self.quantity is Quantity.VIDEO else "sensor"


LAYOUT: Final = tuple(
    Layout(farm, f"Pen {number}", "pen")
    for farm, numbers in (("Storholmen", (1, 2, 3)), ("Hellevika", (4, 5, 6)))
    for number in numbers
)

# Who plays which part; the stories are in stories.py.
BATTERY_RUNS_LOW: Final = "sal-0402"
GOES_SILENT: Final = "cam-0601"
CLAIMS_ANOTHER_ENCLOSURE: Final = "tmp-0201"
UPDATE_FAILS: Final = "cam-0501"


def inhabitants() -> Iterator[Inhabitant]:
    """All 24 devices, in the order of the enclosures."""
    for index, home in enumerate(LAYOUT):
        number = int(home.enclosure.removeprefix("Pen "))
        phase = index / len(LAYOUT)
        for slot, (prefix, quantity, depth_m) in enumerate(
            (
                ("oxy", Quantity.OXYGEN, 5.0),
                ("tmp", Quantity.TEMPERATURE, 5.0),
                ("sal", Quantity.SALINITY, 3.0),
                ("cam", Quantity.VIDEO, 8.0),
            ),
        ):
            # Salinity probes hang on buoys without power: they sleep between reports.
            sleeps = quantity is Quantity.SALINITY
            endpoint = f"{prefix}-{number:02d}{'02' if sleeps else '01'}"
            yield Inhabitant(endpoint, quantity, home, Spot((phase + slot / 17) % 1, depth_m), sleeps)
