"""What a device shows of its servers and their rights, whatever it says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.sharing.found import Control, Shape, controls_of, own_short_id, shape_of, short_ids_of
from shoal.sharing.rights import BOOTSTRAP, Target
from tests.harness.shared_device import Listed, SharedDevice


def body(**values: Any) -> bytes:
    return json.dumps(
        {"content": [{"path": f"/{at.replace('_', '/')}", "value": value} for at, value in values.items()]}
    ).encode()


def objects(*paths: str) -> list[tuple[str, str | None]]:
    return [(path, None) for path in paths]


def test_a_device_is_shared_when_it_shows_two_servers_and_object_2() -> None:
    shape = shape_of(objects("/1", "/1/0", "/1/5", "/2", "/2/0", "/3/0", "/0/1", "/21/0"))

    assert shape == Shape((0, 5), (Target(1, 0), Target(1, 5), Target(3, 0)))
    assert shape_of(objects("/1/0", "/1/1", "/3/0")) is None, "without object 2 nobody tells rights apart"
    assert shape_of(objects("/1/0", "/2/0", "/3/0")) is None, "one server has all of them"


def test_what_is_no_path_is_passed_over() -> None:
    assert shape_of(objects("", "/", "/99999/0", "x", "/1/0", "/1/1", "/2")) == Shape(
        (0, 1), (Target(1, 0), Target(1, 1))
    )


def test_lists_are_read_as_the_device_has_them() -> None:
    device = SharedDevice(controls={4: Listed(3, 0, 101, {0: 1, 102: 3}), 7: Listed(3303, BOOTSTRAP, BOOTSTRAP)})
    _, _, read = device.answer("read", "/2", None)

    assert controls_of(json.dumps(read).encode()) == (
        Control(4, Target(3, 0), 101, {0: 1, 102: 3}),
        Control(7, Target(3303, BOOTSTRAP), BOOTSTRAP, {}),
    )


def test_what_says_nothing_of_whom_or_whose_is_no_list_and_the_first_of_two_counts() -> None:
    said = body(
        **{"2_0_0": 3, "2_0_1": 0},
        **{"2_1_0": 3, "2_1_1": 0, "2_1_3": 101, "2_1_2_102": 255},
        **{"2_2_0": 3, "2_2_1": 0, "2_2_3": 102},
        **{"2_3_0": 3, "2_3_1": 0, "2_3_3": 70_000},
    )

    assert controls_of(said) == (Control(1, Target(3, 0), 101, {102: 31}),)


def test_we_are_the_only_server_that_is_shown_or_the_one_we_gave_out() -> None:
    assert own_short_id({3: 7}, 101) == 7
    assert own_short_id({0: 102, 1: 101}, 101) == 101
    assert own_short_id({0: 102, 1: 103}, 101) is None
    assert own_short_id({}, 101) is None


def test_short_ids_that_none_can_have_are_not_believed() -> None:
    said = body(**{"1_0_0": 101, "1_1_0": 0, "1_2_0": 65_535, "1_3_0": "102", "1_4_0": True, "1_5_1": 300})

    assert short_ids_of(said) == {0: 101}


@given(
    st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda it: json.dumps(it).encode())
)
def test_any_bytes_at_all_are_survived(said: bytes) -> None:
    assert controls_of(said) == ()
    assert short_ids_of(said) == {}


@pytest.mark.parametrize("value", [-1, 1.5, "3", None, [3], True])
def test_a_list_of_what_is_no_number_is_none(value: object) -> None:
    assert controls_of(body(**{"2_0_0": value, "2_0_1": 0, "2_0_3": 101})) == ()
