"""No digit of a whole number is lost on its way to a page."""

import pytest
from pydantic import JsonValue

from shoal.bff.screens.exact import exact


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2**53 - 1, 2**53 - 1),
        (2**53, "9007199254740992"),
        (-(2**63), "-9223372036854775808"),
        (True, True),
        (1e300, 1e300),
        ([2**64 - 1, None], ["18446744073709551615", None]),
        ({"0": {"1": 2**53}}, {"0": {"1": "9007199254740992"}}),
    ],
)
def test_what_a_browser_would_round_goes_as_text(value: JsonValue, shown: JsonValue) -> None:
    assert exact(value) == shown
    assert type(exact(value)) is type(shown)
