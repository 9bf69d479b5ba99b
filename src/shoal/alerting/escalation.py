"""When who has to be told of an alert that nobody has taken: a pure function of the alert, its policy and the time.

The time frames are those of people: they run on the wall clock, never on the watermark of devices.
"""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import msgspec

from shoal.alerting.policy import Policy
from shoal.events.alert import EVERYBODY
from shoal.events.severity import Severity

# Where the time to take an alert is over before the last step, a round lasts this much longer than that.
LAST_STEP_LASTS: Final = timedelta(minutes=5)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One point of a policy at which people are told, `after` so long. `step` is None when all is lost: everybody is."""

    after: timedelta
    round: int
    step: int | None
    contacts: list[str]
    channels: list[str]
    at_once: bool


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    """How far an alert has come in its policy, which is kept as it was when the alert opened.

    `calls` of the schedule were made since `started_at`. `level` counts how often somebody took it in vain.
    """

    policy: Policy
    started_at: datetime
    calls: int = 0
    level: int = 0
    next_step_at: datetime | None = None
    ack_due: datetime | None = None
    resolve_due: datetime | None = None


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What the time brings: a call to make, with the end of its step; that nobody took or resolved the alert in time."""

    escalation: Escalation
    call: Call | None = None
    until: datetime | None = None
    overdue_since: datetime | None = None
    is_withdrawn: bool = False


def schedule(policy: Policy, severity: Severity) -> list[Call]:
    """All calls for an alert that nobody takes, in order: the steps, the rounds, and at last everybody.

    What nobody has to take in time is told once, unless the policy says how often.
    """
    length = round_length(policy, severity)
    rounds = 1 if length is None else policy.repeat + 1
    calls = [
        Call(
            after=number * (length or timedelta()) + step.after,
            round=number,
            step=index,
            contacts=step.contacts,
            channels=step.channels,
            at_once=step.at_once or severity is Severity.CRITICAL,
        )
        for number in range(rounds)
        for index, step in enumerate(policy.steps)
    ]
    if length is not None and EVERYBODY not in policy.steps[-1].contacts:
        after = rounds * length
        calls.append(Call(after=after, round=rounds, step=None, contacts=[EVERYBODY], channels=[], at_once=True))
    return calls


def round_length(policy: Policy, severity: Severity) -> timedelta | None:
    """How long the steps have until they come again; None when they do not."""
    if policy.repeat_every is not None:
        return policy.repeat_every
    acknowledge = policy.frame(severity).acknowledge
    last = policy.steps[-1].after
    if acknowledge is None or acknowledge > last:
        return acknowledge
    return last + LAST_STEP_LASTS


def begun(policy: Policy, severity: Severity, now: datetime, level: int = 0) -> Escalation:
    """The escalation of an alert that needs somebody from now on. Who had it in vain before is passed over."""
    calls = schedule(policy, severity)
    first = min(level, len(policy.steps) - 1)
    return Escalation(
        policy=policy,
        # The first step that is asked has its own delay; those that are passed over take no time.
        started_at=now if level == 0 else now - calls[first].after,
        calls=first,
        level=level,
        next_step_at=now + calls[first].after if level == 0 else now,
        ack_due=_later(now, policy.frame(severity).acknowledge),
    )


def taken(escalation: Escalation, severity: Severity, now: datetime) -> Escalation:
    """Once somebody has it: nobody else is told, and the time to resolve it runs."""
    resolve_due = _later(now, escalation.policy.frame(severity).resolve)
    return msgspec.structs.replace(escalation, next_step_at=None, ack_due=None, resolve_due=resolve_due)


def ended(escalation: Escalation) -> Escalation:
    """Once it is over: nothing is due any more."""
    return msgspec.structs.replace(escalation, next_step_at=None, ack_due=None, resolve_due=None)


def turn(escalation: Escalation, severity: Severity, now: datetime) -> Turn | None:
    """What is due now, one thing at a time; None when nothing is.

    A call that comes late (Shoal was stopped) moves all that follow: everybody has the whole time of their step.
    """
    if _is_due(escalation.resolve_due, now):
        again = begun(escalation.policy, severity, now, escalation.level + 1)
        return Turn(escalation=again, is_withdrawn=True)
    if _is_due(escalation.ack_due, now):
        # Whoever is next need not wait any longer.
        hurried = None if escalation.next_step_at is None else min(escalation.next_step_at, now)
        missed = msgspec.structs.replace(escalation, ack_due=None, next_step_at=hurried)
        return Turn(escalation=missed, overdue_since=escalation.ack_due)
    if _is_due(escalation.next_step_at, now):
        calls = schedule(escalation.policy, severity)
        call = calls[min(escalation.calls, len(calls) - 1)]
        made = msgspec.structs.replace(escalation, calls=escalation.calls + 1, started_at=now - call.after)
        following = next_step_at(made, severity)
        return Turn(escalation=msgspec.structs.replace(made, next_step_at=following), call=call, until=following)
    return None


def ahead(escalation: Escalation, severity: Severity) -> list[tuple[datetime, Call]]:
    """The calls that follow if nobody takes it, with their times. None when nobody is waited for."""
    if escalation.next_step_at is None:
        return []
    calls = schedule(escalation.policy, severity)[escalation.calls :]
    if not calls:
        return []
    begin = escalation.next_step_at - calls[0].after
    times = [begin + call.after for call in calls]
    if escalation.ack_due is not None:
        times = _hurried(times, escalation.ack_due)
    return list(zip(times, calls, strict=True))


def next_step_at(escalation: Escalation, severity: Severity) -> datetime | None:
    """When the call after those that were made is due; None when all were."""
    calls = schedule(escalation.policy, severity)
    if escalation.calls >= len(calls):
        return None
    return escalation.started_at + calls[escalation.calls].after


def _hurried(times: list[datetime], ack_due: datetime) -> list[datetime]:
    """The first time after the time to take it has passed comes at that moment, and the rest follows it."""
    for index, (before, at) in enumerate(pairwise([datetime.min.replace(tzinfo=ack_due.tzinfo), *times])):
        if before < ack_due < at:
            return times[:index] + [later - (at - ack_due) for later in times[index:]]
    return times


def _is_due(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now


def _later(now: datetime, by: timedelta | None) -> datetime | None:
    return None if by is None else now + by
