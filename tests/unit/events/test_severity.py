"""Severities are compared by rank, never by their words."""

import pytest

from shoal.events.severity import Severity, worst


def test_the_worst_comes_first() -> None:
    assert [severity.value for severity in sorted(Severity, key=lambda one: one.rank)] == [
        "critical",
        "high",
        "warning",
        "informational",
    ]


@pytest.mark.parametrize("one", Severity)
@pytest.mark.parametrize("other", Severity)
def test_of_two_severities_exactly_one_is_worse_or_they_are_the_same(one: Severity, other: Severity) -> None:
    assert (one.is_worse_than(other), other.is_worse_than(one), one is other).count(True) == 1
    assert one.is_at_least(other) == (not other.is_worse_than(one))


def test_the_worst_of_some_is_found_and_of_none_there_is_none() -> None:
    assert worst([Severity.WARNING, Severity.CRITICAL, Severity.HIGH]) is Severity.CRITICAL
    assert worst([]) is None
