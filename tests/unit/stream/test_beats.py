"""Whom one has to hear, and up to when everybody was: whatever order heartbeats come in."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shoal.events.device import NODES_MAX, Heartbeat
from shoal.stream.beats import NOT_KNOWN_YET, Beats, spoken_at

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def beat(seconds: float, nodes: Sequence[int] = (0,), of: Sequence[int] = (0,)) -> Heartbeat:
    return Heartbeat(id=f"hb-{seconds}", time=at(seconds), partition=0, nodes=list(nodes), of=list(of))


def told(*beats: Heartbeat, known: Beats | None = None) -> Beats:
    known = Beats() if known is None else known
    for one in beats:
        known = known.after(one, LATER)
    return known


def test_the_only_gateway_is_complete_up_to_its_last_word() -> None:
    assert Beats().is_alone
    assert Beats().complete_until is None
    assert told(beat(0), beat(5)).complete_until == at(5)


def test_before_the_first_heartbeat_it_may_not_be_known_who_is_there() -> None:
    assert not NOT_KNOWN_YET.is_alone
    assert NOT_KNOWN_YET.complete_until is None
    assert told(beat(5), known=NOT_KNOWN_YET) == told(beat(5))


def test_of_several_the_one_that_was_heard_first_counts() -> None:
    one = told(beat(0, [1], [1, 2]))
    assert not one.is_alone
    assert one.complete_until is None

    assert told(beat(9, [2], [1, 2]), known=one).complete_until == at(0)


def test_a_number_that_is_not_named_any_more_is_forgotten() -> None:
    both = told(beat(0, [1], [1, 2]), beat(1, [2], [1, 2]))

    assert told(beat(2, [2], [2]), known=both) == Beats(of=(2,), at=at(2), said={2: at(2)})


def test_whoever_speaks_counts_itself() -> None:
    assert told(beat(0, [3], [1])).of == (1, 3)


def test_an_old_heartbeat_takes_nothing_back() -> None:
    known = told(beat(10, [1], [1, 2]), beat(11, [2], [1, 2]))

    assert told(beat(3, [1], [1]), beat(4, [2], [2, 5]), known=known) == known


def test_it_tells_who_was_not_heard() -> None:
    known = told(beat(0, [1], [1, 2, 3]), beat(60, [2], [1, 2, 3]))

    assert known.unheard_since(at(60)) == [1, 3]


def test_a_clock_that_is_fast_does_not_speak_for_the_future() -> None:
    assert spoken_at(beat(7_200), LATER) == LATER
    assert spoken_at(beat(60), LATER) == at(60)


def test_no_more_is_kept_than_one_heartbeat_may_name() -> None:
    known = Beats()
    for first in range(0, 65_536, NODES_MAX):
        numbers = range(first, first + NODES_MAX)
        known = told(beat(first, numbers, numbers), known=known)

    assert len(known.of) == len(known.said) == NODES_MAX


numbers = st.lists(st.integers(0, 4), min_size=1, max_size=5, unique=True)
beats = st.lists(st.builds(beat, st.integers(0, 60), numbers, numbers), max_size=12, unique_by=lambda one: one.time)


@given(beats, st.data())
def test_who_has_to_be_heard_does_not_depend_on_the_order(some: list[Heartbeat], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(some))

    assert told(*shuffled).of == told(*some).of


@given(beats, beats)
def test_what_two_know_together_is_what_one_would_know(first: list[Heartbeat], second: list[Heartbeat]) -> None:
    joined = told(*first).joined(told(*second))

    newest = max([*first, *second], key=lambda one: one.time, default=None)
    assert joined.at == (newest.time if newest else None)
    for node, until in joined.said.items():
        # Never more than anybody said.
        assert until == max(one.time for one in [*first, *second] if node in one.nodes and one.time <= until)


@given(beats)
def test_the_same_heartbeats_again_tell_nothing_new(some: list[Heartbeat]) -> None:
    known = told(*some)

    again = told(*some, known=known)

    assert again.of == known.of
    assert all(again.said[node] >= until for node, until in known.said.items())
