"""Our own outages: gaps in what a partition heard, and only where heartbeats make a gap mean something."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.events.device import Heartbeat
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


def beat(at: datetime = NOON, nodes: Sequence[int] = (0,), of: Sequence[int] = (0,)) -> Heartbeat:
    return Heartbeat(id=f"hb-{at}", time=at, partition=0, nodes=list(nodes), of=list(of))


def test_a_gap_in_the_heartbeats_is_a_pause_of_ours() -> None:
    back = NOON + PAUSE_AFTER + SECOND

    after = after_record(hearing(), back)

    assert after == hearing(back, pauses=(Pause(NOON, back),))


def test_a_heartbeat_that_is_a_little_late_is_no_pause() -> None:
    assert after_record(hearing(), NOON + PAUSE_AFTER, beat()).pauses == ()


def test_without_heartbeats_a_gap_means_nothing() -> None:
    quiet = hearing(has_heartbeats=False)

    assert after_record(quiet, NOON + timedelta(hours=3)).pauses == ()
    # The first heartbeat does not make the time before it a pause.
    back = NOON + timedelta(hours=3)
    after = after_record(quiet, back, beat(back))
    assert (after.heard_at, after.has_heartbeats, after.pauses) == (back, True, ())


@pytest.mark.parametrize("at", [NOON, NOON - SECOND])
def test_a_heartbeat_in_the_same_commit_as_other_records_counts_too(at: datetime) -> None:
    after = after_record(hearing(has_heartbeats=False), at, beat(at))

    assert (after.heard_at, after.has_heartbeats, after.pauses) == (NOON, True, ())


def test_only_the_newest_pauses_are_kept() -> None:
    now = hearing()
    for _ in range(PAUSES_MAX + 3):
        assert now.heard_at is not None
        at = now.heard_at + timedelta(minutes=1)
        now = after_record(now, at, beat(at))

    assert len(now.pauses) == PAUSES_MAX
    assert now.pauses[-1].until == now.heard_at


@given(st.lists(st.timedeltas(timedelta(seconds=-30), timedelta(minutes=2)), max_size=20))
def test_hearing_never_goes_back_and_pauses_never_overlap(steps: list[timedelta]) -> None:
    now, at = PartitionHearing(), NOON
    for step in steps:
        at += step
        following = after_record(now, at, beat(at))
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


# -- several gateways -------------------------------------------------------------------------------------------------


def heard(now: PartitionHearing, seconds: float, nodes: Sequence[int], of: Sequence[int] = (0, 1)) -> PartitionHearing:
    """A heartbeat so many seconds after noon."""
    at = NOON + timedelta(seconds=seconds)
    return after_record(now, at, beat(at, nodes, of))


def both(seconds: float = 0) -> PartitionHearing:
    """Two gateways that were both heard."""
    return heard(heard(PartitionHearing(), seconds, [0]), seconds, [1])


def gaps(now: PartitionHearing) -> list[tuple[float, float]]:
    """The pauses, in seconds after noon."""
    return [((pause.since - NOON).total_seconds(), (pause.until - NOON).total_seconds()) for pause in now.pauses]


def test_a_partition_is_heard_until_then_when_the_last_of_its_gateways_was() -> None:
    now = heard(both(), 5, [1])
    assert now.heard_at == NOON

    now = heard(now, 6, [0])
    assert now.heard_at == NOON + 5 * SECOND
    assert now.pauses == ()


def test_what_the_living_one_writes_does_not_hide_that_the_other_is_away() -> None:
    now = both()
    for seconds in range(5, 3_600, 5):
        now = heard(now, seconds, [0])
        now = after_record(now, NOON + timedelta(seconds=seconds + 1))

    assert (now.heard_at, now.pauses) == (NOON, ())
    now = heard(now, 3_601, [1])
    assert now.heard_at == NOON + 3_595 * SECOND
    assert gaps(now) == [(0, 3_601)]


def test_gaps_of_two_gateways_that_overlap_are_one_pause() -> None:
    now = heard(heard(both(), 100, [0]), 102, [1])
    assert gaps(now) == [(0, 102)]
    # The first went away right after it was back, the second not at all.
    for seconds in range(105, 130, 5):
        now = heard(now, seconds, [1])
    now = heard(now, 130, [0])

    assert gaps(now) == [(0, 130)]


def test_a_gateway_that_takes_over_speaks_for_both_numbers() -> None:
    now = heard(heard(both(), 30, [0]), 60, [0, 1])
    assert (now.heard_at, gaps(now)) == (NOON + 60 * SECOND, [(0, 60)])

    now = heard(now, 65, [0, 1])
    assert (now.heard_at, gaps(now)) == (NOON + 65 * SECOND, [(0, 60)])


def test_a_number_that_retires_is_waited_for_no_more_and_its_devices_get_the_time() -> None:
    now = both()
    for seconds in range(5, 60, 5):
        now = heard(now, seconds, [0])

    now = heard(now, 60, [0], of=[0])

    assert (now.heard_at, gaps(now)) == (NOON + 60 * SECOND, [(0, 60)])
    assert now.beats.said.keys() == {0}
    # It is alone now: whatever it writes is a sign of it.
    assert after_record(now, NOON + 61 * SECOND).heard_at == NOON + 61 * SECOND


def test_a_number_that_appears_is_waited_for() -> None:
    now = heard(PartitionHearing(), 0, [0], of=[0])
    now = heard(now, 5, [0], of=[0, 7])
    assert now.heard_at == NOON

    now = heard(now, 7, [7], of=[0, 7])
    assert (now.heard_at, now.pauses) == (NOON + 5 * SECOND, ())


def test_a_number_that_never_came_is_waited_for_from_the_first_heartbeat_on() -> None:
    now = heard(heard(PartitionHearing(), 0, [0]), 120, [0])
    assert now.heard_at == NOON

    assert gaps(heard(now, 121, [1])) == [(0, 121)]


def test_what_waited_on_a_disk_is_heard_at_its_own_time() -> None:
    now = heard(both(), 600, [0])
    for seconds in range(5, 600, 5):
        beaten = beat(NOON + timedelta(seconds=seconds), [1], [0, 1])
        now = after_record(now, NOON + 601 * SECOND, beaten)

    assert (now.heard_at, now.pauses) == (NOON + 595 * SECOND, ())


def test_a_clock_that_is_fast_makes_nobody_heard_any_longer() -> None:
    fast = NOON + timedelta(hours=1)
    now = after_record(heard(PartitionHearing(), 0, [0]), NOON, beat(fast, [1], [0, 1]))

    for seconds in range(5, 60, 5):
        now = heard(now, seconds, [0])

    assert now.heard_at == NOON


def test_heartbeats_that_are_old_or_come_twice_change_nothing() -> None:
    now = heard(heard(both(), 5, [0]), 5, [1])

    again = heard(heard(heard(now, 5, [1]), 0, [0], of=[0]), 0, [1], of=[1, 9])

    assert again == now


def test_rows_of_earlier_versions_are_read() -> None:
    row = b'{"heard_at":"2026-11-01T12:00:00Z","has_heartbeats":true,"pauses":[]}'

    assert msgspec.json.decode(row, type=PartitionHearing) == hearing()


def test_what_is_stored_of_several_gateways_comes_back() -> None:
    now = heard(both(), 100, [1])

    assert msgspec.json.decode(msgspec.json.encode(now), type=PartitionHearing) == now


def test_while_one_is_away_what_the_other_says_is_written_down_now_and_then() -> None:
    now = both()

    assert not is_worth_keeping(now, heard(now, 14, [0]))
    assert is_worth_keeping(now, heard(now, 15, [0]))
    assert is_worth_keeping(now, heard(now, 5, [0], of=[0]))


def test_what_is_remembered_of_each_gateway_goes_beyond_what_is_stored() -> None:
    stored, remembered = heard(both(), 5, [0]), heard(both(), 6, [1])

    now = heard_further(stored, remembered)
    assert now.beats.said == {0: NOON + 5 * SECOND, 1: NOON + 6 * SECOND}
    assert now.heard_at == NOON
    assert heard(now, 10, [0]).heard_at == NOON + 6 * SECOND


def test_it_does_not_grow_however_many_numbers_are_named() -> None:
    now = PartitionHearing()
    for first in range(0, 65_536, 512):
        now = heard(now, first, range(first, first + 512), of=range(first, first + 512))

    assert len(now.beats.of) == len(now.beats.said) == 512


class Story(msgspec.Struct):
    """What a gateway does in a step: at most one heartbeat, for some numbers, naming some; or just a record."""

    step_s: int
    speaks: list[int]
    names: list[int]


numbers = st.lists(st.integers(0, 3), max_size=4, unique=True)
stories = st.lists(st.builds(Story, st.integers(-20, 60), numbers, numbers), max_size=40)


@given(stories)
def test_whatever_gateways_do_nobody_is_heard_before_all_are_and_no_gap_is_lost(steps: list[Story]) -> None:
    now, at = PartitionHearing(), NOON
    said: dict[int, datetime] = {}
    for step in steps:
        # The log's own clock never goes back; a heartbeat may be old.
        at += timedelta(seconds=max(step.step_s, 0))
        spoken = at + timedelta(seconds=min(step.step_s, 0))
        following = (
            after_record(now, at, beat(spoken, step.speaks, step.names or step.speaks))
            if step.speaks
            else after_record(now, at)
        )
        said |= {node: max(spoken, said.get(node, spoken)) for node in step.speaks}
        before, now = now, following
        assert now.heard_at is not None
        if before.heard_at is None:
            continue
        assert now.heard_at >= before.heard_at
        # Beyond where it was it only goes with everybody who has to be heard.
        if now.heard_at > before.heard_at and len(now.beats.of) > 1:
            assert all(now.heard_at <= said[node] for node in now.beats.of)
        # What was not heard for long is a pause from its beginning to where all were heard again.
        if before.has_heartbeats and now.heard_at - before.heard_at > PAUSE_AFTER:
            assert any(pause.since <= before.heard_at and pause.until >= now.heard_at for pause in now.pauses)

    assert all(first.until <= second.since for first, second in zip(now.pauses, now.pauses[1:], strict=False))
    assert len(now.pauses) <= PAUSES_MAX
