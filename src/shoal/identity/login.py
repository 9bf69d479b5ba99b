"""How often somebody may try to log in, and how a login is refused.

Wrong passwords are counted for an account as tried from one network, for a network over all accounts, and for an account
over all networks that it never logged in from. So whoever guesses waits longer and longer; whoever is guessed at does not
wait where they usually log in, and elsewhere never longer than a minute.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from typing import Final

from shoal.access.decision import Subject
from shoal.errors import Forbidden, Rejected
from shoal.ids import TenantId

# Wrong passwords count until there was none for this long.
REMEMBERED: Final = timedelta(hours=1)

# A login ends by itself after a working day.
SESSION_LIFETIME: Final = timedelta(hours=12)

# A provider gives a home or a phone a network of this size: guessing goes on from any address in it.
_NETWORK_BITS: Final = 64
# Not an address at all (a socket of the file system, say): as long as the longest that is one.
_ADDRESS_CHARACTERS_MAX: Final = 45


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Which login was tried, and whose it is: for our own log, never for the answer. No tenant: there is no such login."""

    login: str
    tenant: TenantId | None


class Unauthenticated(Rejected):
    """Nobody we know: a wrong address or password, a token that is unknown, expired or revoked. Answer 401.

    `whose` is who the token spoke for once.
    """

    kind = "unauthenticated"

    def __init__(
        self,
        subject: str,
        reason: str,
        *,
        tried: Tried | None = None,
        whose: Subject | None = None,
        **facts: str | int | None,
    ) -> None:
        super().__init__(subject, reason, **facts)
        self.tried = tried
        self.whose = whose


class TooManyAttempts(Forbidden):
    """Too many wrong guesses from here, or for this: wait, even with the right one. Answer 429 with `retry_after_s`."""

    kind = "too-many-attempts"

    def __init__(
        self,
        retry_after: timedelta,
        subject: str = "login",
        reason: str = "too many wrong passwords",
        tried: Tried | None = None,
    ) -> None:
        seconds = max(1, -(-int(retry_after.total_seconds() * 1_000) // 1_000))
        super().__init__(subject, reason, retry_after_s=seconds)
        self.retry_after = retry_after
        self.tried = tried


@dataclass(frozen=True, slots=True)
class Patience:
    """How many wrong passwords are free; from then on each wait is twice the one before, up to the longest."""

    free: int
    first: timedelta
    longest: timedelta

    def until(self, failures: int, last_at: datetime) -> datetime:
        """When one may try again after so many wrong passwords, the last one at that time."""
        if failures < self.free:
            return last_at
        # More doublings than that are longer than any wait, and larger than any number of ours.
        doublings = min(failures - self.free, 32)
        return last_at + min(self.first * (1 << doublings), self.longest)


# Five wrong passwords are somebody guessing, or somebody who should ask for a new one.
ACCOUNT_HERE: Final = Patience(free=5, first=timedelta(seconds=15), longest=timedelta(minutes=15))
# Behind one address may be all of a company, on the morning after its passwords were changed.
NETWORK: Final = Patience(free=30, first=timedelta(seconds=15), longest=timedelta(minutes=15))
# Many networks that guess at one account: a thousand tries a day find no password, and its owner gets a turn elsewhere.
ACCOUNT: Final = Patience(free=50, first=timedelta(seconds=15), longest=timedelta(minutes=1))


def network_of(address: str) -> str:
    """Whose tries are counted together: one address of IPv4, a network of IPv6."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:_ADDRESS_CHARACTERS_MAX]
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        bits = 128 - _NETWORK_BITS
        return f"{IPv6Address(int(parsed) >> bits << bits)}/{_NETWORK_BITS}"
    return str(parsed)
