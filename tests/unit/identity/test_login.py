"""Waits that grow, and end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import Forbidden, Rejected
from shoal.identity.login import (
    ACCOUNT,
    ACCOUNT_HERE,
    NETWORK,
    Patience,
    TooManyAttempts,
    Unauthenticated,
    network_of,
)

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)


def waits(patience: Patience, failures: int) -> float:
    return (patience.until(failures, NOW) - NOW).total_seconds()


def test_some_are_free_then_each_wait_is_twice_the_one_before() -> None:
    assert [waits(ACCOUNT_HERE, failures) for failures in range(3, 13)] == [
        0, 0, 15, 30, 60, 120, 240, 480, 900, 900,
    ]  # fmt: skip


@given(st.integers(0, 10**9), st.sampled_from([ACCOUNT, ACCOUNT_HERE, NETWORK]))
def test_no_wait_is_longer_than_the_longest_or_shorter_than_the_one_before(failures: int, patience: Patience) -> None:
    assert waits(patience, failures) <= waits(patience, failures + 1) <= patience.longest.total_seconds()


def test_many_networks_that_guess_keep_an_owner_waiting_for_a_minute_at_most() -> None:
    assert waits(ACCOUNT, 10**6) == 60


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
        ("x" * 1_000, "x" * 45),
    ],
)
def test_guesses_from_one_network_are_counted_together(address: str, network: str) -> None:
    assert network_of(address) == network


def test_the_refusal_says_how_long_to_wait_in_whole_seconds() -> None:
    assert TooManyAttempts(timedelta(seconds=59.2)).facts["retry_after_s"] == 60
    assert TooManyAttempts(timedelta(milliseconds=3)).facts["retry_after_s"] == 1
    assert isinstance(TooManyAttempts(timedelta()), Forbidden)
    assert TooManyAttempts(timedelta()).kind == "too-many-attempts"
    assert Unauthenticated("login", "wrong").kind == "unauthenticated"
    assert issubclass(Unauthenticated, Rejected)
