"""Our own outages: gaps in what a partition heard, and only where heartbeats make a gap mean something."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.health.outage import (
    KEPT_EVERY,
    PAUSE_AFTER,
    PAUSES_MAX,
    PartitionHearing,
    after_record,
    heard_further,
    is_worth_keeping,
)
from shoal.health.silence import Pause

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def hearing(at: datetime = NOON, *, has_heartbeats: bool = True, pauses: tuple[Pause, ...] = ()) -> PartitionHearing:
    return PartitionHearing(heard_at=at, has_heartbeats=has_heartbeats, pauses=pauses)


def test_a_gap_in_the_heartbeats_is_a_pause_of_ours() -> None:
    back = NOON + PAUSE_AFTER + SECOND

    after = after_record(hearing(), back, is_heartbeat=False)

    assert after == hearing(back, pauses=(Pause(NOON, back),))


def test_a_heartbeat_that_is_a_little_late_is_no_pause() -> None:
    assert after_record(hearing(), NOON + PAUSE_AFTER, is_heartbeat=True).pauses == ()


def test_without_heartbeats_a_gap_means_nothing() -> None:
    quiet = hearing(has_heartbeats=False)

    assert after_record(quiet, NOON + timedelta(hours=3), is_heartbeat=False).pauses == ()
    # The first heartbeat does not make the time before it a pause.
    assert after_record(quiet, NOON + timedelta(hours=3), is_heartbeat=True) == hearing(NOON + timedelta(hours=3))


@pytest.mark.parametrize("at", [NOON, NOON - SECOND])
def test_a_heartbeat_in_the_same_commit_as_other_records_counts_too(at: datetime) -> None:
    assert after_record(hearing(has_heartbeats=False), at, is_heartbeat=True) == hearing()


def test_only_the_newest_pauses_are_kept() -> None:
    now = hearing()
    for _ in range(PAUSES_MAX + 3):
        assert now.heard_at is not None
        now = after_record(now, now.heard_at + timedelta(minutes=1), is_heartbeat=True)

    assert len(now.pauses) == PAUSES_MAX
    assert now.pauses[-1].until == now.heard_at


@given(st.lists(st.timedeltas(timedelta(seconds=-30), timedelta(minutes=2)), max_size=20))
def test_hearing_never_goes_back_and_pauses_never_overlap(steps: list[timedelta]) -> None:
    now, at = PartitionHearing(), NOON
    for step in steps:
        at += step
        following = after_record(now, at, is_heartbeat=True)
        assert now.heard_at is None or (following.heard_at is not None and following.heard_at >= now.heard_at)
        now = following

    assert all(pause.until - pause.since > PAUSE_AFTER for pause in now.pauses)
    assert all(first.until <= second.since for first, second in zip(now.pauses, now.pauses[1:], strict=False))


def test_what_was_heard_is_written_down_now_and_then_and_pauses_at_once() -> None:
    assert not is_worth_keeping(hearing(), hearing(NOON + KEPT_EVERY - SECOND))
    assert is_worth_keeping(hearing(), hearing(NOON + KEPT_EVERY))
    assert is_worth_keeping(hearing(), hearing(pauses=(Pause(NOON - SECOND, NOON),)))
    assert is_worth_keeping(PartitionHearing(), hearing(has_heartbeats=False))
    assert not is_worth_keeping(PartitionHearing(), PartitionHearing())


def test_what_is_remembered_goes_beyond_what_is_stored_but_never_back() -> None:
    pause = Pause(NOON - timedelta(minutes=5), NOON - timedelta(minutes=1))
    stored = hearing(pauses=(pause,))

    assert heard_further(stored, None) == stored
    assert heard_further(stored, PartitionHearing()) == stored
    assert heard_further(stored, hearing(NOON - SECOND)) == stored
    assert heard_further(stored, hearing(NOON + SECOND)) == hearing(NOON + SECOND, pauses=(pause,))
