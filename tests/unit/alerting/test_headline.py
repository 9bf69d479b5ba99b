"""One line that says what is wrong with what."""

import pytest

from shoal.alerting.headline import NAME_CHARACTERS_MAX, headline, printable


@pytest.mark.parametrize(
    ("condition", "instance", "cause", "line"),
    [
        ("late", "", "unknown", "cam-1 is late: reports are missing"),
        ("silent", "", "battery_empty", "cam-1 is silent"),
        ("deregistered", "", "deregistered", "cam-1 said goodbye and has not come back"),
        ("battery_low", "3411/0", "battery_low", "The battery of cam-1 is low"),
        ("supply_lost", "", "supply_off", "cam-1 lost its power supply"),
        ("place_mismatch", "", "place_foreign", "cam-1 says it is somewhere else"),
        ("update_failed", "", "update_failed", "The update of cam-1 failed"),
        ("update_failed", "", "update_rolled_back", "cam-1 rolled its update back"),
        ("update_failed", "", "update_needs_attention", "The update of cam-1 needs a person"),
        ("version_drift", "model", "version_drift", "cam-1 runs another version than it was updated to"),
        ("error_code", "8", "peripheral_failure", "cam-1 reports a malfunction of a peripheral"),
        ("error_code", "17", "error_17", "cam-1 reports error 17"),
        ("lens_dirty", "", "algae", "cam-1: lens dirty"),
    ],
)
def test_every_condition_has_a_line(condition: str, instance: str, cause: str, line: str) -> None:
    assert headline("cam-1", condition, instance, cause) == line


def test_a_name_may_hold_what_it_likes() -> None:
    assert headline("{name}\r\nBcc: all@farm.example", "silent", "", "") == "{name}  Bcc: all@farm.example is silent"
    assert headline("", "silent", "", "") == "A device is silent"


def test_a_long_name_is_cut_visibly() -> None:
    assert printable("x" * NAME_CHARACTERS_MAX) == "x" * NAME_CHARACTERS_MAX
    assert printable("x" * 500) == "x" * (NAME_CHARACTERS_MAX - 1) + "…"
