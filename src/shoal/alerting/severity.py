"""What a severity means for people: what becomes an alert, what is worth another message."""

from collections.abc import Iterable

from shoal.events.severity import Severity, worst


def opens_an_alert(severity: Severity) -> bool:
    """Whether somebody should act. What is only informational is seen on the device's page."""
    return severity.is_at_least(Severity.WARNING)


def is_told_again(was: Severity, now: Severity) -> bool:
    """Whether a change is told to people: one that rises is, one that falls is not."""
    return now.is_worse_than(was)


def of_alert(severities: Iterable[Severity], otherwise: Severity) -> Severity:
    """The severity of an alert: the worst of its open episodes."""
    return worst(list(severities)) or otherwise
