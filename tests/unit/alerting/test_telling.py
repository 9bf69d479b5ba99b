"""What a step in an alert's life tells others; the same step makes the same ids."""

from shoal.alerting.alert import Alert, acknowledged, opened, resolved
from shoal.alerting.telling import acknowledged_events, changed_events, opened_events, resolved_events
from shoal.events.alert import AlertAcknowledged, AlertChanged, AlertOpened, AlertResolved, NotificationDue
from tests.harness import findings
from tests.harness.findings import at


def new() -> Alert:
    return opened(findings.opened(), alert="alr-1", code="K7CC", fingerprint="f")


def test_an_opened_alert_is_told_with_its_first_message() -> None:
    alert, events = opened_events(new(), at(0))

    [told, due] = events
    assert isinstance(told, AlertOpened)
    assert isinstance(due, NotificationDue)
    assert (due.about, due.step, due.headline, due.code) == ("opened", 0, "cam-1 is silent", "K7CC")
    assert told.key == due.key == "frm-1"
    assert alert.told == 1


def test_only_what_got_worse_is_a_message_again() -> None:
    first, _ = opened_events(new(), at(0))

    same, quiet = changed_events(first, "ep-1-changed-1", at(1), is_worse=False)
    worse, loud = changed_events(first, "ep-1-changed-1", at(1), is_worse=True)

    assert [type(event) for event in quiet] == [AlertChanged]
    assert [type(event) for event in loud] == [AlertChanged, NotificationDue]
    assert (same.told, worse.told) == (1, 2)


def test_who_took_it_and_who_closed_it_is_told() -> None:
    taken, [told, due] = acknowledged_events(acknowledged(new(), "Kari", "on my way", at(5)), at(5))
    _, [over, last] = resolved_events(resolved(taken, "Ola", "", at(9)), at(9))

    assert isinstance(told, AlertAcknowledged)
    assert isinstance(due, NotificationDue)
    assert (told.by, told.note, due.about, due.by) == ("Kari", "on my way", "acknowledged", "Kari")
    assert isinstance(over, AlertResolved)
    assert isinstance(last, NotificationDue)
    assert (over.by, over.resolved_at, last.about, last.by, last.step) == ("Ola", at(9), "resolved", "Ola", 1)


def test_the_same_step_makes_the_same_ids_and_another_step_others() -> None:
    alert, once = opened_events(new(), at(0))
    _, again = opened_events(new(), at(500))
    _, second = acknowledged_events(acknowledged(alert, "Kari", "", at(5)), at(5))

    assert [event.id for event in once] == [event.id for event in again]
    assert not {event.id for event in once} & {event.id for event in second}
