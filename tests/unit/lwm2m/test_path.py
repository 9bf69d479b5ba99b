"""Paths of LwM2M's tree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import Rejected
from shoal.lwm2m.path import Path

identifiers = st.lists(st.integers(0, 65_534), min_size=1, max_size=4)


@given(identifiers)
def test_a_path_reads_back_as_written(parts: list[int]) -> None:
    path = Path(*parts)

    assert Path.parse(str(path)) == path


def test_the_slash_in_front_may_be_left_out() -> None:
    assert Path.parse("3/0/9") == Path(3, 0, 9)


@pytest.mark.parametrize(
    "raw", ["", "/", "//3", "/3/", "/a", "/3/0/9/1/2", "/65535", "/123456", "/-1", "/3 ", "/\u0663"]
)
def test_what_is_no_path_is_refused(raw: str) -> None:
    with pytest.raises(Rejected):
        Path.parse(raw)


def test_a_path_contains_itself_and_what_lies_beneath() -> None:
    assert Path(3, 0).contains(Path(3, 0, 9))
    assert Path(3).contains(Path(3))
    assert not Path(3, 0).contains(Path(3))
    assert not Path(3).contains(Path(33, 0))
