"""One word for a device, and its cause."""

from dataclasses import dataclass

import pytest

from shoal.events.condition import Verdict
from shoal.events.severity import Severity
from shoal.health.status import Status, status


@dataclass(frozen=True)
class Open:
    """A condition that is open."""

    condition: str
    severity: Severity

    @property
    def verdict(self) -> Verdict:
        return Verdict(cause=f"{self.condition}_cause", says="")


LATE = Open("late", Severity.WARNING)
SILENT = Open("silent", Severity.HIGH)
BATTERY = Open("battery_low", Severity.HIGH)
GRAVE = Open("supply_lost", Severity.CRITICAL)
MINOR = Open("error_code", Severity.INFORMATIONAL)


@pytest.mark.parametrize(
    ("was_heard", "conditions", "word", "cause"),
    [
        (False, [], Status.NEW, None),
        (False, [MINOR], Status.NEW, None),
        (False, [LATE], Status.DEGRADED, "late_cause"),
        (True, [], Status.HEALTHY, None),
        (True, [MINOR], Status.HEALTHY, None),
        (True, [LATE], Status.DEGRADED, "late_cause"),
        (True, [LATE, BATTERY], Status.DEGRADED, "battery_low_cause"),
        (True, [BATTERY, GRAVE], Status.FAILING, "supply_lost_cause"),
        (True, [GRAVE, SILENT], Status.SILENT, "silent_cause"),
        (True, [LATE, Open("place_mismatch", Severity.WARNING)], Status.DEGRADED, "late_cause"),
    ],
)
def test_the_worst_of_what_is_open_makes_the_word(
    was_heard: bool, conditions: list[Open], word: Status, cause: str | None
) -> None:
    assert status(was_heard=was_heard, conditions=conditions) == (word, cause)
    assert status(was_heard=was_heard, conditions=conditions[::-1]) == (word, cause)
