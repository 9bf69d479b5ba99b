"""Guessed tokens cost nothing after the first few, and hinder nobody who has a good one."""

from datetime import UTC, datetime, timedelta

import pytest

from shoal.api import guesses as module
from shoal.api.guesses import WINDOW, WRONG_MAX, Guesses
from shoal.identity.login import TooManyAttempts
from tests.unit.api.company import Company

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
HERE, THERE = "192.0.2.1", "192.0.2.2"


def wrong(guesses: Guesses, count: int, address: str = HERE) -> None:
    for number in range(count):
        guesses.was_wrong(address, b"%d" % number, NOW)


def test_many_wrong_tokens_from_one_network_have_to_wait_and_others_do_not() -> None:
    guesses = Guesses()
    wrong(guesses, WRONG_MAX - 1)
    guesses.check(HERE, b"next", NOW)
    wrong(guesses, WRONG_MAX)

    with pytest.raises(TooManyAttempts) as caught:
        guesses.check(HERE, b"next", NOW + timedelta(seconds=20))
    guesses.check(THERE, b"next", NOW)
    guesses.check(HERE, b"next", NOW + WINDOW)

    assert caught.value.retry_after == WINDOW - timedelta(seconds=20)


def test_a_script_with_an_old_token_is_no_guesser() -> None:
    guesses = Guesses()
    for _ in range(1_000):
        guesses.was_wrong(HERE, b"expired", NOW)

    guesses.check(HERE, b"expired", NOW)


def test_a_good_token_passes_where_somebody_else_guesses() -> None:
    guesses = Guesses()
    guesses.was_good(b"good")
    wrong(guesses, WRONG_MAX)

    guesses.check(HERE, b"good", NOW)
    guesses.was_wrong(HERE, b"good", NOW)  # revoked since
    with pytest.raises(TooManyAttempts):
        guesses.check(HERE, b"good", NOW)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NETWORKS_MAX", 10)
    monkeypatch.setattr(module, "GOOD_MAX", 10)
    guesses = Guesses()
    for number in range(100):
        guesses.was_good(b"%d" % number)
        wrong(guesses, 2 * WRONG_MAX, f"192.0.2.{number}")

    assert len(guesses._networks) == len(guesses._good) == 10
    assert all(len(seen.wrong) <= WRONG_MAX for seen in guesses._networks.values())


async def test_over_http_a_guesser_hears_when_to_come_back(company: Company) -> None:
    good = await company.client()
    assert (await good.get("/me")).status_code == 200
    for number in range(WRONG_MAX):
        assert (await company.bearing(f"shoal_{number}").get("/me")).status_code == 401

    refused = await company.bearing("shoal_next").get("/me")

    assert (refused.status_code, refused.json()["type"]) == (429, "too-many-attempts")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert (await good.get("/me")).status_code == 200
