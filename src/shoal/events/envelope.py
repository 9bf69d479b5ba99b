"""What all events have in common."""

from datetime import datetime
from typing import Annotated, ClassVar, TypeAlias

import msgspec

from shoal.events.topics import Topic

# A time without a zone is a mistake of its writer, and no reader could tell when it is.
Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """A fact: it happened, it will not change. Consumers may see it twice and must not mind.

    `id` is deterministic (the same fact written again has the same id), `time` is when it happened in our clock; a
    device's own time is payload. `trace` is a W3C traceparent, where traces are on. Fields are only ever added
    (docs/events.md).
    """

    topic: ClassVar[Topic]

    id: str
    time: Moment
    trace: str | None = None

    @property
    def key(self) -> str:
        """What orders this event on its topic; also what picks the partition."""
        raise NotImplementedError
