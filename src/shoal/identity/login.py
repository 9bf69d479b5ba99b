"""How often somebody may try to log in, and how a login is refused."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from shoal.errors import Forbidden, Rejected

# Five wrong passwords in a quarter of an hour are somebody guessing, or somebody who should ask for a new one.
WRONG_MAX: Final = 5
WINDOW: Final = timedelta(minutes=15)

# A login ends by itself after a working day.
SESSION_LIFETIME: Final = timedelta(hours=12)


class Unauthenticated(Rejected):
    """Nobody we know: a wrong address or password, a token that is unknown, expired or revoked. Answer 401."""

    kind = "unauthenticated"


class TooManyAttempts(Forbidden):
    """Too many wrong passwords for this address: wait, even with the right one. Answer 429 with `retry_after_s`."""

    kind = "too-many-attempts"

    def __init__(self, retry_after: timedelta) -> None:
        seconds = max(1, -(-int(retry_after.total_seconds() * 1_000) // 1_000))
        super().__init__("login", "too many wrong passwords", retry_after_s=seconds)
        self.retry_after = retry_after


def wait_until(attempts: Sequence[datetime], now: datetime) -> datetime | None:
    """When this address may be tried again, None for at once. `attempts` are those that did not end in a login."""
    recent = sorted(moment for moment in attempts if moment > now - WINDOW)
    if len(recent) < WRONG_MAX:
        return None
    # When the fifth last has left the window there are four in it again.
    return recent[-WRONG_MAX] + WINDOW
