"""Who is late, who is silent, and what our own outages change about it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.health.silence import (
    Expectation,
    Pause,
    expected_by,
    grace_for,
    late_at,
    silent_at,
    wakes_missed,
    wakes_until_silent,
)

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


# The profiles of docs/architecture.md.
SLEEPER = Expectation(report_every=minutes(30), lifetime=minutes(120), grace=minutes(12), queue_mode=True)
CAMERA = Expectation(report_every=minutes(1), lifetime=minutes(5), grace=timedelta(seconds=247), queue_mode=False)
FOR_EVER = Expectation(report_every=minutes(1), lifetime=timedelta(), grace=minutes(5), queue_mode=False)

expectations = st.builds(
    Expectation,
    report_every=st.timedeltas(timedelta(seconds=1), timedelta(hours=2)),
    lifetime=st.timedeltas(timedelta(seconds=1), timedelta(hours=4)) | st.just(timedelta()),
    grace=st.timedeltas(timedelta(), timedelta(minutes=30)),
    queue_mode=st.booleans(),
)
pauses = st.lists(
    st.builds(
        lambda start, length: Pause(NOON + start, NOON + start + length),
        st.timedeltas(timedelta(hours=-2), timedelta(hours=4)),
        st.timedeltas(timedelta(seconds=11), timedelta(hours=1)),
    ),
    max_size=3,
)


def test_a_battery_sensor_is_late_after_two_reports_and_silent_after_its_lifetime() -> None:
    assert late_at(SLEEPER, NOON) == NOON + minutes(72)
    assert silent_at(SLEEPER, NOON) == NOON + minutes(132)


def test_a_camera_is_late_after_three_reports_and_silent_after_its_lifetime() -> None:
    assert late_at(CAMERA, NOON) == NOON + minutes(3)
    assert silent_at(CAMERA, NOON) == NOON + timedelta(seconds=547)


def test_a_lifetime_without_end_is_never_silent_but_can_be_late() -> None:
    assert silent_at(FOR_EVER, NOON) is None
    assert late_at(FOR_EVER, NOON) == NOON + minutes(3)


def test_a_device_that_is_silent_before_three_reports_are_missing_is_never_late() -> None:
    rare = Expectation(report_every=minutes(60), lifetime=minutes(5), grace=minutes(5), queue_mode=False)

    assert late_at(rare, NOON) is None


@pytest.mark.parametrize(
    ("lifetime", "grace"),
    [
        (timedelta(seconds=30), timedelta(seconds=247)),
        (minutes(5), timedelta(seconds=247)),
        (minutes(120), minutes(12)),
    ],
)
def test_the_grace_is_the_end_of_an_exchange_or_a_tenth_of_the_lifetime(lifetime: timedelta, grace: timedelta) -> None:
    assert grace_for(lifetime) == grace


def test_the_next_sign_of_life_is_due_by_the_shorter_of_report_and_half_the_lifetime() -> None:
    often = Expectation(report_every=minutes(60), lifetime=minutes(10), grace=minutes(5), queue_mode=False)

    assert expected_by(SLEEPER, NOON) == NOON + minutes(30)
    assert expected_by(often, NOON) == NOON + minutes(5)
    assert expected_by(FOR_EVER, NOON) == NOON + minutes(1)


def test_wake_ups_are_counted_as_k_of_n() -> None:
    assert wakes_until_silent(SLEEPER) == 4
    assert [wakes_missed(SLEEPER, NOON, NOON + minutes(m)) for m in (0, 29, 30, 65, 200)] == [0, 0, 1, 2, 6]


def test_an_outage_of_ours_is_added_with_the_grace_to_find_back() -> None:
    outage = Pause(NOON + minutes(2), NOON + minutes(22))

    assert silent_at(CAMERA, NOON, [outage]) == NOON + timedelta(seconds=547) + minutes(20) + CAMERA.grace


def test_only_the_part_of_an_outage_after_the_last_word_counts() -> None:
    outage = Pause(NOON - minutes(10), NOON + minutes(1))

    assert silent_at(CAMERA, NOON, [outage]) == NOON + timedelta(seconds=547) + minutes(1) + CAMERA.grace


@pytest.mark.parametrize(
    "outage", [Pause(NOON - minutes(9), NOON - minutes(5)), Pause(NOON + minutes(60), NOON + minutes(70))]
)
def test_an_outage_before_the_last_word_or_after_the_deadline_changes_nothing(outage: Pause) -> None:
    assert silent_at(CAMERA, NOON, [outage]) == silent_at(CAMERA, NOON)


@given(expectation=expectations, pauses=pauses)
def test_late_is_always_before_silent(expectation: Expectation, pauses: list[Pause]) -> None:
    late, silent = late_at(expectation, NOON, pauses), silent_at(expectation, NOON, pauses)

    if late is not None and silent is not None:
        assert NOON < late < silent
    assert (silent is None) == (not expectation.lifetime)


@given(expectation=expectations, pauses=pauses, later=st.timedeltas(timedelta(), timedelta(hours=3)))
def test_an_outage_and_a_later_word_only_ever_give_more_time(
    expectation: Expectation, pauses: list[Pause], later: timedelta
) -> None:
    pauses = sorted(pauses, key=lambda pause: pause.since)
    plain, patient = silent_at(expectation, NOON), silent_at(expectation, NOON, pauses)
    again = silent_at(expectation, NOON + later)

    if plain is None or patient is None or again is None:
        return
    assert patient >= plain
    assert again >= plain
