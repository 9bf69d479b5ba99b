"""Who is told of an alert: what a policy may say, and which one is for an alert."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from shoal.alerting.policy import (
    FRAMES,
    Frame,
    Policy,
    Step,
    checked,
    default_id,
    default_policy,
    route,
)
from shoal.errors import Rejected
from shoal.events.alert import EVERYBODY
from shoal.events.severity import Severity

MINUTE = timedelta(minutes=1)
KARI = Step(after=timedelta(), contacts=["con-kari"])


def policy(**more: Any) -> Policy:
    return Policy(**{"id": "pol-1", "tenant": "ten-1", "name": "Night", "steps": [KARI]} | more)


def check(wanted: Policy, reachable: tuple[str, ...] = ("con-kari",)) -> Policy:
    return checked(wanted, reachable, {"frm-1", "enc-1"})


def test_a_policy_that_makes_sense_is_kept_under_a_name_that_fits_a_line() -> None:
    wanted = policy(name="  Night \n shift ", repeat=2, repeat_every=15 * MINUTE, places=["frm-1"])

    assert check(wanted) == msgspec.structs.replace(wanted, name="Night shift")


@pytest.mark.parametrize(
    ("wrong", "subject"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"steps": [KARI] * 11}, "steps"),
        ({"steps": [KARI, KARI]}, "steps"),
        ({"steps": [Step(after=-MINUTE, contacts=["con-kari"])]}, "steps.0.after"),
        ({"steps": [Step(after=timedelta(), contacts=["con-kari"] * 21)]}, "steps.0.contacts"),
        ({"steps": [Step(after=timedelta(), contacts=["con-kari"], channels=["pigeon"])]}, "steps.0.channels"),
        ({"repeat": -1}, "repeat"),
        ({"repeat": 10}, "repeat"),
        ({"acknowledge": timedelta(seconds=59)}, "acknowledge"),
        ({"resolve": timedelta(days=31)}, "resolve"),
        ({"steps": [KARI, Step(after=9 * MINUTE, contacts=["con-kari"])], "repeat_every": 9 * MINUTE}, "repeat_every"),
        ({"places": ["frm-2"]}, "places"),
        ({"places": ["frm-1"] * 51}, "places"),
        ({"id": default_id("ten-1"), "places": ["frm-1"]}, "default"),
        ({"id": default_id("ten-1"), "severities": [Severity.HIGH]}, "default"),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_field(wrong: dict[str, Any], subject: str) -> None:
    with pytest.raises(Rejected) as caught:
        check(policy(**wrong))

    assert caught.value.subject == subject


@pytest.mark.parametrize(
    ("steps", "reachable"),
    [
        ([], ("con-kari",)),
        ([Step(after=timedelta(), contacts=[])], ("con-kari",)),
        ([KARI, Step(after=MINUTE, contacts=["con-gone"])], ("con-kari",)),
        ([Step(after=timedelta(), contacts=[EVERYBODY])], ()),
    ],
)
def test_a_policy_that_ends_in_nobody_is_refused(steps: list[Step], reachable: tuple[str, ...]) -> None:
    with pytest.raises(Rejected, match="nobody"):
        check(policy(steps=steps), reachable)


def test_the_first_policy_that_is_for_an_alert_is_its_own_and_the_default_is_for_the_rest() -> None:
    pen = policy(id="pol-pen", places=["enc-1"], severities=[Severity.CRITICAL, Severity.HIGH])
    farm = policy(id="pol-farm", places=["frm-1"])
    high = policy(id="pol-high", severities=[Severity.HIGH])
    mine = policy(id=default_id("ten-1"), name="Ours")
    ordered = [pen, farm, high, mine]

    def of(severity: Severity, *places: str | None) -> str:
        return route(ordered, "ten-1", severity, places).id

    assert of(Severity.HIGH, "enc-1", "frm-1") == "pol-pen"
    assert of(Severity.WARNING, "enc-1", "frm-1") == "pol-farm"
    assert of(Severity.HIGH, "enc-9", "frm-9") == "pol-high"
    assert of(Severity.WARNING, None, None) == mine.id
    assert route([pen], "ten-1", Severity.WARNING, (None,)) == default_policy("ten-1")


def test_there_is_a_default_that_tells_everybody_and_has_the_time_frames_of_the_severity() -> None:
    default = default_policy("ten-1")

    assert default.is_default
    assert not policy().is_default
    assert default_policy("ten-2").id != default.id
    assert [step.contacts for step in default.steps] == [[EVERYBODY]]
    assert [default.frame(severity) for severity in Severity] == list(FRAMES.values())
    assert policy(acknowledge=MINUTE).frame(Severity.HIGH) == Frame(MINUTE, timedelta(hours=8))
