"""Reads what health concluded and keeps the alerts: opened, joined, left, resolved."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from shoal import tracing
from shoal.alerting import chase, store
from shoal.alerting.alert import Alert, AlertState, opened, with_problem, without_problem
from shoal.alerting.fingerprint import fingerprint
from shoal.alerting.policy_store import policies_of
from shoal.alerting.severity import is_told_again, opens_an_alert
from shoal.alerting.store import EpisodeRow
from shoal.alerting.telling import changed_event, opened_event
from shoal.clock import Clock
from shoal.events.condition import ConditionChanged, ConditionClosed, ConditionOpened
from shoal.events.severity import Severity
from shoal.events.topics import CONDITION, Topic
from shoal.storage.database import Transaction
from shoal.stream.worker import Batch


class AlertHandler:
    """The alerts worker: one handler for `stream.worker.Worker`."""

    group: Final = "alerts"
    topics: Final[Sequence[Topic]] = (CONDITION,)
    timed: Final[Sequence[Topic]] = ()

    def __init__(self, clock: Clock) -> None:
        # People live by the wall clock: how long they have is counted from when we knew, however late that was.
        self._clock = clock

    async def handle(self, tx: Transaction, batch: Batch) -> None:
        """Follows each condition with its alert. Conditions are few: one after the other."""
        for _, event in batch.events:
            with tracing.span("alert", kind="consumer", parent=event.trace):
                match event:
                    case ConditionOpened() | ConditionChanged():
                        await _holds(tx, event, self._clock.now())
                    case ConditionClosed():
                        await _is_over(tx, event)


async def _holds(tx: Transaction, event: ConditionOpened | ConditionChanged, now: datetime) -> None:
    """A condition opened or has news. What we were told before, by an earlier delivery of the event, is no news."""
    known = await store.episode(tx, event.episode)
    number = _number(event)
    if known.is_closed or number <= known.changes:
        return
    alert = await store.by_id(tx, known.alert) if known.alert else None
    if alert is not None and alert.state is AlertState.RESOLVED:
        # A person closed the matter. It comes back only when it gets worse than what that person saw.
        if not is_told_again(alert.severity, Severity(event.severity)):
            await store.save_episode(tx, event.episode, EpisodeRow(alert=alert.id, is_closed=False, changes=number))
            return
        alert = None
    mark = fingerprint(event.tenant, event.device, event.condition, event.instance)
    alert = alert or await store.by_fingerprint(tx, mark)
    if alert is None and not opens_an_alert(Severity(event.severity)):
        await store.save_episode(tx, event.episode, EpisodeRow(alert=None, is_closed=False, changes=number))
        return
    kept = await (_open(tx, mark, event, now) if alert is None else _join(tx, alert, event, now))
    await store.save_episode(tx, event.episode, EpisodeRow(alert=kept.id, is_closed=False, changes=number))


async def _open(tx: Transaction, mark: str, event: ConditionOpened | ConditionChanged, now: datetime) -> Alert:
    name, code = await store.name(tx, event.tenant, mark, event.id)
    alert = opened(event, alert=name, code=code, fingerprint=mark)
    chased, calls = chase.begin(alert, await policies_of(tx, alert.tenant), now)
    return await store.save(tx, chased, [opened_event(alert, event.time), *calls])


async def _join(tx: Transaction, alert: Alert, event: ConditionOpened | ConditionChanged, now: datetime) -> Alert:
    changed, is_worse = with_problem(alert, event)
    told = changed_event(changed, event.id, event.time)
    if not is_worse:
        return await store.save(tx, changed, [told])
    chased, calls = chase.begin(changed, await policies_of(tx, alert.tenant), now, chase.WORSE)
    return await store.save(tx, chased, [told, *calls])


async def _is_over(tx: Transaction, event: ConditionClosed) -> None:
    """A condition is over. One we never heard of is remembered, so that its opening, if it comes late, opens nothing."""
    known = await store.episode(tx, event.episode)
    if known.is_closed:
        return
    await store.save_episode(tx, event.episode, EpisodeRow(alert=known.alert, is_closed=True, changes=known.changes))
    alert = await store.by_id(tx, known.alert) if known.alert else None
    if alert is None or alert.state is AlertState.RESOLVED or event.episode not in alert.problems:
        return
    left = without_problem(alert, event.episode, event.time, event.reason)
    if left.state is AlertState.RESOLVED:
        await store.save(tx, *chase.end(left, event.time))
    elif (left.condition, left.severity, left.verdict) != (alert.condition, alert.severity, alert.verdict):
        await store.save(tx, left, [changed_event(left, event.id, event.time)])
    else:
        await store.save(tx, left, [])


def _number(event: ConditionOpened | ConditionChanged) -> int:
    """Which news of its episode this is: 0 is the opening."""
    return event.number if isinstance(event, ConditionChanged) else 0
