"""Short ids of servers, as people write them."""

import pytest

from shoal.errors import Rejected
from shoal.lwm2m.short_id import SHORT_ID_MAX, parse_short_id


def test_it_is_a_number_of_16_bit_that_stands_for_one_server() -> None:
    assert [parse_short_id(raw) for raw in ("1", " 102 ", "65534")] == [1, 102, SHORT_ID_MAX]


@pytest.mark.parametrize("wrong", ["", "0", "65535", "-1", "+1", "1.0", "1e3", "0x65", "*", "enc-1", "९", "9" * 5_000])
def test_everything_else_is_refused(wrong: str) -> None:
    with pytest.raises(Rejected):
        parse_short_id(wrong)
