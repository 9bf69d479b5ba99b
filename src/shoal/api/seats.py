"""How many may do something at a time: a crowd must not take all that the process has, and nobody all that there is."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Seats:
    """A bound on what is going on at the same time. Whoever finds no seat does not queue for one.

    `each` is how many of them one guest may have, where guests have names.
    """

    def __init__(self, total: int, each: int | None = None) -> None:
        self._total = total
        self._each = total if each is None else each
        self._held: Counter[str] = Counter()
        self.taken = 0

    @contextmanager
    def one_more(self, guest: str = "") -> Iterator[bool]:
        """Whether there was a seat; it is taken within this."""
        has_seat = self.taken < self._total and (not guest or self._held[guest] < self._each)
        self.taken += has_seat
        self._held[guest] += has_seat
        try:
            yield has_seat
        finally:
            self.taken -= has_seat
            self._held[guest] -= has_seat
            if not self._held[guest]:
                del self._held[guest]
