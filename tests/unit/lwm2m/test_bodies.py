"""Values on their way to the core and back."""

from datetime import UTC, datetime

import pytest

from shoal.errors import Rejected
from shoal.lwm2m import Link, Path
from shoal.lwm2m.bodies import Resources, Value, Values, by_path, failures, json_of, resources, to_json, to_write
from shoal.lwm2m.objects import known_objects


@pytest.mark.parametrize(
    ("path", "value", "body"),
    [
        ("/3/0/14", "+01", {"value": "+01"}),
        ("/5/0/0", b"\x00\x01\x02", {"value": "AAEC"}),
        ("/3/0/11", {0: 5, 1: 6}, {"values": {"0": 5, "1": 6}}),
        ("/3/0", {"14": "+01", "11": {0: 5}}, {"resources": {"14": "+01", "11": {"0": 5}}}),
        ("/5/0", {0: b"\xff"}, {"resources": {"0": "/w=="}}),
    ],
)
def test_what_is_written_has_the_form_that_fits_its_path(
    path: str, value: Value | Resources, body: dict[str, object]
) -> None:
    assert to_write(Path.parse(path), value, known_objects()) == body


def test_bytes_are_not_written_where_something_else_is_defined() -> None:
    with pytest.raises(Rejected, match="opaque"):
        to_json(Path.parse("/3/0/14"), b"\x00", known_objects())
    with pytest.raises(Rejected, match="opaque"):
        json_of(Path.parse("/3/0/14"), {0: b"\x00"}, known_objects())


def test_where_nothing_is_defined_a_value_comes_with_its_type() -> None:
    values = {1: b"\x00\x01\x02", 2: Link(3303, 0), 3: datetime(2026, 1, 1, tzinfo=UTC), 4: {0: b"\xff"}, 5: 7, 6: "x"}

    assert resources(Path(49000, 0), values, known_objects()) == {
        "1": {"opaque": "AAEC"},
        "2": {"objlnk": "3303:0"},
        "3": {"time": 1_767_225_600},
        "4": {"0": {"opaque": "/w=="}},
        "5": 7,
        "6": "x",
    }


def test_a_value_of_no_type_is_rejected_with_its_path() -> None:
    with pytest.raises(Rejected, match="/3303/0/5700: nan is for reading only"):
        to_json(Path.parse("/3303/0/5700"), float("nan"), known_objects())


def test_the_largest_whole_numbers_stay_whole() -> None:
    assert resources(Path(3303, 0), {6050: 2**64 - 1, 5700: -(2**63)}, known_objects()) == {
        "6050": 2**64 - 1,
        "5700": -(2**63),
    }


def test_what_was_read_is_typed_by_the_answer() -> None:
    content = [
        {"path": "/5/0/0", "value": "AAEC", "type": "opaque"},
        {"path": "/3/0/14", "value": "AAEC", "type": "string"},
        {"path": "/3/0/13", "value": None, "type": "float"},
    ]

    assert by_path(content) == {"/5/0/0": b"\x00\x01\x02", "/3/0/14": "AAEC", "/3/0/13": None}


def test_what_could_not_be_read_says_why() -> None:
    failed = [
        {"path": "/3/0/99", "code": "4.04", "detail": ""},
        {"path": "/3/0/98", "code": "4.05", "detail": "not for you"},
        {"path": "/3/0/97", "code": None, "detail": "the device left it out"},
    ]

    found = Values({"/3/0/9": 87}, failures(failed))

    assert found == {"/3/0/9": 87}
    assert found.failed == {"/3/0/99": "4.04", "/3/0/98": "4.05 not for you", "/3/0/97": "the device left it out"}
