"""Short codes: the same whenever asked again, nobody else's, and readable aloud."""

import pytest

from shoal.alerting.code import ALPHABET, CHARACTERS, TRIES_MAX, short_code
from shoal.errors import Unavailable


class Everything:
    """A set that holds all codes, and counts who asks."""

    asked = 0

    def __contains__(self, _code: object) -> bool:
        self.asked += 1
        return True


def test_a_code_is_short_and_has_no_lookalikes() -> None:
    codes = {short_code(f"alr-{n}", ()) for n in range(500)}

    assert all(len(code) == CHARACTERS and set(code) <= set(ALPHABET) for code in codes)
    assert not set(ALPHABET) & set("B8D0OQ1IL2Z5SUAE")
    assert len(codes) > 490


def test_it_is_the_same_whenever_asked_again_and_never_one_that_is_taken() -> None:
    first = short_code("alr-1", ())
    second = short_code("alr-1", {first})

    assert short_code("alr-1", {"CCCC"}) == first
    assert second != first
    assert short_code("alr-1", {first}) == second


def test_when_all_are_taken_it_says_what_to_do() -> None:
    everything = Everything()

    with pytest.raises(Unavailable, match="Resolve alerts"):
        short_code("alr-1", everything)
    assert everything.asked == TRIES_MAX
