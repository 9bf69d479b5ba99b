"""The words a page can draw. What the API may say beyond them is mapped to the nearest, so that no page goes blank."""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, TypeVar, get_args

Status: TypeAlias = Literal["new", "healthy", "degraded", "failing", "silent"]
# A tenant may name severities as it likes; a page draws one of four looks.
Look: TypeAlias = Literal["critical", "high", "warning", "informational"]
AlertState: TypeAlias = Literal["open", "acknowledged", "resolved"]
PlaceState: TypeAlias = Literal["agreed", "mismatch", "unknown", "foreign"]

Word = TypeVar("Word", bound=str)

STATUSES: Final[tuple[Status, ...]] = get_args(Status)
LOOKS: Final[tuple[Look, ...]] = get_args(Look)
ALERT_STATES: Final[tuple[AlertState, ...]] = get_args(AlertState)
PLACE_STATES: Final[tuple[PlaceState, ...]] = get_args(PlaceState)

# Worst first: what speaks but cannot be used misleads more than what is silent.
STATUS_RANK: Final[dict[Status, int]] = {"silent": 0, "failing": 1, "degraded": 2, "new": 3, "healthy": 4}
LOOK_RANK: Final[dict[Look, int]] = {look: rank for rank, look in enumerate(LOOKS)}


def nearest(words: Sequence[Word], word: str, otherwise: Word) -> Word:
    """That word if it is one of those that a page can draw."""
    return next((each for each in words if each == word), otherwise)


def status_of(word: str) -> Status:
    """The status named by the API; one we do not know is drawn as degraded: works, something is off."""
    return nearest(STATUSES, word, "degraded")


def look_of(severity: str) -> Look:
    return nearest(LOOKS, severity.lower(), "warning")


def alert_state_of(word: str) -> AlertState:
    return nearest(ALERT_STATES, word, "open")


def place_state_of(word: str) -> PlaceState:
    return nearest(PLACE_STATES, word, "agreed")
