"""Tokens that are guessed: whoever shows many that are none is not looked up any more for a while. In memory, and bounded."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from shoal.identity.login import TooManyAttempts, network_of

# Different wrong tokens from one network within a minute. A script with an old token shows the same one again and again.
WRONG_MAX: Final = 20
WINDOW: Final = timedelta(minutes=1)
# Networks that are remembered, a kilobyte each; the one that was quiet for longest is forgotten first.
NETWORKS_MAX: Final = 10_000
# Tokens that were good a moment ago pass, also where somebody else guesses: as many as a large company has.
GOOD_MAX: Final = 10_000


@dataclass(slots=True)
class _Seen:
    since: datetime
    wrong: set[bytes] = field(default_factory=set)


class Guesses:
    """What this process saw. No token is found by guessing; this keeps the attempt from costing a query each."""

    def __init__(self) -> None:
        self._networks: OrderedDict[str, _Seen] = OrderedDict()
        self._good: OrderedDict[bytes, None] = OrderedDict()

    def check(self, address: str, digest: bytes, now: datetime) -> None:
        """Nothing while the token may be looked up.

        Raises:
            TooManyAttempts: too many wrong ones came from there.
        """
        seen = self._networks.get(network_of(address))
        if seen is None or len(seen.wrong) < WRONG_MAX or digest in self._good:
            return
        left = seen.since + WINDOW - now
        if left > timedelta():
            raise TooManyAttempts(left, "token", "too many wrong tokens")

    def was_wrong(self, address: str, digest: bytes, now: datetime) -> None:
        """The token is none of ours."""
        network = network_of(address)
        seen = self._networks.pop(network, None)
        if seen is None or now - seen.since >= WINDOW:
            seen = _Seen(now)
        if len(seen.wrong) < WRONG_MAX:
            seen.wrong.add(digest)
        self._networks[network] = seen
        if len(self._networks) > NETWORKS_MAX:
            self._networks.popitem(last=False)
        self._good.pop(digest, None)

    def was_good(self, digest: bytes) -> None:
        """The token counts."""
        self._good[digest] = None
        self._good.move_to_end(digest)
        if len(self._good) > GOOD_MAX:
            self._good.popitem(last=False)
