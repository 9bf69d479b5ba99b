"""An alert under its policy: what opening, taking, ending and time tell others."""

from datetime import timedelta

from shoal.alerting import chase
from shoal.alerting.alert import Alert, AlertState, opened
from shoal.alerting.policy import Policy, Step
from shoal.events.alert import AlertEvent, NotificationDue
from shoal.events.severity import Severity
from tests.harness import findings
from tests.harness.findings import NOON

MINUTE = timedelta(minutes=1)
STEPS = [Step(after=timedelta(), contacts=["kari"]), Step(after=5 * MINUTE, contacts=["ola"])]
NIGHT = Policy(id="pol-1", tenant="ten-1", name="Night", steps=STEPS, places=["frm-1"])


def begun() -> tuple[Alert, list[AlertEvent]]:
    return chase.begin(opened(findings.opened(), alert="alr-1", code="K7CC", fingerprint="f"), [NIGHT], NOON)


def heard(events: list[AlertEvent]) -> list[str]:
    """What others are told: kinds of events, and of messages what they are about, why, and to whom."""
    return [
        f"{event.about} {event.because} {' '.join(event.contacts)}"
        if isinstance(event, NotificationDue)
        else str(event.__struct_config__.tag)
        for event in events
    ]


def test_an_alert_opens_under_the_policy_of_its_place_and_keeps_it() -> None:
    alert, events = begun()

    assert heard(events) == ["opened opened kari"]
    assert alert.escalation is not None
    assert alert.escalation.policy == NIGHT
    assert alert.escalation.next_step_at == NOON + 5 * MINUTE


def test_nobody_takes_it_and_the_next_one_is_told() -> None:
    alert, _ = begun()

    later, events = chase.pass_time(alert, NOON + 5 * MINUTE)

    assert heard(events) == ["opened nobody-took-it ola"]
    assert later.told == 2
    assert chase.pass_time(later, NOON + 6 * MINUTE) == (later, [])


def test_a_time_to_take_it_that_has_passed_is_told_before_the_call_that_it_brings() -> None:
    alert, _ = chase.begin(
        opened(findings.opened(severity="critical"), alert="alr-1", code="K7CC", fingerprint="f"), [NIGHT], NOON
    )

    _, events = chase.pass_time(alert, NOON + 5 * MINUTE)

    assert heard(events) == ["alert-overdue", "opened nobody-took-it ola"]


def test_what_is_taken_rests_until_it_must_be_resolved_and_is_then_withdrawn() -> None:
    alert, _ = begun()
    taken, told = chase.take(alert, "Kari", "on my way", NOON + MINUTE)
    assert heard(told) == ["alert-acknowledged", "acknowledged opened "]
    assert chase.pass_time(taken, NOON + timedelta(hours=8)) == (taken, [])

    late, events = chase.pass_time(taken, NOON + timedelta(hours=8, minutes=1))

    assert heard(events) == ["alert-withdrawn", "withdrawn not-resolved ola"]
    assert (late.state, late.acknowledged_by, late.severity) == (AlertState.OPEN, None, Severity.HIGH)


def test_what_is_over_is_never_due_again() -> None:
    alert, _ = begun()

    done, told = chase.resolve(alert, "Kari", "changed the fuse", NOON)

    assert heard(told) == ["alert-resolved", "resolved opened "]
    assert chase.pass_time(done, NOON + timedelta(days=30)) == (done, [])


def test_what_gets_worse_begins_anew_under_the_policy_for_it() -> None:
    alert, _ = begun()
    later, _ = chase.pass_time(alert, NOON + 5 * MINUTE)

    worse, events = chase.begin(later, [], NOON + 6 * MINUTE, chase.WORSE)

    assert heard(events) == ["opened worse everybody"]
    assert worse.escalation is not None
    assert worse.escalation.policy.is_default
