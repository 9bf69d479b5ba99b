"""An alert: a problem that somebody should act on, from the first episode of it to the end of the last."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from shoal.alerting.escalation import Escalation
from shoal.alerting.headline import headline
from shoal.alerting.severity import is_told_again, of_alert
from shoal.errors import Conflict
from shoal.events.condition import ConditionChanged, ConditionOpened, Verdict
from shoal.events.severity import Severity


class AlertState(StrEnum):
    """Who has to act: somebody, the one who took it, nobody."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Trigger(StrEnum):
    """What may happen to an alert."""

    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    RECOVER = "recover"
    WORSEN = "worsen"
    WITHDRAW = "withdraw"


TRANSITIONS: Final[dict[tuple[AlertState, Trigger], AlertState]] = {
    (AlertState.OPEN, Trigger.ACKNOWLEDGE): AlertState.ACKNOWLEDGED,
    (AlertState.OPEN, Trigger.RESOLVE): AlertState.RESOLVED,
    (AlertState.OPEN, Trigger.RECOVER): AlertState.RESOLVED,
    (AlertState.OPEN, Trigger.WORSEN): AlertState.OPEN,
    (AlertState.OPEN, Trigger.WITHDRAW): AlertState.OPEN,
    # Somebody else takes it over.
    (AlertState.ACKNOWLEDGED, Trigger.ACKNOWLEDGE): AlertState.ACKNOWLEDGED,
    (AlertState.ACKNOWLEDGED, Trigger.RESOLVE): AlertState.RESOLVED,
    (AlertState.ACKNOWLEDGED, Trigger.RECOVER): AlertState.RESOLVED,
    # What was taken was less bad than this: everybody has to hear of it again.
    (AlertState.ACKNOWLEDGED, Trigger.WORSEN): AlertState.OPEN,
    # Who took it did not resolve it in time.
    (AlertState.ACKNOWLEDGED, Trigger.WITHDRAW): AlertState.OPEN,
    # The device recovered after a person had closed the matter.
    (AlertState.RESOLVED, Trigger.RECOVER): AlertState.RESOLVED,
}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One episode of an alert that is not over."""

    condition: str
    instance: str
    severity: Severity
    verdict: Verdict
    since: datetime


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """All that a person needs to see. `told` counts the messages that it gave cause for.

    `escalation` is None before anybody was told, and for the alerts of a Shoal that had no policies.
    """

    id: str
    code: str
    fingerprint: str
    tenant: str
    farm: str | None
    enclosure: str | None
    device: str
    endpoint: str
    kind: str
    condition: str
    instance: str
    severity: Severity
    headline: str
    verdict: Verdict
    state: AlertState = AlertState.OPEN
    since: datetime
    opened_at: datetime
    changed_at: datetime
    problems: dict[str, Problem] = {}
    told: int = 0
    escalation: Escalation | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    note: str = ""
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    reason: str = ""


def after(state: AlertState, trigger: Trigger) -> AlertState:
    """The state after a trigger.

    Raises:
        Conflict: a resolved alert cannot be acknowledged, resolved by a person, or get worse.
    """
    following = TRANSITIONS.get((state, trigger))
    if following is None:
        raise Conflict("alert", f"it is {state.value} already", state=state.value)
    return following


def opened(event: ConditionOpened | ConditionChanged, *, alert: str, code: str, fingerprint: str) -> Alert:
    """The alert that an episode opens."""
    severity = Severity(event.severity)
    return Alert(
        id=alert,
        code=code,
        fingerprint=fingerprint,
        tenant=event.tenant,
        farm=event.farm,
        enclosure=event.enclosure,
        device=event.device,
        endpoint=event.endpoint,
        kind=event.kind,
        condition=event.condition,
        instance=event.instance,
        severity=severity,
        headline=headline(event.endpoint, event.condition, event.instance, event.verdict.cause),
        verdict=event.verdict,
        since=event.since,
        opened_at=event.time,
        changed_at=event.time,
        problems={event.episode: _problem(event)},
    )


def with_problem(alert: Alert, event: ConditionOpened | ConditionChanged) -> tuple[Alert, bool]:
    """The alert with one more episode, or with news of one it has; and whether it got worse, so that people are told."""
    problems = alert.problems | {event.episode: _problem(event)}
    changed = _led_by_the_worst(msgspec.structs.replace(alert, problems=problems, changed_at=event.time))
    if not is_told_again(alert.severity, changed.severity):
        return changed, False
    state = after(alert.state, Trigger.WORSEN)
    return msgspec.structs.replace(changed, state=state, acknowledged_at=None, acknowledged_by=None, note=""), True


def without_problem(alert: Alert, episode: str, at: datetime, reason: str) -> Alert:
    """The alert without an episode that is over; resolved when it was the last."""
    problems = {known: problem for known, problem in alert.problems.items() if known != episode}
    if problems:
        return _led_by_the_worst(msgspec.structs.replace(alert, problems=problems, changed_at=at))
    return msgspec.structs.replace(
        alert,
        problems={},
        state=after(alert.state, Trigger.RECOVER),
        changed_at=at,
        resolved_at=alert.resolved_at or at,
        reason=alert.reason or reason,
    )


def acknowledged(alert: Alert, by: str, note: str, at: datetime) -> Alert:
    """The alert once somebody took it.

    Raises:
        Conflict: it is resolved already.
    """
    state = after(alert.state, Trigger.ACKNOWLEDGE)
    return msgspec.structs.replace(alert, state=state, acknowledged_at=at, acknowledged_by=by, note=note, changed_at=at)


def withdrawn(alert: Alert, at: datetime) -> Alert:
    """The alert once whoever took it had it for too long.

    Raises:
        Conflict: it is resolved already.
    """
    state = after(alert.state, Trigger.WITHDRAW)
    return msgspec.structs.replace(
        alert, state=state, acknowledged_at=None, acknowledged_by=None, note="", changed_at=at
    )


def resolved(alert: Alert, by: str, reason: str, at: datetime) -> Alert:
    """The alert once somebody closed the matter, whatever the device says.

    Raises:
        Conflict: it is resolved already.
    """
    state = after(alert.state, Trigger.RESOLVE)
    return msgspec.structs.replace(
        alert, state=state, resolved_at=at, resolved_by=by, reason=reason, changed_at=at, problems={}
    )


def _problem(event: ConditionOpened | ConditionChanged) -> Problem:
    return Problem(
        condition=event.condition,
        instance=event.instance,
        severity=Severity(event.severity),
        verdict=event.verdict,
        since=event.since,
    )


def _led_by_the_worst(alert: Alert) -> Alert:
    """The alert under the name of its worst problem, of equal ones the newest."""
    problems: Collection[Problem] = alert.problems.values()
    severity = of_alert((problem.severity for problem in problems), alert.severity)
    lead = [problem for problem in problems if problem.severity is severity][-1]
    return msgspec.structs.replace(
        alert,
        condition=lead.condition,
        instance=lead.instance,
        severity=severity,
        headline=headline(alert.endpoint, lead.condition, lead.instance, lead.verdict.cause),
        verdict=lead.verdict,
        since=lead.since,
    )
