"""How a notification gets from "somebody has to be told" to told."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.events.severity import Severity
from shoal.notifications.channel import GiveUp, Sent, TryAgain
from shoal.notifications.delivery import (
    DELAY_FIRST,
    DELAY_MAX,
    KEPT_MAX,
    STEP_USUAL,
    TRANSITIONS,
    DeliveryState,
    Trigger,
    after,
    after_lost_lease,
    after_outcome,
    delay,
)

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("state", DeliveryState)
@pytest.mark.parametrize("trigger", Trigger)
def test_every_state_answers_every_trigger_as_the_table_says(state: DeliveryState, trigger: Trigger) -> None:
    assert after(state, trigger) is TRANSITIONS.get((state, trigger), state)
    if state.is_final:
        assert after(state, trigger) is state


def test_every_state_can_be_reached() -> None:
    assert {end for _, end in TRANSITIONS.items()} == set(DeliveryState)


def test_what_the_neighbour_took_is_over() -> None:
    attempted = after_outcome("ntf-1", 1, NOON, Sent("250 ok"), NOON)

    assert (attempted.state, attempted.due_at, attempted.note) == (DeliveryState.ACCEPTED, None, "250 ok")


def test_what_will_never_be_taken_failed() -> None:
    assert after_outcome("ntf-1", 1, NOON, GiveUp("550 no such user"), NOON).state is DeliveryState.FAILED


def test_what_cannot_go_now_waits() -> None:
    attempted = after_outcome("ntf-1", 1, NOON, TryAgain("away"), NOON)

    assert attempted.state is DeliveryState.WAITING
    assert attempted.due_at is not None
    assert NOON + DELAY_FIRST * 0.75 <= attempted.due_at <= NOON + DELAY_FIRST


def test_a_neighbour_that_asks_for_more_time_gets_it() -> None:
    attempted = after_outcome("ntf-1", 1, NOON, TryAgain("busy", timedelta(minutes=20)), NOON)

    assert attempted.due_at == NOON + timedelta(minutes=20)


def test_after_a_weekend_it_is_given_up() -> None:
    just_before = after_outcome("ntf-1", 900, NOON, TryAgain("away"), NOON + KEPT_MAX - timedelta(seconds=1))
    given_up = after_outcome("ntf-1", 900, NOON, TryAgain("away"), NOON + KEPT_MAX)

    assert just_before.state is DeliveryState.WAITING
    assert (given_up.state, given_up.note) == (DeliveryState.FAILED, "given up after 3 d: away")


def test_another_way_is_taken_when_the_step_is_over_and_at_once_where_an_operator_is_needed() -> None:
    until = NOON + timedelta(seconds=30)

    def asked(at: datetime, *, another: bool = True, needs_operator: bool = False) -> DeliveryState:
        outcome = TryAgain("away", needs_operator=needs_operator)
        return after_outcome("ntf-1", 1, NOON, outcome, at, has_another_way=another, until=until).state

    assert asked(NOON) is DeliveryState.WAITING
    assert asked(until - timedelta(seconds=1)) is DeliveryState.FAILED
    assert asked(until - timedelta(seconds=1), another=False) is DeliveryState.WAITING
    assert asked(NOON, needs_operator=True) is DeliveryState.FAILED
    assert asked(NOON, needs_operator=True, another=False) is DeliveryState.WAITING


def test_a_step_that_nothing_follows_does_not_keep_a_person_waiting_for_ever() -> None:
    at = NOON + STEP_USUAL

    assert after_outcome("ntf-1", 9, NOON, TryAgain("away"), at, has_another_way=True).state is DeliveryState.FAILED


@pytest.mark.parametrize(
    ("state", "severity", "following"),
    [
        (DeliveryState.LEASED, Severity.INFORMATIONAL, DeliveryState.WAITING),
        (DeliveryState.LEASED, Severity.CRITICAL, DeliveryState.WAITING),
        (DeliveryState.CALLING, Severity.CRITICAL, DeliveryState.WAITING),
        (DeliveryState.CALLING, Severity.HIGH, DeliveryState.WAITING),
        (DeliveryState.CALLING, Severity.WARNING, DeliveryState.ACCEPTED),
        (DeliveryState.CALLING, Severity.INFORMATIONAL, DeliveryState.ACCEPTED),
    ],
)
def test_who_may_have_been_told_is_told_again_only_of_what_is_grave(
    state: DeliveryState, severity: Severity, following: DeliveryState
) -> None:
    assert after_lost_lease(state, severity) is following


@given(st.text(max_size=30), st.integers(-5, 10_000))
def test_the_wait_grows_to_its_bound_and_never_beyond(notification: str, attempts: int) -> None:
    wait = delay(notification, attempts)

    assert DELAY_FIRST * 0.75 <= wait <= DELAY_MAX
    assert delay(notification, attempts) == wait
    assert delay(notification, attempts + 20) >= DELAY_MAX * 0.75
