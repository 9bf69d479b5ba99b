"""What is known at one moment: nothing that is older than the question."""

from datetime import timedelta

from shoal.campaigns.artifact import ArtifactKind
from shoal.campaigns.desk import Desk, fresh, observes, polls
from shoal.campaigns.facts import Said
from shoal.campaigns.update import Ask, Purpose, Trigger, UpdateState
from tests.unit.campaigns.way import IDLE, NEW, NOW, OLD, SECOND, downloading


def test_a_word_counts_from_the_moment_on_that_it_was_asked_for() -> None:
    said = Said(2, NOW)

    assert (fresh(said, NOW), fresh(said, NOW + SECOND), fresh(None, NOW)) == (2, None, None)


def test_the_state_and_the_version_are_those_of_the_kind() -> None:
    way = downloading().says(IDLE, 0, OLD)
    desk = Desk(way.update, way.facts, way.now)
    firmware = downloading(ArtifactKind.FIRMWARE).says(version=NEW)

    assert desk.state_since(way.now) == IDLE
    assert desk.state_since(way.now + timedelta(seconds=1)) is None
    assert desk.version is not None
    assert desk.version.value == OLD
    assert firmware.version_said() == NEW


def test_an_end_comes_with_its_reason() -> None:
    way = downloading()

    step = Desk(way.update, way.facts, way.now).ends(Trigger.FAIL, "no room")

    assert (step.update.state, step.update.reason, step.actions) == (UpdateState.FAILED, "no room", ())


def test_a_device_is_asked_one_thing_at_a_time() -> None:
    way = downloading()
    asked = polls(way.update)
    way.answers(Purpose.POLL_STATE, code="2.05")

    assert asked == ()
    assert [ask.path for ask in polls(way.update) if isinstance(ask, Ask)] == ["/5/0/3", "/5/0/5", "/5/0/7"]
    assert [ask.path for ask in observes() if isinstance(ask, Ask)] == ["/5/0/3", "/5/0/5"]
