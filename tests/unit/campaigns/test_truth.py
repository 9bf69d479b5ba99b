"""What is true after an install: the table of the module, row by row, and what it may never say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.campaigns.artifact import ArtifactKind
from shoal.campaigns.truth import RESULT_WORDS, result_words, truth
from shoal.campaigns.update import Trigger
from shoal.campaigns.version import is_same

OLD, NEW, THIRD = "2.0.3", "2.1.0", "1.9.9"


@pytest.mark.parametrize(
    ("version", "result", "trigger"),
    [
        (NEW, 0, Trigger.CONFIRM),
        (NEW, 1, Trigger.CONFIRM),
        (NEW, 8, Trigger.CONFIRM),
        (OLD, 1, Trigger.DOUBT),
        (OLD, 0, Trigger.FAIL),
        (OLD, 5, Trigger.ROLL_BACK),
        (OLD, 8, Trigger.ROLL_BACK),
        (OLD, 2, Trigger.FAIL),
        (THIRD, 1, Trigger.DOUBT),
        (THIRD, 0, Trigger.DOUBT),
        (THIRD, 8, Trigger.DOUBT),
        (None, 1, Trigger.DOUBT),
        (None, 8, Trigger.ROLL_BACK),
        (None, 0, Trigger.FAIL),
    ],
)
def test_the_version_decides(version: str | None, result: int, trigger: Trigger) -> None:
    verdict = truth(ArtifactKind.FIRMWARE, NEW, OLD, version, result)

    assert verdict.trigger is trigger
    assert verdict.reason


def test_a_model_may_be_held_without_being_run() -> None:
    assert truth(ArtifactKind.MODEL, NEW, OLD, NEW, 1).trigger is Trigger.CONFIRM
    assert truth(ArtifactKind.MODEL, NEW, OLD, NEW, 8).trigger is Trigger.DOUBT


def test_a_device_whose_version_was_never_known_is_compared_with_what_it_should_run() -> None:
    assert truth(ArtifactKind.FIRMWARE, NEW, None, OLD, 8).trigger is Trigger.ROLL_BACK
    assert truth(ArtifactKind.FIRMWARE, NEW, None, NEW, 0).trigger is Trigger.CONFIRM


@given(
    st.sampled_from(ArtifactKind),
    st.none() | st.sampled_from([OLD, NEW, THIRD, "2.1.0.1", "2.1"]),
    st.none() | st.sampled_from([OLD, NEW, THIRD, "2.1.0.1", "2.1"]),
    st.integers(0, 20),
)
def test_nothing_but_the_new_version_ever_confirms(
    kind: ArtifactKind, before: str | None, version: str | None, result: int
) -> None:
    verdict = truth(kind, NEW, before, version, result)

    if verdict.trigger is Trigger.CONFIRM:
        assert version is not None
        assert is_same(version, NEW)
    assert verdict.trigger in {Trigger.CONFIRM, Trigger.FAIL, Trigger.ROLL_BACK, Trigger.DOUBT}


def test_every_result_has_words() -> None:
    assert result_words(5) == RESULT_WORDS[5] == "the integrity check failed"
    assert result_words(0) == "no result"
    assert result_words(99) == "result 99"
