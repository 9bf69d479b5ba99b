"""The log: what any broker must do for us. `embedded.py` and `kafka.py` do it alike; the parity tests prove it."""

from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec

from shoal.errors import ShoalError
from shoal.events.topics import Topic

# Restores the body of a page that was compressed with zstd; the codec is part of the Rust core.
Decompress = Callable[[bytes], bytes]


class Entry(msgspec.Struct, frozen=True):
    """One record to append: entries of one key stay in order, and in one partition."""

    key: str
    value: bytes


class PageIn(msgspec.Struct, frozen=True):
    """Many records of one partition at once, as the gateway makes them: one JSON event a line.

    `codec` says how the body is packed: `json` (plain lines) or `zstd`. With `messages` (key and value of each record)
    the body is not looked at: a log that `takes_messages` is spared taking the page apart.
    """

    partition: int
    count: int
    body: bytes = b""
    codec: str = "json"
    messages: Sequence[tuple[bytes, bytes]] = ()


class Record(msgspec.Struct, frozen=True):
    """One record as it stands in the log. `time` is when the log took it in."""

    topic: str
    partition: int
    offset: int
    key: str
    time: datetime
    value: bytes


class Slice(msgspec.Struct, frozen=True):
    """Some records of one partition, in order, and how far the log went at that moment."""

    records: list[Record]
    next_offset: int
    end_offset: int

    @property
    def is_caught_up(self) -> bool:
        return self.next_offset >= self.end_offset


class OffsetOutOfRange(ShoalError):
    """The log does not hold that offset (any more): retention passed it, or the topic was made anew.

    Never answered by jumping to an end of the log by itself: a person must know that events were missed.
    """

    def __init__(self, topic: str, partition: int, offset: int, first: int, end: int) -> None:
        super().__init__(topic, partition, offset, first, end)
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.first = first
        self.end = end

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}: offset {self.offset} is outside {self.first} to {self.end}"


class Pages(Protocol):
    """Takes what the gateway gathered."""

    @property
    def takes_messages(self) -> bool:
        """Whether `append_pages` would rather have messages than bodies."""
        ...

    def append_pages(self, topic: Topic, pages: Sequence[PageIn]) -> None:
        """Appends whole pages and blocks until they are durable: for a thread of its own. Raises Unavailable."""
        ...


# A topic and one of its partitions.
Place = tuple[Topic, int]


class Log(Pages, Protocol):
    """Topics with a fixed number of partitions; what was appended to one partition is read in that order."""

    async def start(self) -> None:
        """Opens it and creates the topics that are missing. Raises Unavailable with a remedy."""
        ...

    async def close(self) -> None:
        """Stops it; what was appended stays."""
        ...

    def partitions(self, topic: Topic) -> int:
        """How many partitions a topic has."""
        ...

    async def append(self, topic: Topic, entries: Sequence[Entry]) -> None:
        """Appends records, each to the partition of its key; they are durable when it returns. Raises Unavailable."""
        ...

    def shares(self, group: str, topics: Sequence[Topic]) -> AsyncGenerator[frozenset[Place], None]:
        """Which partitions this process is to work on for a group, now and again whenever that changes.

        Every partition is worked on by one process of the group; for a moment, when they change hands, by two: the
        offset in the database decides. Close the generator to leave the group.
        """
        ...

    async def read(self, topic: Topic, partition: int, offset: int, *, limit: int, wait: timedelta) -> Slice:
        """Up to `limit` records from `offset` on; waits up to `wait` for the first. Raises OffsetOutOfRange."""
        ...

    async def bounds(self, topic: Topic, partition: int) -> tuple[int, int]:
        """The first offset that can be read, and the one that the next record will get."""
        ...


_FNV_OFFSET: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key: FNV-1a, 64 bits, as in the Rust core.

    Both sides must agree, or what the gateway says about a device and what the inventory says would not be in order.
    """
    digest = _FNV_OFFSET
    for byte in key.encode():
        digest = ((digest ^ byte) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return digest % partitions
