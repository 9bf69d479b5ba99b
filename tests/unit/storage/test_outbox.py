"""An event in the outbox is what the log will hold."""

from datetime import UTC, datetime

from shoal.events.codec import decode
from shoal.events.device import DeviceRemoved
from shoal.events.topics import DEVICE
from shoal.storage.outbox import row_of


def test_a_row_holds_the_event_as_it_will_travel() -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    event = DeviceRemoved(id="e-1", time=now, device="dev-1", tenant="ten-1")

    row = row_of(event, now)

    assert (row["topic"], row["key"], row["event_id"], row["created_at"]) == ("shoal.device.v1", "dev-1", "e-1", now)
    value = row["value"]
    assert isinstance(value, bytes)
    assert decode(DEVICE, value) == event
