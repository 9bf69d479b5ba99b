"""The states of an update as a table: every pair, every end, every deadline."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from shoal.campaigns.artifact import ArtifactKind
from shoal.campaigns.update import ENDS, TRANSITIONS, Purpose, Trigger, Update, UpdateState, after, moved
from shoal.errors import Conflict

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
UPDATE = Update(
    id="cmp-1",
    tenant="ten-1",
    farm=None,
    enclosure=None,
    device="dev-1",
    endpoint="cam-1",
    artifact="art-1",
    kind=ArtifactKind.MODEL,
    name="fish-count",
    version="2.1.0",
    size=1_000,
    path="/fw/x",
    by="usr-1",
    created_at=NOW,
    since=NOW,
)


@pytest.mark.parametrize("state", UpdateState)
@pytest.mark.parametrize("trigger", Trigger)
def test_what_is_not_in_the_table_cannot_happen(state: UpdateState, trigger: Trigger) -> None:
    following = TRANSITIONS.get((state, trigger))

    if following is not None:
        assert after(state, trigger) is following
    else:
        with pytest.raises(Conflict) as caught:
            after(state, trigger)
        assert caught.value.facts["state"] == state.value


def test_an_end_leads_nowhere_and_every_other_state_leads_to_one() -> None:
    for state in UpdateState:
        leads_to = {following for (before, _), following in TRANSITIONS.items() if before is state}
        assert (not leads_to) == state.is_end
        if not state.is_end:
            assert UpdateState.FAILED in leads_to
            assert UpdateState.NEEDS_ATTENTION in leads_to


def test_success_comes_only_after_an_install_or_its_watch_or_from_a_device_that_has_it_already() -> None:
    ways = {pair for pair, following in TRANSITIONS.items() if following is UpdateState.CONFIRMED}

    assert ways == {
        (UpdateState.INSTALLING, Trigger.CONFIRM),
        (UpdateState.TRIAL, Trigger.CONFIRM),
        (UpdateState.WAITING, Trigger.ALREADY_THERE),
    }


def test_an_install_cannot_be_called_back() -> None:
    assert (UpdateState.INSTALLING, Trigger.CANCEL) not in TRANSITIONS


def test_a_move_sets_the_deadline_and_an_end_takes_everything_off_the_clock() -> None:
    waiting = msgspec.structs.replace(
        UPDATE, not_before=NOW + timedelta(hours=1), poll_at=NOW, commands={"cmd-1": Purpose.POLL}
    )
    downloading = moved(waiting, Trigger.BEGIN, NOW + timedelta(minutes=1), "", timedelta(minutes=5))
    over = moved(downloading, Trigger.FAIL, NOW + timedelta(minutes=2), "no room")

    assert (downloading.state, downloading.since) == (UpdateState.DOWNLOADING, NOW + timedelta(minutes=1))
    assert (downloading.deadline, downloading.not_before) == (NOW + timedelta(minutes=6), None)
    assert downloading.commands == {"cmd-1": Purpose.POLL}
    assert (over.state, over.reason, over.deadline, over.poll_at) == (UpdateState.FAILED, "no room", None, None)
    assert over.commands == {}
    assert over.due_at is None


def test_the_earliest_moment_is_when_time_may_move_it() -> None:
    update = msgspec.structs.replace(UPDATE, deadline=NOW + timedelta(hours=2), poll_at=NOW + timedelta(hours=1))

    assert update.due_at == NOW + timedelta(hours=1)
    assert msgspec.structs.replace(update, not_before=NOW).due_at == NOW
    assert UPDATE.due_at is None
    assert len(ENDS) == 5
