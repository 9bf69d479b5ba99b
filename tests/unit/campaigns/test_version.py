"""Versions are compared whole: 1.1.1 is not in 1.1.10."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.campaigns.version import is_same, parse_version


@pytest.mark.parametrize(
    ("one", "other"), [("1.2.0", "v1.2.0"), ("1.02", "1.2"), (" 2.1.0-RC1 ", "2.1.0-rc1"), ("1_2", "1.2")]
)
def test_the_same_version_may_be_written_differently(one: str, other: str) -> None:
    assert is_same(one, other)


@pytest.mark.parametrize(
    ("one", "other"), [("1.1.1", "1.1.10"), ("1.1", "1.1.0"), ("2.1.0", "2.1.0-rc1"), ("", "0"), ("v", ""), ("1", "l")]
)
def test_a_part_of_a_version_is_another_version(one: str, other: str) -> None:
    assert not is_same(one, other)
    assert not is_same(other, one)


@given(st.text(max_size=40))
def test_any_text_is_the_same_as_itself(raw: str) -> None:
    assert is_same(raw, f" {raw} ")
    assert isinstance(parse_version(raw), tuple)
