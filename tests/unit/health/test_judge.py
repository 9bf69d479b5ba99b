"""The fold: events and the time in, conditions and the status out; a replay tells nothing."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shoal.events.condition import (
    AnyConditionEvent,
    ConditionChanged,
    ConditionClosed,
    ConditionEvent,
    ConditionOpened,
    StatusChanged,
)
from shoal.health.intake import HealthInput
from shoal.health.judge import on_event, on_timer
from shoal.health.record import HealthRecord
from shoal.health.silence import Pause
from shoal.health.status import Status
from tests.harness.voices import Voice

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


class Device:
    """One device as the worker folds it; keeps what was told."""

    def __init__(self) -> None:
        self.voice = Voice()
        self.record: HealthRecord | None = None
        self.told: list[AnyConditionEvent] = []
        self.hear(self.voice.profiled(at(-1), report_every_s=5, grace_s=15))
        self.hear(self.voice.registered(NOON, lifetime_s=30))
        self.told.clear()

    def hear(self, *events: HealthInput, pauses: Sequence[Pause] = ()) -> None:
        for event in events:
            judgement = on_event(self.record, event, pauses)
            self.record = judgement.record
            self.told.extend(judgement.events)

    def wait(self, until: float, pauses: Sequence[Pause] = ()) -> None:
        """Fires the timers as the worker does: as long as one is due at this watermark."""
        for _ in range(10):
            if self.record is None or self.record.due_at is None or self.record.due_at > at(until):
                return
            judgement = on_timer(self.record, at(until), pauses)
            self.record = judgement.record
            self.told.extend(judgement.events)
        raise AssertionError("a timer is due again and again")

    @property
    def conditions(self) -> list[str]:
        """ "opened late", "closed silent", ..., in the order told."""
        kinds = {ConditionOpened: "opened", ConditionChanged: "changed", ConditionClosed: "closed"}
        return [f"{kinds[type(one)]} {one.condition}" for one in self.told if isinstance(one, ConditionEvent)]

    @property
    def statuses(self) -> list[str]:
        return [one.status for one in self.told if isinstance(one, StatusChanged)]


def test_a_device_that_falls_silent_and_returns_is_told_step_by_step() -> None:
    device = Device()
    assert device.record is not None
    assert device.record.due_at == at(15)

    device.wait(14.9)
    assert device.conditions == []
    device.wait(15)
    device.wait(45)
    device.hear(device.voice.registered(at(60), lifetime_s=30, is_again=True))

    assert device.conditions == ["opened late", "opened silent", "closed late", "closed silent"]
    assert device.statuses == ["degraded", "silent", "healthy"]
    reasons = [one.reason for one in device.told if isinstance(one, ConditionClosed)]
    assert reasons == ["became silent", "recovered"]
    assert device.record.status is Status.HEALTHY
    assert device.record.due_at == at(75)


def test_what_opened_is_told_with_the_moment_of_the_watermark_and_since_when_it_is_so() -> None:
    device = Device()

    device.wait(50)

    silent = next(one for one in device.told if isinstance(one, ConditionOpened) and one.condition == "silent")
    assert (silent.time, silent.since) == (at(50), NOON)
    assert (silent.farm, silent.enclosure, silent.endpoint, silent.kind) == ("frm-1", "enc-1", "cam-1", "camera")
    assert silent.id == f"{silent.episode}-opened"


def test_a_watermark_that_goes_back_changes_nothing() -> None:
    device = Device()
    device.wait(50)
    before = device.record
    assert before is not None

    judgement = on_timer(before, at(10))

    assert judgement.events == ()
    assert judgement.record == before


def test_an_event_that_came_late_from_elsewhere_does_not_move_the_time_of_judgement() -> None:
    device = Device()

    # Ten minutes later somebody changes the profile, and ingestion is not that far yet.
    device.hear(device.voice.profiled(at(600), report_every_s=5, grace_s=15))

    assert device.conditions == []
    assert device.record is not None
    assert device.record.judged_at == NOON


def test_supply_that_flickers_is_one_episode() -> None:
    device = Device()
    off, on = {"/3/0/11/0": 2}, {}
    for second in range(1, 40, 2):
        device.hear(device.voice.reported(at(second), off if second % 4 == 1 else on, path="/3/0/11"))
        device.wait(second + 1)
    device.hear(*(device.voice.reported(at(second), on, path="/3/0/11") for second in range(40, 60, 4)))
    device.wait(60)

    # Off for two seconds is less than the on-delay, on again comes before the off-delay: never told.
    assert [told for told in device.conditions if "supply" in told] == []

    device.hear(*(device.voice.reported(at(second), off, path="/3/0/11") for second in (61, 64, 67)))
    device.hear(device.voice.reported(at(68), on, path="/3/0/11"), device.voice.reported(at(70), off, path="/3/0/11"))
    device.hear(*(device.voice.reported(at(second), on, path="/3/0/11") for second in (71, 74, 77)))
    assert [told for told in device.conditions if "supply" in told] == ["opened supply_lost", "closed supply_lost"]


def test_a_cause_that_becomes_known_changes_the_open_condition() -> None:
    device = Device()
    device.wait(50)
    device.told.clear()

    device.hear(device.voice.intruded(at(55), count=3))

    [changed, status] = device.told
    assert isinstance(changed, ConditionChanged)
    assert (changed.condition, changed.verdict.cause, changed.number) == ("silent", "handshake_refused", 1)
    assert changed.id == f"{changed.episode}-changed-1"
    assert isinstance(status, StatusChanged)
    assert (status.status, status.was, status.cause) == ("silent", "silent", "handshake_refused")


def test_a_removed_device_closes_what_was_open() -> None:
    device = Device()
    device.wait(50)
    device.told.clear()

    device.hear(device.voice.removed(at(60)))

    assert device.record is None
    [closed] = device.told
    assert isinstance(closed, ConditionClosed)
    assert (closed.condition, closed.reason) == ("silent", "removed")


def test_a_goodbye_is_missed_only_after_a_while_and_a_return_before_it_is_told_to_nobody() -> None:
    device = Device()
    device.hear(device.voice.deregistered(at(5)))
    device.wait(29)
    device.hear(device.voice.registered(at(29.5), lifetime_s=30, is_again=True))
    assert device.told == []

    device.hear(device.voice.deregistered(at(31)))
    device.wait(56)
    device.wait(600)

    assert device.conditions == ["opened deregistered"]


def test_a_profile_changed_to_and_fro_opens_a_new_episode_each_time() -> None:
    device = Device()
    patient, strict = {"report_every_s": 300.0, "grace_s": 300.0}, {"report_every_s": 5.0, "grace_s": 15.0}
    device.wait(20)

    device.hear(device.voice.profiled(at(21), **patient))
    device.hear(device.voice.profiled(at(22), **strict))

    assert device.conditions == ["opened late", "closed late", "opened late"]
    opened = [one.episode for one in device.told if isinstance(one, ConditionOpened)]
    assert len(set(opened)) == 2


def test_an_outage_of_ours_opens_and_closes_nothing() -> None:
    device = Device()
    outage = [Pause(at(10), at(610))]

    device.hear(device.voice.placed(at(611), "agreed"), pauses=outage)
    device.wait(629, outage)

    assert device.told == []


MOVES = st.lists(
    st.tuples(
        st.sampled_from(
            ["report", "low", "charge", "supply", "code", "register", "goodbye", "intrude", "mismatch", "agree", "wait"]
        ),
        st.integers(1, 40),
    ),
    max_size=25,
)


def event_of(voice: Voice, move: str, moment: datetime) -> HealthInput:
    """What a move makes the device, or somebody about it, say."""
    makers: dict[str, Callable[[], HealthInput]] = {
        "report": lambda: voice.reported(moment, {"/3/0/9": 60}, path="/3/0"),
        "low": lambda: voice.reported(moment, {"/3/0/9": 9}),
        "charge": lambda: voice.reported(moment, {"/3/0/20": 1}),
        "supply": lambda: voice.reported(moment, {"/3/0/11/0": 2}, path="/3/0/11"),
        "code": lambda: voice.reported(moment, {"/3/0/11/0": 8}, path="/3/0/11"),
        "register": lambda: voice.registered(moment, lifetime_s=30, is_again=True),
        "goodbye": lambda: voice.deregistered(moment),
        "intrude": lambda: voice.intruded(moment),
        "mismatch": lambda: voice.placed(moment, "mismatch", "enc-2"),
        "agree": lambda: voice.placed(moment, "agreed"),
    }
    return makers[move]()


def lived(moves: list[tuple[str, int]]) -> tuple[Device, list[HealthInput], float]:
    """A device through some moves; the events, and how late it is then."""
    device, events, now = Device(), [], 0.0
    for move, step in moves:
        now += step
        # The watermark is never beyond what is still to come.
        device.wait(now - 0.001)
        if move != "wait":
            events.append(event_of(device.voice, move, at(now)))
            device.hear(events[-1])
    return device, events, now


@given(MOVES)
def test_all_that_was_said_once_more_tells_nothing(moves: list[tuple[str, int]]) -> None:
    device, events, _ = lived(moves)
    before = device.record
    device.told.clear()

    device.hear(*events)

    assert device.told == []
    assert device.record == before


@given(MOVES)
def test_what_is_told_of_a_condition_alternates_and_every_event_has_its_own_id(moves: list[tuple[str, int]]) -> None:
    device, _, _ = lived(moves)

    ids = [event.id for event in device.told]
    assert len(set(ids)) == len(ids)
    by_key: dict[tuple[str, str], list[ConditionEvent]] = {}
    for event in device.told:
        if isinstance(event, ConditionEvent):
            by_key.setdefault((event.condition, event.instance), []).append(event)
    for story in by_key.values():
        assert isinstance(story[0], ConditionOpened)
        for before, after in pairwise(story):
            assert before.time <= after.time
            assert isinstance(after, ConditionOpened) == isinstance(before, ConditionClosed)
            if isinstance(after, ConditionClosed):
                assert before.episode == after.episode
                assert after.time > before.time or isinstance(before, ConditionChanged)
    statuses = [event for event in device.told if isinstance(event, StatusChanged)]
    assert all(before.status == after.was for before, after in pairwise(statuses))


@given(MOVES)
def test_a_record_folds_alike_after_the_way_to_the_database_and_back(moves: list[tuple[str, int]]) -> None:
    device, _, now = lived(moves)
    assert device.record is not None
    stored = msgspec.json.decode(msgspec.json.encode(device.record), type=HealthRecord)

    assert stored == device.record
    assert on_timer(stored, at(now + 100)) == on_timer(device.record, at(now + 100))


@given(MOVES, st.integers(1, 200))
def test_time_moves_only_forward(moves: list[tuple[str, int]], later: int) -> None:
    device, _, now = lived(moves)
    assert device.record is not None

    after = on_timer(device.record, at(now + later)).record

    assert after is not None
    assert after.judged_at >= device.record.judged_at
    assert after.due_at is None or after.due_at > after.judged_at
