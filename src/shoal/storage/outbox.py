"""Events written in the transaction of the change they tell of; `stream/relay.py` carries them on.

The table empties by itself: a row lives from its transaction until the log has it.
"""

from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Column, LargeBinary, Table, Text

from shoal.events.codec import encode
from shoal.events.envelope import Event
from shoal.storage.tables import AutoId, Timestamp, metadata

outbox_events: Final = Table(
    "outbox_events",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    sqlite_autoincrement=True,  # a number is never used again, so the order of ids is the order of commits
)


class OutboxRow(msgspec.Struct, frozen=True):
    """One event that waits to be carried to the log."""

    id: int
    topic: str
    key: str
    value: bytes


def row_of(event: Event, now: datetime) -> dict[str, object]:
    """The columns of an event that is to be published."""
    return {
        "topic": event.topic.name,
        "key": event.key,
        "event_id": event.id,
        "value": encode(event),
        "created_at": now,
    }
