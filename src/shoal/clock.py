"""The time, asked for in one place, so that tests can own it."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where a worker gets the time from. Decisions take the time as an argument instead."""

    def now(self) -> datetime:
        """The wall clock, in UTC, to the millisecond."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since some start, never set back: for measuring how long something took."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return truncate(datetime.now(UTC))

    def monotonic_s(self) -> float:
        return time.monotonic()


class FakeClock:
    """A clock that stands still until it is told to go on. For tests and rehearsals."""

    def __init__(self, start: datetime = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic_s = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, by: timedelta) -> None:
        self._now += by
        self._monotonic_s += by.total_seconds()


def truncate(moment: datetime) -> datetime:
    """To whole milliseconds: what the events on the stream carry, so that a moment survives the way there and back."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
