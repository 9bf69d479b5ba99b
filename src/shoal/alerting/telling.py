"""What others must know of a step in an alert's life: the events, and who has to be told."""

import hashlib
from datetime import datetime
from typing import Any

import msgspec

from shoal.alerting.alert import Alert
from shoal.alerting.escalation import Call
from shoal.events.alert import (
    AlertAcknowledged,
    AlertChanged,
    AlertEvent,
    AlertOpened,
    AlertOverdue,
    AlertResolved,
    AlertWithdrawn,
    NotificationDue,
)


def opened_event(alert: Alert, at: datetime) -> AlertEvent:
    """A new alert. Whom to tell of it, its policy says."""
    return AlertOpened(**_facts(alert, f"{alert.id}-opened", at))


def changed_event(alert: Alert, event: str, at: datetime) -> AlertEvent:
    """An alert with another severity or cause."""
    return AlertChanged(**_facts(alert, f"{alert.id}-{_short(event)}", at))


def overdue_event(alert: Alert, due_at: datetime, at: datetime) -> AlertEvent:
    """An alert that nobody took in time."""
    return AlertOverdue(**_facts(alert, f"{alert.id}-overdue-{alert.told}", at), due_at=due_at)


def withdrawn_event(alert: Alert, by: str, at: datetime) -> AlertEvent:
    """An alert that somebody took, and did not resolve in time."""
    return AlertWithdrawn(**_facts(alert, f"{alert.id}-withdrawn-{alert.told}", at), by=by)


def call_event(
    alert: Alert, call: Call, until: datetime | None, at: datetime, *, about: str, because: str
) -> tuple[Alert, AlertEvent]:
    """The people of one step have to be told."""
    return _due(
        alert,
        about,
        at,
        None,
        contacts=call.contacts,
        channels=call.channels,
        at_once=call.at_once,
        until=until,
        because=because,
    )


def acknowledged_events(alert: Alert, at: datetime) -> tuple[Alert, list[AlertEvent]]:
    """An alert that somebody took."""
    told, due = _due(alert, "acknowledged", at, alert.acknowledged_by)
    facts = _facts(alert, f"{alert.id}-acknowledged-{told.told}", at)
    until = None if alert.escalation is None else alert.escalation.resolve_due
    return told, [AlertAcknowledged(**facts, by=alert.acknowledged_by or "", note=alert.note, until=until), due]


def resolved_events(alert: Alert, at: datetime) -> tuple[Alert, list[AlertEvent]]:
    """An alert that is over, by itself or by a person."""
    told, due = _due(alert, "resolved", at, alert.resolved_by)
    facts = _facts(alert, f"{alert.id}-resolved", at)
    note = alert.reason if alert.resolved_by else ""
    return told, [AlertResolved(**facts, by=alert.resolved_by, resolved_at=alert.resolved_at or at, note=note), due]


def _due(alert: Alert, about: str, at: datetime, by: str | None, **whom: Any) -> tuple[Alert, NotificationDue]:
    """The next message. Its number makes the id, so that a replay makes the same."""
    notification = "ntf-" + _short(f"{alert.id}|{about}|{alert.told}")
    facts = _facts(alert, f"{notification}-due", at)
    due = NotificationDue(**facts, notification=notification, about=about, step=alert.told, by=by, **whom)
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
