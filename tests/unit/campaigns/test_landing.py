"""Whoever runs the new version is watched, and goes back when it is not well: at once, once, and with the reason."""

from datetime import timedelta

import pytest

from shoal.campaigns.artifact import ArtifactKind
from shoal.campaigns.landing import CONDITIONS_MAX, words
from shoal.campaigns.step import Recovered, Worsened, cancelled, given_up
from shoal.campaigns.update import Purpose, Undo, UpdateState
from shoal.errors import Conflict
from tests.unit.campaigns.way import HOUR, IDLE, MINUTE, NEW, OLD, SECOND, Way, downloading, installing, returned, trial

WAY_BACK = {"previous": "art-0", "previous_version": OLD}


def undoes(way: Way) -> int:
    return sum(isinstance(action, Undo) for action in way.actions)


def sick(condition: str = "silent:", severity: str = "high") -> Worsened:
    return Worsened(condition, severity, f"nothing was heard ({severity})")


@pytest.mark.parametrize("kind", ArtifactKind)
def test_a_device_that_stays_well_is_confirmed_when_its_time_is_over(kind: ArtifactKind) -> None:
    way = trial(kind)
    began = way.update.deadline
    way.passes(29 * MINUTE)
    still = way.state

    way.passes(2 * MINUTE)

    assert began == way.update.ran_since + timedelta(minutes=30) if way.update.ran_since else None
    assert still is UpdateState.TRIAL
    assert (way.state, way.update.reason) == (UpdateState.CONFIRMED, f"it reports {NEW}, and stayed well for 30 min")
    assert undoes(way) == 0
    assert way.heard() == [], "nothing is asked of a device that is watched"


def test_how_long_it_is_watched_is_a_setting_of_the_update() -> None:
    assert trial(soak_s=7_200).passes(HOUR).state is UpdateState.TRIAL
    assert trial(soak_s=7_200).passes(2 * HOUR).update.reason.endswith("stayed well for 2 h")
    assert returned(soak_s=0).says(IDLE, 1, NEW).state is UpdateState.CONFIRMED


@pytest.mark.parametrize("severity", ["high", "critical"])
def test_a_device_that_falls_ill_while_it_is_watched_goes_back(severity: str) -> None:
    way = trial(**WAY_BACK).passes(MINUTE).happens(sick(severity=severity))

    assert way.state is UpdateState.FAILED
    assert way.update.reason == (
        f"it is not well since the install: nothing was heard ({severity}). It goes back by itself"
    )
    assert undoes(way) == 1
    assert undoes(way.happens(sick("error_code:5"))) == 1, "once"


@pytest.mark.parametrize("severity", ["warning", "informational"])
def test_a_warning_is_for_a_person_to_judge(severity: str) -> None:
    way = trial(**WAY_BACK).happens(sick(severity=severity))

    assert way.state is UpdateState.TRIAL
    assert way.happens(sick()).state is UpdateState.FAILED, "until it becomes worse"


def test_what_was_wrong_before_the_install_is_not_its_fault() -> None:
    way = downloading(**WAY_BACK, open_before=("place_mismatch:",)).happens(sick("battery_low:"))
    way.says(2, 0).passes(SECOND).answers(Purpose.INSTALL).passes(SECOND).registers().passes(SECOND).says(IDLE, 1, NEW)
    assert way.state is UpdateState.TRIAL

    way.happens(Recovered("battery_low:")).happens(sick("battery_low:")).happens(sick("place_mismatch:"))

    assert way.state is UpdateState.TRIAL


def test_what_fell_ill_during_the_install_counts_when_the_device_is_back() -> None:
    way = installing(**WAY_BACK).happens(sick("error_code:5"))
    while_away = way.state

    way.passes(20 * SECOND).registers().passes(SECOND).says(IDLE, 1, NEW)

    assert while_away is UpdateState.INSTALLING
    assert (way.state, undoes(way)) == (UpdateState.FAILED, 1)


def test_what_got_well_again_before_the_device_was_back_does_not_count() -> None:
    way = installing(**WAY_BACK).happens(sick()).happens(Recovered("silent:"))

    assert way.passes(20 * SECOND).registers().passes(SECOND).says(IDLE, 1, NEW).state is UpdateState.TRIAL


@pytest.mark.parametrize(
    ("more", "because"),
    [
        ({}, "nothing that came from here was confirmed on it before"),
        ({"previous": "art-0", "previous_version": "1.0"}, f"it ran {OLD} before, which did not come from here"),
    ],
)
def test_a_device_without_a_way_back_needs_somebody_to_look(more: dict[str, str], because: str) -> None:
    way = trial(**more).happens(sick())

    assert way.state is UpdateState.NEEDS_ATTENTION
    assert way.update.reason.endswith(f"It was not rolled back: {because}")
    assert undoes(way) == 0


def test_a_roll_back_that_is_not_well_either_needs_somebody_to_look_and_goes_nowhere() -> None:
    way = trial(undoes="cmp-0", **WAY_BACK).happens(sick())

    assert (way.state, undoes(way)) == (UpdateState.NEEDS_ATTENTION, 0)
    assert way.update.reason == "it is not well after the roll back: nothing was heard (high)"


@pytest.mark.parametrize(("result", "version"), [(8, OLD), (2, OLD), (1, OLD)])
def test_a_roll_back_that_fails_needs_somebody_to_look(result: int, version: str) -> None:
    assert returned(undoes="cmp-0").says(IDLE, result, version).state is UpdateState.NEEDS_ATTENTION


def test_a_device_that_goes_back_by_itself_while_it_is_watched_is_seen() -> None:
    went_back = trial(**WAY_BACK).passes(MINUTE).registers("reg-3").passes(SECOND).says(version=OLD)
    strange = trial(**WAY_BACK).passes(MINUTE).says(version="9.9")

    assert (went_back.state, went_back.update.reason) == (UpdateState.ROLLED_BACK, f"it went back to {OLD} by itself")
    assert (strange.state, undoes(strange)) == (UpdateState.NEEDS_ATTENTION, 0)


def test_a_device_that_is_gone_when_its_time_is_over_is_not_well() -> None:
    way = trial(**WAY_BACK).passes(MINUTE).expires().passes(30 * MINUTE)

    assert (way.state, undoes(way)) == (UpdateState.FAILED, 1)
    assert "it is not registered any more" in way.update.reason


def test_a_person_may_end_the_watch_by_sending_the_device_back_but_not_by_stopping() -> None:
    way = trial(**WAY_BACK)

    with pytest.raises(Conflict):
        cancelled(way.update, "usr-1", way.now)
    ended = given_up(way.update, "usr-1", way.now)

    assert (ended.update.state, ended.update.reason) == (UpdateState.FAILED, "rolled back by usr-1")
    with pytest.raises(Conflict):
        given_up(downloading().update, "usr-1", way.now)


def test_an_update_remembers_only_so_many_conditions() -> None:
    before, after = downloading(), installing()
    for number in range(CONDITIONS_MAX + 10):
        before.happens(sick(f"error_code:{number}"))
        after.happens(sick(f"error_code:{number}"))

    assert len(before.update.open_before) == CONDITIONS_MAX
    assert len(after.update.worries) == CONDITIONS_MAX


@pytest.mark.parametrize(
    ("span", "says"),
    [
        (timedelta(seconds=45), "45 s"),
        (timedelta(minutes=90), "90 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=2, minutes=30), "150 min"),
    ],
)
def test_spans_are_told_as_people_say_them(span: timedelta, says: str) -> None:
    assert words(span) == says
