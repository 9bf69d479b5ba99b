"""When who has to be told of an alert that nobody has taken, on a clock that the test owns."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.alerting.escalation import Escalation, Turn, ahead, begun, ended, round_length, schedule, taken, turn
from shoal.alerting.policy import Policy, Step, default_policy
from shoal.events.alert import EVERYBODY
from shoal.events.severity import Severity
from tests.harness.findings import NOON

MINUTE = timedelta(minutes=1)
HIGH, WARNING, CRITICAL = Severity.HIGH, Severity.WARNING, Severity.CRITICAL


def policy(**more: Any) -> Policy:
    """Kari at once, Ola after 5 minutes, and a round of 10."""
    steps = [Step(after=timedelta(), contacts=["kari"]), Step(after=5 * MINUTE, contacts=["ola"])]
    shared = {"id": "pol-1", "tenant": "ten-1", "name": "Night", "steps": steps, "repeat": 1}
    return Policy(**shared | {"repeat_every": 10 * MINUTE, "acknowledge": timedelta(hours=9)} | more)


def live(escalation: Escalation, until: timedelta, severity: Severity = HIGH) -> list[tuple[int, Turn]]:
    """What happens by then, with the minute of it; the clock is looked at every half minute."""
    happened = []
    now = NOON
    while now <= NOON + until:
        while (turned := turn(escalation, severity, now)) is not None:
            escalation = turned.escalation
            happened.append(((now - NOON) // MINUTE, turned))
        now += MINUTE / 2
    return happened


def calls(happened: list[tuple[int, Turn]]) -> list[tuple[int, str]]:
    return [(minute, turned.call.contacts[0]) for minute, turned in happened if turned.call is not None]


def test_the_steps_come_one_after_the_other_again_and_at_last_everybody() -> None:
    happened = live(begun(policy(), HIGH, NOON), timedelta(hours=2))

    assert calls(happened) == [(0, "kari"), (5, "ola"), (10, "kari"), (15, "ola"), (20, EVERYBODY)]
    # Each has until the next.
    untils = [turned.until for _, turned in happened if turned.call]
    assert untils == [NOON + minutes * MINUTE for minutes in (5, 10, 15, 20)] + [None]


def test_whoever_takes_it_stops_the_steps_and_has_until_it_must_be_resolved() -> None:
    told = turn(begun(policy(), HIGH, NOON), HIGH, NOON)
    assert told is not None

    held = taken(told.escalation, HIGH, NOON + MINUTE)

    assert (held.next_step_at, held.ack_due, held.resolve_due) == (None, None, NOON + MINUTE + timedelta(hours=8))
    assert turn(held, HIGH, NOON + timedelta(hours=8)) is None
    assert ahead(held, HIGH) == []


def test_what_is_not_resolved_in_time_needs_somebody_again_and_the_next_ones_first() -> None:
    held = taken(begun(policy(resolve=timedelta(hours=1)), HIGH, NOON), HIGH, NOON)
    late = NOON + timedelta(hours=1)

    withdrawn = turn(held, HIGH, late)
    assert withdrawn is not None
    called = turn(withdrawn.escalation, HIGH, late)
    assert called is not None

    assert (withdrawn.is_withdrawn, withdrawn.call) == (True, None)
    assert called.call is not None
    assert called.call.contacts == ["ola"]
    assert (called.escalation.level, called.until) == (1, late + 5 * MINUTE)
    # However often it is taken in vain, somebody is there.
    third = taken(called.escalation, HIGH, late)
    again = turn(third, HIGH, late + timedelta(hours=1))
    assert again is not None
    assert (again.escalation.level, again.escalation.next_step_at) == (2, late + timedelta(hours=1))


def test_when_nobody_takes_it_in_time_whoever_is_next_need_not_wait() -> None:
    happened = live(begun(policy(acknowledge=2 * MINUTE), HIGH, NOON), timedelta(hours=2))

    assert calls(happened) == [(0, "kari"), (2, "ola"), (7, "kari"), (12, "ola"), (17, EVERYBODY)]
    assert [turned.overdue_since for _, turned in happened if turned.overdue_since] == [NOON + 2 * MINUTE]


def test_a_call_and_the_end_of_the_time_at_the_same_moment_are_one_call() -> None:
    happened = live(begun(policy(acknowledge=5 * MINUTE), HIGH, NOON), timedelta(minutes=9))

    assert calls(happened) == [(0, "kari"), (5, "ola")]


def test_who_is_told_late_has_the_whole_time_all_the_same() -> None:
    escalation = begun(policy(), HIGH, NOON)
    back = NOON + timedelta(hours=3)

    first = turn(escalation, HIGH, back)
    assert first is not None

    assert first.until == back + 5 * MINUTE
    assert turn(first.escalation, HIGH, back + 4 * MINUTE) is None


def test_the_severity_decides_where_the_policy_says_nothing() -> None:
    default = default_policy("ten-1")

    assert [round_length(default, severity) for severity in (CRITICAL, HIGH, WARNING)] == [
        5 * MINUTE,
        15 * MINUTE,
        None,
    ]
    assert [call.after / MINUTE for call in schedule(default, CRITICAL)] == [0, 5, 10]
    assert [call.after / MINUTE for call in schedule(default, WARNING)] == [0]
    assert {call.at_once for call in schedule(default, CRITICAL)} == {True}
    assert {call.at_once for call in schedule(default, HIGH)} == {False}


def test_a_round_lasts_longer_than_its_last_step() -> None:
    wanted = policy(repeat_every=None, acknowledge=3 * MINUTE)

    assert round_length(wanted, HIGH) == 10 * MINUTE


def test_nothing_is_due_once_it_is_over() -> None:
    over = ended(begun(policy(), HIGH, NOON))

    assert turn(over, HIGH, NOON + timedelta(days=99)) is None


def test_a_first_step_may_wait() -> None:
    later = policy(steps=[Step(after=3 * MINUTE, contacts=["kari"])])

    assert calls(live(begun(later, WARNING, NOON), timedelta(minutes=9), WARNING)) == [(3, "kari")]


@pytest.mark.parametrize("acknowledge", [2, 5, 7, 60])
def test_what_is_foretold_is_what_happens(acknowledge: int) -> None:
    escalation = begun(policy(acknowledge=acknowledge * MINUTE), HIGH, NOON)

    foretold = [((at - NOON) // MINUTE, call.contacts[0]) for at, call in ahead(escalation, HIGH)]

    assert foretold == calls(live(escalation, timedelta(hours=3)))


@given(
    afters=st.lists(st.integers(0, 90), min_size=1, max_size=5, unique=True).map(sorted),
    repeat=st.integers(0, 3),
    acknowledge=st.integers(1, 60),
    looks=st.lists(st.integers(0, 60), max_size=60),
    severity=st.sampled_from(Severity),
)
def test_an_alert_that_nobody_takes_reaches_everybody_and_then_rests(
    afters: list[int], repeat: int, acknowledge: int, looks: list[int], severity: Severity
) -> None:
    """However seldom somebody looks at the clock: no step is left out, none comes twice, and it ends."""
    steps = [Step(after=after * MINUTE, contacts=[f"con-{after}"]) for after in afters]
    wanted = policy(steps=steps, repeat=repeat, repeat_every=None, acknowledge=acknowledge * MINUTE)
    escalation = begun(wanted, severity, NOON)
    made: list[Any] = []
    now: datetime = NOON
    for look in [*looks, *[2_000] * 50]:
        now += look * MINUTE
        while (turned := turn(escalation, severity, now)) is not None:
            escalation = turned.escalation
            if turned.call is not None:
                made.append(turned.call)
    assert made == schedule(wanted, severity)
    assert made[-1].contacts == [EVERYBODY]
    assert (escalation.next_step_at, escalation.ack_due, escalation.resolve_due) == (None, None, None)
