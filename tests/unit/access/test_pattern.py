"""Which paths a policy means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.access.pattern import ALL, ITSELF, Pattern
from shoal.errors import Rejected

numbers = st.lists(st.integers(0, 65_534), min_size=1, max_size=3).map(tuple)


@given(numbers)
def test_a_pattern_is_read_as_it_is_written(said: tuple[int, ...]) -> None:
    assert Pattern.parse(str(Pattern(said))) == Pattern(said)


@given(st.text(max_size=40))
def test_any_text_is_a_pattern_or_refused(raw: str) -> None:
    try:
        parsed = Pattern.parse(raw)
    except Rejected:
        return
    assert Pattern.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("raw", "shown"),
    [("*", "*"), ("/*", "*"), ("/", "/"), ("/3", "/3/*"), ("/3/*", "/3/*"), ("3/0", "/3/0/*"), (" /3/0/9 ", "/3/0/9")],
)
def test_the_five_forms(raw: str, shown: str) -> None:
    assert str(Pattern.parse(raw)) == shown


@pytest.mark.parametrize("raw", ["", "**", "/3/*/9", "/3/0/9/*", "/3/0/11/0", "/70000", "/3//0", "/3/0/9" * 9])
def test_what_is_no_pattern_is_refused(raw: str) -> None:
    with pytest.raises(Rejected):
        Pattern.parse(raw)


def test_a_pattern_covers_what_is_inside_and_touches_what_is_around() -> None:
    battery = Pattern.parse("/3/0/9")

    assert battery.covers((3, 0, 9))
    assert battery.covers((3, 0, 9, 1))
    assert not battery.covers((3, 0))
    assert battery.touches((3, 0))
    assert battery.touches((3,))
    assert not battery.touches((3, 1))
    assert not battery.touches(None)


def test_the_thing_itself_is_in_everything_and_in_nothing_else() -> None:
    assert ALL.covers(None)
    assert ITSELF.covers(None)
    assert not ITSELF.covers((3,))
    assert not Pattern.parse("/3/*").covers(None)
