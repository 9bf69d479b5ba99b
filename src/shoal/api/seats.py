"""How many may do something at a time: a crowd must not take all that the process has."""

from collections.abc import Iterator
from contextlib import contextmanager


class Seats:
    """A bound on what is going on at the same time. Whoever finds no seat does not queue for one."""

    def __init__(self, total: int) -> None:
        self._total = total
        self.taken = 0

    @contextmanager
    def one_more(self) -> Iterator[bool]:
        """Whether there was a seat; it is taken within this."""
        has_seat = self.taken < self._total
        self.taken += has_seat
        try:
            yield has_seat
        finally:
            self.taken -= has_seat
