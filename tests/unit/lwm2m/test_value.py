"""Values on their way to the core and back."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shoal.errors import Rejected
from shoal.lwm2m import Link, Path
from shoal.lwm2m.objects import known_objects
from shoal.lwm2m.value import Scalar, decoded, encoded, encoded_at, typed


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (True, b"true"),
        (-5, b"-5"),
        (2**64 - 1, b"18446744073709551615"),
        (1.5, b"1.5"),
        ("\u00e6", b'"\\u00e6"'),
        (b"\x00\xff", b'{"opaque": "00ff"}'),
        (Link(3303, 4), b'"3303:4"'),
        (datetime(2026, 1, 1, tzinfo=UTC), b"1767225600"),
    ],
)
def test_every_value_has_its_form(value: Scalar, json: bytes) -> None:
    assert encoded(value) == json


@pytest.mark.parametrize(
    ("path", "value", "json"),
    [
        ("/49000/0/1", Link(3303, 4), b'{"objlnk": "3303:4"}'),
        ("/49000/0/1", datetime(2026, 1, 1, tzinfo=UTC), b'{"time": 1767225600}'),
        ("/49000/0/1", "3303:4", b'"3303:4"'),
        ("/49000/0/1", b"\xff", b'{"opaque": "ff"}'),
        ("/3/0/13", datetime(2026, 1, 1, tzinfo=UTC), b"1767225600"),
    ],
)
def test_what_no_definition_knows_says_its_type_to_the_core(path: str, value: Scalar, json: bytes) -> None:
    assert encoded_at(path, value, known_objects()) == json


def test_a_time_without_a_zone_is_none() -> None:
    with pytest.raises(Rejected, match="no time zone"):
        encoded(datetime(2026, 1, 1))  # noqa: DTZ001  # that is the point


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1], {"a": 1}, object()])
def test_what_lwm2m_has_no_value_for_is_rejected(value: Any) -> None:
    with pytest.raises(Rejected, match=r"for reading only|no value of LwM2M"):
        encoded(value)


def test_bytes_are_known_by_their_definition_or_by_their_form() -> None:
    assert decoded(Path.parse("/5/0/0"), "AP8=", known_objects()) == b"\x00\xff"
    assert decoded(Path.parse("/40000/0/0"), {"opaque": "00ff"}, known_objects()) == b"\x00\xff"
    assert decoded(Path.parse("/40000/0/0"), "AP8=", known_objects()) == "AP8="
    with pytest.raises(Rejected):
        decoded(Path.parse("/5/0/0"), "?", known_objects())
    with pytest.raises(Rejected):
        decoded(Path.parse("/3/0/9"), [1], known_objects())


def test_values_become_what_somebody_wants_or_are_refused() -> None:
    assert typed(1_767_225_600, datetime) == datetime(2026, 1, 1, tzinfo=UTC)
    assert typed("3303:4", Link) == Link(3303, 4)
    assert typed(3, float) == 3.0
    for value, kind in (("x", int), (True, int), (1, bool), (1.5, int), ("3303", Link), ("1:70000", Link), (None, str)):
        with pytest.raises(Rejected):
            typed(value, kind)
