"""What the core tells, as values."""

from datetime import UTC, datetime

import msgspec
import pytest

from shoal.lwm2m import Expired, Reading, Reported
from shoal.lwm2m.server_events import event_of

AT = b'"time":"2026-11-28T06:00:00Z"'


def test_a_line_is_an_event() -> None:
    expired = event_of(b'{"type":"expired",' + AT + b',"endpoint":"oxy-0417","registration":"a1","newer":1}')
    told = event_of(b'{"type":"readings",' + AT + b',"via":"send","readings":[{"path":"/3/0/9","value":87}]}')

    time = datetime(2026, 11, 28, 6, tzinfo=UTC)
    assert expired == Expired(time=time, endpoint="oxy-0417", registration="a1")
    assert told == Reported(time=time, via="send", readings=[Reading(path="/3/0/9", value=87)])


@pytest.mark.parametrize("line", [b"{}", b'{"type":"heartbeat"}', b'{"type":"expired",' + AT + b"}"])
def test_what_is_no_event_of_a_device_is_none(line: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        event_of(line)
