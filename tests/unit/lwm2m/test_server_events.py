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


def test_bytes_are_bytes_and_what_python_does_not_tell_has_its_kind() -> None:
    said = [
        b'{"path":"/49000/0/1","value":"AAEC","kind":"opaque"}',
        b'{"path":"/49000/0/2","value":"3303:0","kind":"objlnk","time":1764000000.5}',
        b'{"path":"/49000/0/3","value":1764000000,"kind":"time"}',
        b'{"path":"/49000/0/4","value":"AAEC"}',
    ]
    line = b'{"type":"readings",' + AT + b',"via":"send","readings":[' + b",".join(said) + b"]}"

    told = event_of(line)

    assert isinstance(told, Reported)
    assert told.readings == [
        Reading(path="/49000/0/1", value=b"\x00\x01\x02", kind="opaque"),
        Reading(path="/49000/0/2", value="3303:0", kind="objlnk", time=1764000000.5),
        Reading(path="/49000/0/3", value=1_764_000_000, kind="time"),
        Reading(path="/49000/0/4", value="AAEC"),
    ]


@pytest.mark.parametrize("line", [b"{}", b'{"type":"heartbeat"}', b'{"type":"expired",' + AT + b"}"])
def test_what_is_no_event_of_a_device_is_none(line: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        event_of(line)
