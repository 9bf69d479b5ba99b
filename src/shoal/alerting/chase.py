"""An alert and its escalation as one: what opening, taking, ending and time do to both, and what others are told of it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from shoal.alerting import escalation as chain
from shoal.alerting import telling
from shoal.alerting.alert import Alert, acknowledged, resolved, withdrawn
from shoal.alerting.escalation import Turn
from shoal.alerting.policy import Policy, route
from shoal.events.alert import AlertEvent

# Why the first people of a policy hear of an alert.
OPENED = "opened"
WORSE = "worse"
# Why those after them do.
NOBODY_TOOK_IT = "nobody-took-it"


def begin(
    alert: Alert, policies: Sequence[Policy], now: datetime, because: str = OPENED
) -> tuple[Alert, list[AlertEvent]]:
    """The alert under the policy that is for it, and the first call, if that is due at once."""
    policy = route(policies, alert.tenant, alert.severity, (alert.enclosure, alert.farm))
    started = msgspec.structs.replace(alert, escalation=chain.begun(policy, alert.severity, now))
    return pass_time(started, now, because)


def take(alert: Alert, by: str, note: str, now: datetime) -> tuple[Alert, list[AlertEvent]]:
    """Somebody takes it. Raises Conflict."""
    taken = acknowledged(alert, by, note, now)
    if taken.escalation is not None:
        taken = msgspec.structs.replace(taken, escalation=chain.taken(taken.escalation, taken.severity, now))
    return telling.acknowledged_events(taken, now)


def resolve(alert: Alert, by: str, reason: str, now: datetime) -> tuple[Alert, list[AlertEvent]]:
    """Somebody closes the matter. Raises Conflict."""
    return end(resolved(alert, by, reason, now), now)


def end(alert: Alert, now: datetime) -> tuple[Alert, list[AlertEvent]]:
    """It is over: nothing is due any more, and who was told is told."""
    if alert.escalation is not None:
        alert = msgspec.structs.replace(alert, escalation=chain.ended(alert.escalation))
    return telling.resolved_events(alert, now)


def pass_time(alert: Alert, now: datetime, because: str = NOBODY_TOOK_IT) -> tuple[Alert, list[AlertEvent]]:
    """The alert with all that is due by now, and what that tells."""
    events: list[AlertEvent] = []
    is_withdrawn = False
    while alert.escalation is not None:
        turned = chain.turn(alert.escalation, alert.severity, now)
        if turned is None:
            break
        alert = msgspec.structs.replace(alert, escalation=turned.escalation)
        if turned.is_withdrawn:
            is_withdrawn = True
            by = alert.acknowledged_by or ""
            alert = withdrawn(alert, now)
            events.append(telling.withdrawn_event(alert, by, now))
        if turned.overdue_since is not None:
            events.append(telling.overdue_event(alert, turned.overdue_since, now))
        if turned.call is not None:
            alert, due = _called(alert, turned, now, because, is_withdrawn=is_withdrawn)
            events.append(due)
            is_withdrawn = False
    return alert, events


def _called(alert: Alert, turned: Turn, now: datetime, because: str, *, is_withdrawn: bool) -> tuple[Alert, AlertEvent]:
    assert turned.call is not None  # noqa: S101  # the caller has looked
    if is_withdrawn:
        return telling.call_event(alert, turned.call, turned.until, now, about="withdrawn", because="not-resolved")
    return telling.call_event(alert, turned.call, turned.until, now, about="opened", because=because)
