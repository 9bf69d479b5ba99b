"""The words a page can draw. What the API may say beyond them is mapped to the nearest, so that no page goes blank."""

from typing import Final, Literal, TypeAlias, get_args

Status: TypeAlias = Literal["new", "healthy", "degraded", "failing", "silent"]
# A tenant may name severities as it likes; a page draws one of four looks.
Look: TypeAlias = Literal["critical", "high", "warning", "informational"]
AlertState: TypeAlias = Literal["open", "acknowledged", "resolved"]
PlaceState: TypeAlias = Literal["agreed", "mismatch", "unknown", "foreign"]

STATUSES: Final[tuple[Status, ...]] = get_args(Status)
LOOKS: Final[tuple[Look, ...]] = get_args(Look)
ALERT_STATES: Final[tuple[AlertState, ...]] = get_args(AlertState)
PLACE_STATES: Final[tuple[PlaceState, ...]] = get_args(PlaceState)

# Worst first: what speaks but cannot be used misleads more than what is silent.
STATUS_RANK: Final[dict[Status, int]] = {"silent": 0, "failing": 1, "degraded": 2, "new": 3, "healthy": 4}
LOOK_RANK: Final[dict[Look, int]] = {look: rank for rank, look in enumerate(LOOKS)}


def status_of(word: str) -> Status:
    """The status named by the API; one we do not know is drawn as degraded: works, something is off."""
    return next((status for status in STATUSES if status == word), "degraded")


def look_of(severity: str) -> Look:
    return next((look for look in LOOKS if look == severity.lower()), "warning")


def alert_state_of(word: str) -> AlertState:
    return next((state for state in ALERT_STATES if state == word), "open")


def place_state_of(word: str) -> PlaceState:
    return next((state for state in PLACE_STATES if state == word), "agreed")
