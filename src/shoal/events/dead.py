"""Records that nobody could work with: topic shoal.dead.v1."""

from typing import ClassVar, TypeAlias

from shoal.events.envelope import Event
from shoal.events.topics import DEAD, Topic


class RecordBuried(Event, frozen=True, kw_only=True, tag="buried"):
    """A group of workers gave up on a record: it could not be decoded, or its handling always failed.

    The record itself is here as it was, so that it can be looked at and, once the fault is mended, played again.
    """

    topic: ClassVar[Topic] = DEAD

    group: str
    source: str
    partition: int
    offset: int
    source_key: str
    reason: str
    value: bytes

    @property
    def key(self) -> str:
        return self.source_key


AnyDeadEvent: TypeAlias = RecordBuried
