"""Which update may be undone, and what undoes it."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from shoal.campaigns.artifact import Artifact, ArtifactKind
from shoal.campaigns.rollback import can_roll_back, check, confirmed_before, undoing
from shoal.campaigns.update import Update, UpdateState
from shoal.errors import Conflict
from tests.unit.campaigns.way import NEW, NOW, OLD, Way

WAY_BACK = {"previous": "art-0", "previous_version": OLD}


def update(name: str = "cmp-1", state: UpdateState = UpdateState.CONFIRMED, **more: Any) -> Update:
    values = {"ran_since": NOW, "install_asked_at": NOW, **WAY_BACK, **more}
    return msgspec.structs.replace(Way().update, id=name, state=state, **values)


@pytest.mark.parametrize("state", [UpdateState.CONFIRMED, UpdateState.TRIAL, UpdateState.FAILED])
def test_what_took_effect_can_be_undone(state: UpdateState) -> None:
    undone = update(state=state)

    check(undone, [undone])
    assert can_roll_back(undone)


def test_a_device_in_doubt_can_be_sent_back() -> None:
    check(update(state=UpdateState.NEEDS_ATTENTION, ran_since=None), [])


@pytest.mark.parametrize(
    ("undone", "because"),
    [
        (update(state=UpdateState.DOWNLOADING, ran_since=None), "it goes on: stop it instead"),
        (update(state=UpdateState.INSTALLING, ran_since=None), "it goes on: stop it instead"),
        (update(state=UpdateState.FAILED, ran_since=None), "it changed nothing on the device"),
        (update(state=UpdateState.CANCELLED, ran_since=None), "it changed nothing on the device"),
        (update(state=UpdateState.ROLLED_BACK, ran_since=None), "it changed nothing on the device"),
        (update(ran_since=None, install_asked_at=None), "it changed nothing on the device"),
        (update(previous=None), "nothing that came from here was confirmed on it before"),
        (update(from_version="1.0"), "it ran 1.0 before, which did not come from here"),
    ],
)
def test_what_cannot_be_undone_is_refused_with_the_reason(undone: Update, because: str) -> None:
    with pytest.raises(Conflict) as caught:
        check(undone, [undone])

    assert caught.value.reason == because
    assert not can_roll_back(undone)


def test_only_the_last_one_that_took_effect_can_be_undone() -> None:
    undone = update("cmp-1")
    later, firmware = update("cmp-2", version="3.0"), update("cmp-3", kind=ArtifactKind.FIRMWARE)
    in_vain = update("cmp-4", state=UpdateState.FAILED, ran_since=None)

    check(undone, [in_vain, firmware, undone])
    check(undone, [update("cmp-5", state=UpdateState.NEEDS_ATTENTION, undoes="cmp-1"), undone])
    with pytest.raises(Conflict):
        check(undone, [update("cmp-5", undoes="cmp-1"), undone])
    with pytest.raises(Conflict, match=r"fish-count 3\.0 came after it") as caught:
        check(undone, [in_vain, firmware, later, undone])
    assert caught.value.facts["update"] == "cmp-2"


def test_the_way_back_is_the_last_other_artifact_that_was_confirmed() -> None:
    same = update("cmp-4", artifact="art-1")
    failed = update("cmp-3", artifact="art-3", state=UpdateState.FAILED)
    firmware = update("cmp-2", artifact="art-2", kind=ArtifactKind.FIRMWARE)
    before = update("cmp-0", artifact="art-0")

    assert confirmed_before([same, failed, firmware, before], ArtifactKind.MODEL, "art-1") == before
    assert confirmed_before([same, failed], ArtifactKind.MODEL, "art-1") is None


def test_a_roll_back_is_an_update_without_a_way_back_of_its_own() -> None:
    undone, at = update(soak_s=600), NOW + timedelta(hours=1)
    artifact = Artifact(
        id="art-0",
        tenant="ten-1",
        kind=ArtifactKind.MODEL,
        name="fish-count",
        version=OLD,
        size=7,
        sha256="ab" * 32,
        created_at=NOW,
    )

    back = undoing(undone, artifact, name="cmp-9", open_before=("silent:",), by=None, at=at)

    assert (back.id, back.undoes, back.artifact, back.version, back.path) == (
        "cmp-9",
        undone.id,
        "art-0",
        OLD,
        artifact.path,
    )
    assert (back.state, back.since, back.soak_s, back.open_before) == (UpdateState.WAITING, at, 600, ("silent:",))
    assert (back.previous, back.device, undone.version) == (None, undone.device, NEW)
