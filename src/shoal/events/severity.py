"""How bad it is: the four severities that every tenant has, worst first."""

from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    """A word for people and for the wire. Compare with `rank`, never by the text."""

    CRITICAL = "critical"
    HIGH = "high"
    WARNING = "warning"
    INFORMATIONAL = "informational"

    @property
    def rank(self) -> int:
        """0 is the worst: what sorts first is done first."""
        return _RANKS[self]

    def is_worse_than(self, other: "Severity") -> bool:
        return self.rank < other.rank

    def is_at_least(self, other: "Severity") -> bool:
        return self.rank <= other.rank


_RANKS: Final = {severity: rank for rank, severity in enumerate(Severity)}


def worst(severities: "list[Severity]") -> Severity | None:
    """The worst of some, None of none."""
    return min(severities, key=lambda severity: severity.rank, default=None)
