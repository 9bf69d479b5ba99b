"""Five wrong passwords in a quarter of an hour, and then a wait that ends."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import Forbidden, Rejected
from shoal.identity.login import WINDOW, WRONG_MAX, TooManyAttempts, Unauthenticated, wait_until

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)


def minutes_ago(*minutes: float) -> list[datetime]:
    return [NOW - timedelta(minutes=each) for each in minutes]


def test_the_fifth_wrong_password_locks_until_the_first_is_a_quarter_of_an_hour_old() -> None:
    assert wait_until(minutes_ago(9, 7, 5, 3), NOW) is None
    assert wait_until(minutes_ago(1, 3, 5, 7, 9), NOW) == NOW + timedelta(minutes=6)


def test_what_is_long_past_counts_no_more() -> None:
    assert wait_until(minutes_ago(15, 16, 60, 2, 1, 0), NOW) is None


@given(st.lists(st.integers(0, 1_200), max_size=40))
def test_waiting_as_long_as_told_is_enough_and_a_moment_less_is_not(seconds: list[int]) -> None:
    attempts = [NOW - timedelta(seconds=each) for each in seconds]
    until = wait_until(attempts, NOW)

    if until is None:
        assert sum(moment > NOW - WINDOW for moment in attempts) < WRONG_MAX
    else:
        assert NOW < until <= NOW + WINDOW
        assert wait_until(attempts, until) is None
        assert wait_until(attempts, until - timedelta(milliseconds=1)) is not None


def test_the_refusal_says_how_long_to_wait_in_whole_seconds() -> None:
    assert TooManyAttempts(timedelta(seconds=59.2)).facts["retry_after_s"] == 60
    assert TooManyAttempts(timedelta(milliseconds=3)).facts["retry_after_s"] == 1
    assert isinstance(TooManyAttempts(WINDOW), Forbidden)
    assert TooManyAttempts(WINDOW).kind == "too-many-attempts"
    assert Unauthenticated("login", "wrong").kind == "unauthenticated"
    assert issubclass(Unauthenticated, Rejected)
