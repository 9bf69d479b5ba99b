"""How long each part of an update may take, from what the device promised: T1 to T3 of docs/architecture.md, campaigns.

Every state but the ends has a deadline. No peer that we read has that, and their updates hang for ever.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shoal.campaigns.facts import DeviceFacts

# Profiles S and C, where the inventory has not said.
REPORT_EVERY_ASLEEP: Final = timedelta(minutes=30)
REPORT_EVERY_AWAKE: Final = timedelta(seconds=60)
# RFC 7252 §4.8.2: EXCHANGE_LIFETIME.
GRACE_MIN: Final = timedelta(seconds=247)
# The slowest link that we wait for: narrow-band radio at the edge of its cell.
RATE_BYTES_PER_S_MIN: Final = 64


@dataclass(frozen=True, slots=True)
class Timers:
    """The timers of one update. The factors give the defaults for profiles S (asleep) and C (awake)."""

    patience: timedelta
    start: timedelta
    stall: timedelta
    download: timedelta
    install: timedelta
    return_by: timedelta
    soak: timedelta
    poll: timedelta

    @classmethod
    def of(cls, facts: DeviceFacts, size: int) -> "Timers":
        """For a device and the size of what it shall fetch."""
        asleep = facts.queue_mode
        usual = REPORT_EVERY_ASLEEP if asleep else REPORT_EVERY_AWAKE
        every = timedelta(seconds=facts.report_every_s) if facts.report_every_s else usual
        lifetime = timedelta(seconds=facts.lifetime_s)
        grace = max(GRACE_MIN, lifetime / 10) if facts.grace_s is None else timedelta(seconds=facts.grace_s)
        install = every * 3 if asleep else every * 15
        return cls(
            patience=every * (48 if asleep else 1_440),  # 24 h
            start=every * (2 if asleep else 5),  # T1: two wake-ups, or 5 min
            stall=every * (3 if asleep else 10),
            download=max(every * 60, timedelta(seconds=size / RATE_BYTES_PER_S_MIN)),  # T2
            install=install,  # T3: 60 min and the next wake-up, or 15 min
            return_by=install + lifetime + grace,  # after that we suspect that it never comes back
            # Long enough to see a battery that drains, memory that leaks and three reports of a sleeper: 90 or 30 min.
            soak=every * (3 if asleep else 30),
            poll=every,
        )

    def retry_after(self, attempt: int) -> timedelta:
        """The pause before another download: 15 min, 1 h, 4 h for a mains device, and 4 h from then on."""
        return self.poll * (15, 60, 240)[min(attempt, 3) - 1] if attempt > 0 else timedelta()
