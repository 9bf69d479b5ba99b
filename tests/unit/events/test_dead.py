"""A buried record can be dug out as it was."""

from datetime import UTC, datetime

from shoal.events.codec import decode, encode
from shoal.events.dead import RecordBuried
from shoal.events.topics import DEAD


def test_a_buried_record_keeps_its_bytes_and_its_place_in_the_order() -> None:
    buried = RecordBuried(
        id="dead-health-shoal.device.v1-3-17",
        time=datetime(2026, 11, 1, tzinfo=UTC),
        group="health",
        source="shoal.device.v1",
        partition=3,
        offset=17,
        source_key="dev-1",
        reason="not an event",
        value=b"\xff\x00 not JSON",
    )

    again = decode(DEAD, encode(buried))

    assert again == buried
    assert again.key == "dev-1"
