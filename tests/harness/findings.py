"""What health and alerting tell the other rooms: events in which only what a test cares about has to be said."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shoal.events.alert import NotificationDue
from shoal.events.condition import ConditionChanged, ConditionClosed, ConditionEvent, ConditionOpened, Evidence, Verdict

NOON: Final = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """A moment after noon."""
    return NOON + timedelta(seconds=seconds)


def opened(
    condition: str = "silent", severity: str = "high", *, episode: str = "ep-1", when: float = 0, **more: Any
) -> ConditionOpened:
    return ConditionOpened(id=f"{episode}-opened", **_facts(condition, severity, episode, when, more))


def changed(
    condition: str = "silent",
    severity: str = "high",
    *,
    episode: str = "ep-1",
    when: float = 1,
    number: int = 1,
    **more: Any,
) -> ConditionChanged:
    facts = _facts(condition, severity, episode, when, more)
    return ConditionChanged(id=f"{episode}-changed-{number}", number=number, **facts)


def closed(
    condition: str = "silent",
    severity: str = "high",
    *,
    episode: str = "ep-1",
    when: float = 9,
    reason: str = "recovered",
    **more: Any,
) -> ConditionClosed:
    facts = _facts(condition, severity, episode, when, more)
    return ConditionClosed(id=f"{episode}-closed", closed_at=at(when), reason=reason, **facts)


def due(
    step: int = 0, *, about: str = "opened", severity: str = "high", alert: str = "alr-1", **more: Any
) -> NotificationDue:
    """A message that is due: the step of an alert that somebody has to be told of."""
    return NotificationDue(
        id=f"{alert}-{step}-due",
        time=NOON,
        alert=alert,
        code="K7CC",
        tenant="ten-1",
        farm="frm-1",
        enclosure="enc-1",
        device="dev-1",
        condition="silent",
        severity=severity,
        headline="cam-1 is silent",
        verdict=Verdict(cause="unknown", says=""),
        opened_at=NOON,
        notification=f"ntf-{alert}-{step}",
        about=about,
        step=step,
        **more,
    )


def _facts(condition: str, severity: str, episode: str, when: float, more: dict[str, Any]) -> dict[str, Any]:
    cause = more.pop("cause", "unknown")
    verdict = Verdict(cause=cause, says=f"Because {cause}.", evidence=[Evidence(at=NOON, says="Last heard.")])
    facts: dict[str, Any] = {
        "time": at(when),
        "episode": episode,
        "tenant": "ten-1",
        "device": "dev-1",
        "endpoint": "cam-1",
        "kind": "camera",
        "farm": "frm-1",
        "enclosure": "enc-1",
        "condition": condition,
        "severity": severity,
        "since": NOON,
        "verdict": verdict,
    }
    unknown = set(more) - set(ConditionEvent.__struct_fields__)
    assert not unknown, unknown
    return facts | more
