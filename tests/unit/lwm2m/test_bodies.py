"""Values on their way to the core and back."""

import pytest

from shoal.errors import Rejected
from shoal.lwm2m import Path
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


@pytest.mark.parametrize("path", ["/3/0/14", "/65000/0/1"])
def test_bytes_are_written_only_where_they_are_known_to_fit(path: str) -> None:
    with pytest.raises(Rejected):
        to_json(Path.parse(path), b"\x00", known_objects())
    with pytest.raises(Rejected):
        json_of(Path.parse(path), {0: b"\x00"}, known_objects())


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
