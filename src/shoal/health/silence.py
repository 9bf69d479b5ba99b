"""Who should have spoken by now.

The words are those of docs/architecture.md, health: P is how often a device reports, L the lifetime of its
registration, E the longest we expect between two signs of life, G the grace.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

# RFC 7252 §4.8.2: EXCHANGE_LIFETIME. A device that repeats its Update until the end of the exchange is not silent yet.
EXCHANGE_LIFETIME: Final = timedelta(seconds=247)
# A device that sleeps may lose one report unconfirmed (LwM2M Core 1.1 §E.2, Notification Storing); two are late.
REPORTS_MISSED_ASLEEP: Final = 2
# A device with mains power that misses three reports in a row is worth a look.
REPORTS_MISSED_AWAKE: Final = 3


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a device promised, in its registration and by its profile. A lifetime of zero never ends."""

    report_every: timedelta
    lifetime: timedelta
    grace: timedelta
    queue_mode: bool

    @property
    def interval(self) -> timedelta:
        """E: the longest time we expect between two signs of life."""
        return min(self.report_every, self.lifetime / 2) if self.lifetime else self.report_every


class Pause(msgspec.Struct, frozen=True):
    """A time in which we ourselves could not hear anybody. `until` is when our ingestion went on."""

    since: datetime
    until: datetime


def grace_for(lifetime: timedelta) -> timedelta:
    """G where the profile does not say: the end of the last exchange, or a tenth of a long lifetime."""
    return max(EXCHANGE_LIFETIME, lifetime / 10)


def expected_by(expectation: Expectation, heard_at: datetime) -> datetime:
    """When the next sign of life is due. Missing it means nothing yet."""
    return heard_at + expectation.interval


def late_at(expectation: Expectation, heard_at: datetime, pauses: Sequence[Pause] = ()) -> datetime | None:
    """From when the device counts as late: reports are missing, the registration still holds. None: never late.

    A device in queue mode may also wake late, so it gets the grace on top.
    """
    every = expectation.report_every
    allowed = (
        every * REPORTS_MISSED_ASLEEP + expectation.grace if expectation.queue_mode else every * REPORTS_MISSED_AWAKE
    )
    late = _with_pauses(heard_at, heard_at + allowed, expectation.grace, pauses)
    silent = silent_at(expectation, heard_at, pauses)
    return late if silent is None or late < silent else None


def silent_at(expectation: Expectation, heard_at: datetime, pauses: Sequence[Pause] = ()) -> datetime | None:
    """From when the device counts as silent: lifetime and grace passed without a word. None: its lifetime never ends."""
    if not expectation.lifetime:
        return None
    deadline = heard_at + expectation.lifetime + expectation.grace
    return _with_pauses(heard_at, deadline, expectation.grace, pauses)


def wakes_missed(expectation: Expectation, heard_at: datetime, now: datetime) -> int:
    """How many times a sleeping device should have spoken since, and did not."""
    return max(0, (now - heard_at) // expectation.interval) if expectation.interval else 0


def wakes_until_silent(expectation: Expectation) -> int:
    """After how many missed wake-ups a device counts as silent: the n of "k of n"."""
    if not expectation.interval:
        return 1
    return max(1, (expectation.lifetime + expectation.grace) // expectation.interval)


def _with_pauses(heard_at: datetime, deadline: datetime, grace: timedelta, pauses: Sequence[Pause]) -> datetime:
    """The deadline, later by every pause of ours that fell into it, and by the grace to find back to us."""
    for pause in pauses:
        if pause.until > heard_at and pause.since < deadline:
            deadline += pause.until - max(pause.since, heard_at) + grace
    return deadline
