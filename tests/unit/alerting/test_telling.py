"""What a step in an alert's life tells others; the same step makes the same ids."""

from datetime import timedelta

from shoal.alerting.alert import Alert, acknowledged, opened, resolved
from shoal.alerting.escalation import Call
from shoal.alerting.telling import (
    acknowledged_events,
    call_event,
    changed_event,
    opened_event,
    overdue_event,
    resolved_events,
    withdrawn_event,
)
from shoal.events.alert import AlertAcknowledged, AlertOverdue, AlertResolved, AlertWithdrawn, NotificationDue
from tests.harness import findings
from tests.harness.findings import at

CALL = Call(after=timedelta(), round=0, step=0, contacts=["con-1"], channels=["webhook"], at_once=True)


def new() -> Alert:
    return opened(findings.opened(), alert="alr-1", code="K7CC", fingerprint="f")


def test_a_call_says_whom_to_tell_how_and_until_when() -> None:
    alert, due = call_event(new(), CALL, at(300), at(0), about="opened", because="worse")

    assert isinstance(due, NotificationDue)
    assert (due.about, due.step, due.headline, due.code) == ("opened", 0, "cam-1 is silent", "K7CC")
    assert (due.contacts, due.channels, due.at_once, due.until) == (["con-1"], ["webhook"], True, at(300))
    assert due.because == "worse"
    assert opened_event(alert, at(0)).key == due.key == "frm-1"
    assert alert.told == 1


def test_who_took_it_and_who_closed_it_is_told() -> None:
    taken, [told, due] = acknowledged_events(acknowledged(new(), "Kari", "on my way", at(5)), at(5))
    _, [over, last] = resolved_events(resolved(taken, "Ola", "", at(9)), at(9))

    assert isinstance(told, AlertAcknowledged)
    assert isinstance(due, NotificationDue)
    assert (told.by, told.note, due.about, due.by) == ("Kari", "on my way", "acknowledged", "Kari")
    assert isinstance(over, AlertResolved)
    assert isinstance(last, NotificationDue)
    assert (over.by, over.resolved_at, last.about, last.by, last.step) == ("Ola", at(9), "resolved", "Ola", 1)


def test_what_was_not_done_in_time_is_told() -> None:
    overdue, withdrawn = overdue_event(new(), at(5), at(6)), withdrawn_event(new(), "Kari", at(9))

    assert isinstance(overdue, AlertOverdue)
    assert isinstance(withdrawn, AlertWithdrawn)
    assert (overdue.due_at, overdue.time, withdrawn.by) == (at(5), at(6), "Kari")


def test_the_same_step_makes_the_same_ids_and_another_step_others() -> None:
    alert, once = call_event(new(), CALL, None, at(0), about="opened", because="opened")
    _, again = call_event(new(), CALL, None, at(500), about="opened", because="opened")
    _, next_one = call_event(alert, CALL, None, at(500), about="opened", because="opened")
    changed = changed_event(alert, "ep-1-changed-1", at(1))

    assert once.id == again.id
    assert len({once.id, next_one.id, changed.id, changed_event(alert, "ep-1-changed-2", at(1)).id}) == 4
