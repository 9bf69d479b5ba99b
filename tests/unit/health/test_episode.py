"""An episode: short disturbances and short recoveries are told to nobody."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.events.condition import Verdict
from shoal.events.severity import Severity
from shoal.health.episode import (
    TRANSITIONS,
    Episode,
    EpisodeState,
    Finding,
    Told,
    Trigger,
    after,
    begin,
    follow,
    remove,
)

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def finding(
    *, on: float = 30, off: float = 60, severity: Severity = Severity.HIGH, cause: str = "supply_off", onset: float = 0
) -> Finding:
    return Finding(
        condition="supply_lost",
        severity=severity,
        onset=NOON + seconds(onset),
        since=NOON + seconds(onset),
        verdict=Verdict(cause=cause, says=""),
        on_delay=seconds(on),
        off_delay=seconds(off),
    )


def told(*steps: tuple[float, Finding | None]) -> tuple[Episode, list[str]]:
    """An episode through some moments, and what others were told at each."""
    episode = begin("ten-1", "dev-1", finding())
    said = []
    for at, found in steps:
        episode, what = follow(episode, found, NOON + seconds(at))
        said.append(what.value)
    return episode, said


@pytest.mark.parametrize("state", EpisodeState)
@pytest.mark.parametrize("trigger", Trigger)
def test_every_state_answers_every_trigger_as_the_table_says(state: EpisodeState, trigger: Trigger) -> None:
    assert after(state, trigger) is TRANSITIONS.get((state, trigger), state)


def test_every_state_can_be_reached_and_only_the_ends_are_final() -> None:
    reached, found = {EpisodeState.NORMAL}, True
    while found:
        found = {end for (start, _), end in TRANSITIONS.items() if start in reached} - reached
        reached |= found

    assert reached == set(EpisodeState)
    assert {state for state in EpisodeState if not any(start is state for start, _ in TRANSITIONS)} == {
        EpisodeState.CLOSED
    }


def test_a_disturbance_that_lasts_opens_after_its_delay() -> None:
    episode, said = told((0, finding()), (29, finding()), (30, finding()), (45, finding()))

    assert said == ["nothing", "nothing", "opened", "nothing"]
    assert episode.state is EpisodeState.ACTIVE
    assert episode.is_open


def test_a_disturbance_that_passes_is_told_to_nobody() -> None:
    episode, said = told((0, finding()), (29, None))

    assert said == ["nothing", "nothing"]
    assert episode.state is EpisodeState.NORMAL


def test_a_condition_that_flaps_is_one_episode() -> None:
    flapping = [(30.0 + 20 * n, finding() if n % 2 == 0 else None) for n in range(20)]

    episode, said = told(*flapping)

    assert said.count("opened") == 1
    assert said.count("closed") == 0
    assert episode.is_open


def test_a_recovery_that_lasts_closes_after_its_delay() -> None:
    episode, said = told((30, finding()), (40, None), (99, None), (100, None))

    assert said == ["opened", "nothing", "nothing", "closed"]
    assert episode.state is EpisodeState.CLOSED
    assert not episode.is_open


def test_without_delays_it_opens_and_closes_at_once() -> None:
    episode = begin("ten-1", "dev-1", finding(on=0, off=0))

    episode, opened = follow(episode, finding(on=0, off=0), NOON)
    episode, closed = follow(episode, None, NOON + seconds(1))

    assert (opened, closed) == (Told.OPENED, Told.CLOSED)


@pytest.mark.parametrize("news", [finding(severity=Severity.WARNING), finding(cause="battery_empty")])
def test_another_severity_or_cause_is_told_once_and_counted(news: Finding) -> None:
    episode, said = told((30, finding()), (31, news), (32, news))

    assert said == ["opened", "changed", "nothing"]
    assert (episode.severity, episode.verdict.cause, episode.changes) == (news.severity, news.verdict.cause, 1)


def test_news_while_it_is_pending_are_what_it_opens_with() -> None:
    episode, said = told((0, finding()), (10, finding(cause="battery_empty")), (30, finding(cause="battery_empty")))

    assert said == ["nothing", "nothing", "opened"]
    assert (episode.verdict.cause, episode.changes) == ("battery_empty", 0)


def test_its_id_comes_from_the_onset_so_that_a_replay_makes_the_same() -> None:
    first = begin("ten-1", "dev-1", finding())

    assert begin("ten-1", "dev-1", finding(severity=Severity.WARNING, cause="other")).id == first.id
    assert begin("ten-1", "dev-1", finding(onset=0.001)).id != first.id
    assert begin("ten-1", "dev-2", finding()).id != first.id
    assert begin("ten-2", "dev-1", finding()).id != first.id


def test_a_removed_device_ends_what_was_told_and_forgets_what_was_not() -> None:
    pending, _ = told((0, finding()))
    active, _ = told((30, finding()))
    clearing, _ = told((30, finding()), (31, None))

    assert [remove(episode, NOON + seconds(40))[1].value for episode in (pending, active, clearing)] == [
        "nothing",
        "closed",
        "closed",
    ]


@given(
    holds=st.lists(st.tuples(st.integers(1, 90), st.booleans()), max_size=40),
    on=st.integers(0, 60),
    off=st.integers(0, 60),
)
def test_it_opens_before_it_closes_and_never_both_at_one_instant(
    holds: list[tuple[int, bool]], on: int, off: int
) -> None:
    episode, at = begin("ten-1", "dev-1", finding(on=on, off=off)), 0
    opened_at: int | None = None
    for step, does_hold in holds:
        at += step
        episode, what = follow(episode, finding(on=on, off=off) if does_hold else None, NOON + seconds(at))
        if what is Told.OPENED:
            assert opened_at is None
            assert at >= on
            opened_at = at
        if what is Told.CLOSED:
            assert opened_at is not None
            assert at >= opened_at + off
        assert episode.is_open == (opened_at is not None and episode.state is not EpisodeState.CLOSED)
        if episode.state in {EpisodeState.NORMAL, EpisodeState.CLOSED}:
            return
