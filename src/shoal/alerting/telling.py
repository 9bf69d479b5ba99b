"""What others must know of a step in an alert's life: the events, and whether somebody has to be told."""

import hashlib
from datetime import datetime
from typing import Any

import msgspec

from shoal.alerting.alert import Alert
from shoal.events.alert import (
    AlertAcknowledged,
    AlertChanged,
    AlertEvent,
    AlertOpened,
    AlertResolved,
    NotificationDue,
)


def opened_events(alert: Alert, at: datetime) -> tuple[Alert, list[AlertEvent]]:
    """A new alert, and the first message of it."""
    told, due = _due(alert, "opened", at, None)
    return told, [AlertOpened(**_facts(alert, f"{alert.id}-opened", at)), due]


def changed_events(alert: Alert, event: str, at: datetime, *, is_worse: bool) -> tuple[Alert, list[AlertEvent]]:
    """An alert with another severity or cause. People hear of it again when it got worse."""
    changed = AlertChanged(**_facts(alert, f"{alert.id}-{_short(event)}", at))
    if not is_worse:
        return alert, [changed]
    told, due = _due(alert, "opened", at, None)
    return told, [changed, due]


def acknowledged_events(alert: Alert, at: datetime) -> tuple[Alert, list[AlertEvent]]:
    """An alert that somebody took."""
    told, due = _due(alert, "acknowledged", at, alert.acknowledged_by)
    facts = _facts(alert, f"{alert.id}-acknowledged-{told.told}", at)
    return told, [AlertAcknowledged(**facts, by=alert.acknowledged_by or "", note=alert.note), due]


def resolved_events(alert: Alert, at: datetime) -> tuple[Alert, list[AlertEvent]]:
    """An alert that is over, by itself or by a person."""
    told, due = _due(alert, "resolved", at, alert.resolved_by)
    facts = _facts(alert, f"{alert.id}-resolved", at)
    note = alert.reason if alert.resolved_by else ""
    return told, [AlertResolved(**facts, by=alert.resolved_by, resolved_at=alert.resolved_at or at, note=note), due]


def _due(alert: Alert, about: str, at: datetime, by: str | None) -> tuple[Alert, NotificationDue]:
    """The next message. Its number makes the id, so that a replay makes the same."""
    notification = "ntf-" + _short(f"{alert.id}|{about}|{alert.told}")
    due = NotificationDue(
        **_facts(alert, f"{notification}-due", at), notification=notification, about=about, step=alert.told, by=by
    )
    return msgspec.structs.replace(alert, told=alert.told + 1), due


def _facts(alert: Alert, event: str, at: datetime) -> dict[str, Any]:
    shared = AlertEvent(
        id=event,
        time=at,
        alert=alert.id,
        code=alert.code,
        tenant=alert.tenant,
        farm=alert.farm,
        enclosure=alert.enclosure,
        device=alert.device,
        condition=alert.condition,
        severity=alert.severity.value,
        headline=alert.headline,
        verdict=alert.verdict,
        opened_at=alert.opened_at,
    )
    return msgspec.structs.asdict(shared)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]
