"""What an enclosure can still see."""

import pytest

from shoal.health.coverage import Coverage, Quantity, Watcher, coverage, of_description, of_objects
from shoal.health.status import Status

OXYGEN = frozenset({Quantity.OXYGEN})


def watcher(
    status: Status = Status.HEALTHY,
    *,
    is_late: bool = False,
    enclosure: str | None = "enc-1",
    quantities: frozenset[Quantity] = OXYGEN,
) -> Watcher:
    return Watcher(enclosure=enclosure, quantities=quantities, status=status, is_late=is_late)


def test_silent_late_and_new_devices_watch_nothing() -> None:
    every = [watcher(), watcher(Status.DEGRADED), watcher(Status.FAILING), watcher(Status.SILENT), watcher(Status.NEW)]

    assert coverage([*every, watcher(Status.DEGRADED, is_late=True)]) == [Coverage("enc-1", Quantity.OXYGEN, 3, 6)]


@pytest.mark.parametrize(("alive", "is_blind", "left"), [(0, True, 0), (1, False, 0), (3, False, 2)])
def test_blind_is_when_nobody_is_left(alive: int, is_blind: bool, left: int) -> None:
    covered = Coverage("enc-1", Quantity.OXYGEN, alive, 3)

    assert (covered.is_blind, covered.redundancy_left) == (is_blind, left)


def test_each_enclosure_and_quantity_counts_for_itself_in_a_fixed_order() -> None:
    both = frozenset({Quantity.TEMPERATURE, Quantity.OXYGEN})
    watchers = [watcher(enclosure="enc-2"), watcher(quantities=both), watcher(enclosure=None), watcher(Status.SILENT)]

    assert coverage(watchers) == [
        Coverage(None, Quantity.OXYGEN, 1, 1),
        Coverage("enc-1", Quantity.OXYGEN, 1, 2),
        Coverage("enc-1", Quantity.TEMPERATURE, 1, 1),
        Coverage("enc-2", Quantity.OXYGEN, 1, 1),
    ]


def test_objects_tell_what_a_device_measures() -> None:
    assert of_objects(["3", "3303", "3327", "26242", "9999"]) == {
        Quantity.TEMPERATURE,
        Quantity.SALINITY,
        Quantity.VIDEO,
    }


@pytest.mark.parametrize(
    ("path", "value", "quantity"),
    [
        ("/3300/0/5701", "mg/L", Quantity.OXYGEN),
        ("/3300/1/5750", "Dissolved Oxygen", Quantity.OXYGEN),
        ("/3325/0/5701", "PSU", Quantity.SALINITY),
        ("/3300/0/5750", "water temperature", Quantity.TEMPERATURE),
        ("/3300/0/5701", "Cel", None),
        ("/3300/0/5700", "mg/L", None),
        ("/3301/0/5701", "mg/L", None),
        ("/3300/0/5701", 7, None),
    ],
)
def test_a_generic_sensor_says_what_it_measures(path: str, value: object, quantity: Quantity | None) -> None:
    assert of_description(path, value) is quantity
