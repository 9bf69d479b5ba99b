"""What a severity means for people."""

import pytest

from shoal.alerting.severity import is_told_again, of_alert, opens_an_alert
from shoal.events.severity import Severity


@pytest.mark.parametrize("severity", Severity)
def test_all_but_the_informational_is_an_alert(severity: Severity) -> None:
    assert opens_an_alert(severity) == (severity is not Severity.INFORMATIONAL)


def test_a_rise_is_told_again_and_a_fall_is_not() -> None:
    assert is_told_again(Severity.WARNING, Severity.HIGH)
    assert not is_told_again(Severity.HIGH, Severity.WARNING)
    assert not is_told_again(Severity.HIGH, Severity.HIGH)


def test_an_alert_is_as_bad_as_its_worst_problem() -> None:
    assert of_alert([Severity.WARNING, Severity.HIGH], Severity.CRITICAL) is Severity.HIGH
    assert of_alert([], Severity.CRITICAL) is Severity.CRITICAL
