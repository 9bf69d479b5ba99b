"""Readings that are to be sent and could not be yet: bounded, in order, with the time at which each was true."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

# A week of one reading a minute. Beyond it the oldest goes: the newest say more about how things are.
READINGS_MAX: Final = 10_000
# The same in bytes, for readings that are texts.
BYTES_MAX: Final = 1_000_000
# Readings of one Send: with their times they fit into one datagram of a kilobyte, or two.
BATCH_READINGS_MAX: Final = 50
# A long text goes alone.
BATCH_BYTES_MAX: Final = 2_000


class Recorded(NamedTuple):
    """A value as JSON, where it belongs, and the Unix time in seconds at which it was true."""

    path: str
    value: bytes
    at: float

    @property
    def size(self) -> int:
        """About what it takes, in memory and in a message."""
        return len(self.path) + len(self.value) + 8


class Journal:
    """The readings of one device. Whoever sends takes a `batch`, and says `sent` when a server has stored it."""

    def __init__(self, readings_max: int = READINGS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._readings: deque[Recorded] = deque()
        self._bytes = 0
        self._readings_max = readings_max
        self._bytes_max = bytes_max
        self.dropped = 0  # readings that made room for newer ones, or that no server took

    def __len__(self) -> int:
        return len(self._readings)

    def __iter__(self) -> Iterator[Recorded]:
        return iter(self._readings)

    def add(self, reading: Recorded) -> None:
        """Keeps a reading; the oldest make room."""
        self._readings.append(reading)
        self._bytes += reading.size
        while len(self._readings) > self._readings_max or (self._bytes > self._bytes_max and len(self._readings) > 1):
            self._bytes -= self._readings.popleft().size
            self.dropped += 1

    def begin_with(self, earlier: Sequence[Recorded]) -> None:
        """Puts readings from before a restart in front of those that are here."""
        later = list(self._readings)
        self._readings.clear()
        self._bytes = 0
        for reading in (*earlier, *later):
            self.add(reading)

    def batch(self) -> Sequence[Recorded]:
        """The oldest readings, as many as go together."""
        taken: list[Recorded] = []
        size = 0
        for reading in self._readings:
            size += reading.size
            if taken and (len(taken) >= BATCH_READINGS_MAX or size > BATCH_BYTES_MAX):
                break
            taken.append(reading)
        return taken

    def sent(self, batch: Sequence[Recorded]) -> None:
        """Forgets a batch that arrived; what made room meanwhile is not looked for."""
        for reading in batch:
            if self._readings and self._readings[0] is reading:
                self._bytes -= self._readings.popleft().size

    def refused(self, batch: Sequence[Recorded]) -> None:
        """Forgets a batch that the server will never take, so that the next ones get their turn."""
        self.dropped += len(batch)
        self.sent(batch)
