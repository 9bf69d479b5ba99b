"""A device that runs something else than we left it with is noticed, once, and so is its return."""

from typing import Any

import msgspec

from shoal.campaigns.artifact import ArtifactKind
from shoal.campaigns.drift import noticed, overtaken, settled
from shoal.campaigns.facts import DeviceFacts, Said
from shoal.campaigns.update import Update, UpdateState
from shoal.events.campaign import VersionDrifted, VersionRestored
from tests.unit.campaigns.way import MINUTE, NEW, NOW, OLD, Way


def update(state: UpdateState, **more: Any) -> Update:
    return msgspec.structs.replace(Way().update, state=state, **{"install_asked_at": NOW, **more})


def running(version: str, minutes: int = 0) -> DeviceFacts:
    return DeviceFacts(
        device="dev-1", tenant="ten-1", farm="frm-1", package_version=Said(version, NOW + minutes * MINUTE)
    )


def says(facts: DeviceFacts, version: str, minutes: int) -> DeviceFacts:
    return msgspec.structs.replace(facts, package_version=Said(version, NOW + minutes * MINUTE))


def after_update(version: str = NEW) -> DeviceFacts:
    return settled(running(version), update(UpdateState.INSTALLING), update(UpdateState.TRIAL), NOW)


def test_what_an_update_leaves_a_device_with_is_remembered() -> None:
    known = after_update().settled["model"]

    assert (known.update, known.version, known.drifted) == ("cmp-1", NEW, None)


def test_an_update_that_came_to_nothing_leaves_no_trace() -> None:
    facts, before = running(OLD), update(UpdateState.DOWNLOADING)

    for state in (UpdateState.CANCELLED, UpdateState.FAILED):
        assert settled(facts, before, update(state, install_asked_at=None), NOW) is facts
    assert settled(facts, before, update(UpdateState.DOWNLOADED), NOW) is facts
    silent = DeviceFacts(device="dev-1", tenant="ten-1")
    assert settled(silent, before, update(UpdateState.NEEDS_ATTENTION), NOW) is silent


def test_what_was_told_as_the_end_of_an_update_is_no_drift_afterwards() -> None:
    facts = settled(running("9.9"), update(UpdateState.INSTALLING), update(UpdateState.NEEDS_ATTENTION), NOW)

    assert noticed(says(facts, "9.9", 5), None)[1] == []


def test_a_device_that_went_back_by_itself_is_noticed_once() -> None:
    facts, events = noticed(says(after_update(), OLD, 60), None)
    again, silence = noticed(says(facts, OLD, 61), None)

    [event] = events
    assert isinstance(event, VersionDrifted)
    assert (event.device, event.kind, event.version, event.reported) == ("dev-1", "model", NEW, OLD)
    assert event.time == NOW + 60 * MINUTE
    assert (silence, again.settled["model"].drifted) == ([], OLD)


def test_its_return_is_noticed_too() -> None:
    facts, _ = noticed(says(after_update(), OLD, 60), None)

    facts, events = noticed(says(facts, NEW, 70), None)

    assert [type(event) for event in events] == [VersionRestored]
    assert facts.settled["model"].drifted is None


def test_nothing_is_noticed_while_an_update_runs_nor_of_old_or_empty_words() -> None:
    facts = after_update()

    assert noticed(says(facts, OLD, 60), update(UpdateState.DOWNLOADING))[1] == []
    assert noticed(says(facts, OLD, -5), None)[1] == []
    assert noticed(says(facts, "", 60), None)[1] == []
    assert noticed(running(OLD), None)[1] == [], "no update of ours ever was there"


def test_the_next_update_overtakes_a_drift() -> None:
    drifted, _ = noticed(says(after_update(), OLD, 60), None)

    facts = settled(
        says(drifted, "2.2.0", 90),
        update(UpdateState.INSTALLING),
        update(UpdateState.TRIAL, id="cmp-2"),
        NOW + 90 * MINUTE,
    )

    [event] = overtaken(drifted, facts)
    assert (event.update, event.reported) == ("cmp-1", "2.2.0")
    assert overtaken(after_update(), facts) == []
    assert facts.settled[ArtifactKind.MODEL].version == "2.2.0"
