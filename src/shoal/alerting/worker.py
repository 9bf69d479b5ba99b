"""Reads what health concluded and keeps the alerts: opened, joined, left, resolved."""

from collections.abc import Sequence
from typing import Final

from shoal import tracing
from shoal.alerting import store
from shoal.alerting.alert import Alert, AlertState, opened, with_problem, without_problem
from shoal.alerting.fingerprint import fingerprint
from shoal.alerting.severity import is_told_again, opens_an_alert
from shoal.alerting.store import EpisodeRow
from shoal.alerting.telling import changed_events, opened_events, resolved_events
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

    async def handle(self, tx: Transaction, batch: Batch) -> None:
        """Follows each condition with its alert. Conditions are few: one after the other."""
        for _, event in batch.events:
            with tracing.span("alert", kind="consumer", parent=event.trace):
                match event:
                    case ConditionOpened() | ConditionChanged():
                        await _holds(tx, event)
                    case ConditionClosed():
                        await _is_over(tx, event)


async def _holds(tx: Transaction, event: ConditionOpened | ConditionChanged) -> None:
    """A condition opened or has news. What we were told before, by an earlier delivery of the event, is no news."""
    known = await store.episode(tx, event.episode)
    number = _number(event)
    if known is not None and (known.is_closed or number <= known.changes):
        return
    alert = await store.by_id(tx, known.alert) if known is not None and known.alert else None
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
    kept = await _open(tx, mark, event) if alert is None else await _join(tx, alert, event)
    await store.save_episode(tx, event.episode, EpisodeRow(alert=kept.id, is_closed=False, changes=number))


async def _open(tx: Transaction, mark: str, event: ConditionOpened | ConditionChanged) -> Alert:
    name, code = await store.name(tx, event.tenant, mark, event.id)
    alert = opened(event, alert=name, code=code, fingerprint=mark)
    return await store.save(tx, *opened_events(alert, event.time))


async def _join(tx: Transaction, alert: Alert, event: ConditionOpened | ConditionChanged) -> Alert:
    changed, is_worse = with_problem(alert, event)
    return await store.save(tx, *changed_events(changed, event.id, event.time, is_worse=is_worse))


async def _is_over(tx: Transaction, event: ConditionClosed) -> None:
    """A condition is over. One we never heard of is remembered, so that its opening, if it comes late, opens nothing."""
    known = await store.episode(tx, event.episode)
    if known is not None and known.is_closed:
        return
    changes = known.changes if known else 0
    name = known.alert if known else None
    await store.save_episode(tx, event.episode, EpisodeRow(alert=name, is_closed=True, changes=changes))
    alert = await store.by_id(tx, name) if name else None
    if alert is None or alert.state is AlertState.RESOLVED or event.episode not in alert.problems:
        return
    left = without_problem(alert, event.episode, event.time, event.reason)
    if left.state is AlertState.RESOLVED:
        await store.save(tx, *resolved_events(left, event.time))
    elif (left.condition, left.severity, left.verdict) != (alert.condition, alert.severity, alert.verdict):
        await store.save(tx, *changed_events(left, event.id, event.time, is_worse=False))
    else:
        await store.save(tx, left, [])


def _number(event: ConditionOpened | ConditionChanged) -> int:
    """Which news of its episode this is: 0 is the opening."""
    return event.number if isinstance(event, ConditionChanged) else 0
