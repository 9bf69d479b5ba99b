"""How many may do something at a time."""

from contextlib import ExitStack

import pytest

from shoal.api.seats import Seats


def test_there_are_as_many_seats_as_were_said() -> None:
    seats = Seats(2)
    with ExitStack() as stack:
        found = [stack.enter_context(seats.one_more()) for _ in range(3)]

        assert found == [True, True, False]
        assert seats.taken == 2

    assert seats.taken == 0


def test_a_seat_is_free_again_after_whatever_happened_on_it() -> None:
    seats = Seats(1)
    with pytest.raises(RuntimeError), seats.one_more():
        raise RuntimeError

    with seats.one_more() as has_seat:
        assert has_seat


def test_nobody_takes_more_than_their_share() -> None:
    seats = Seats(3, each=2)

    with seats.one_more("a") as first, seats.one_more("a") as second, seats.one_more("a") as third:
        with seats.one_more("b") as other:
            assert (first, second, third, other) == (True, True, False, True)
        assert seats.taken == 2
    with seats.one_more("a") as again:
        assert again
