"""The life of an alert, from the first episode of a problem to the end of the last."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.alerting.alert import (
    TRANSITIONS,
    Alert,
    AlertState,
    Trigger,
    acknowledged,
    after,
    opened,
    resolved,
    with_problem,
    without_problem,
)
from shoal.errors import Conflict
from shoal.events.severity import Severity
from tests.harness import findings
from tests.harness.findings import at


def new(condition: str = "late", severity: str = "warning", **more: str) -> Alert:
    return opened(findings.opened(condition, severity, **more), alert="alr-1", code="K7CC", fingerprint="f")


@pytest.mark.parametrize("state", AlertState)
@pytest.mark.parametrize("trigger", Trigger)
def test_every_state_answers_every_trigger_as_the_table_says(state: AlertState, trigger: Trigger) -> None:
    if (state, trigger) in TRANSITIONS:
        assert after(state, trigger) is TRANSITIONS[state, trigger]
        return

    with pytest.raises(Conflict, match=state.value):
        after(state, trigger)
    assert state is AlertState.RESOLVED


def test_an_alert_tells_all_that_a_person_needs() -> None:
    alert = new()

    assert (alert.state, alert.severity, alert.headline) == (
        AlertState.OPEN,
        Severity.WARNING,
        "cam-1 is late: reports are missing",
    )
    assert (alert.tenant, alert.farm, alert.enclosure, alert.device) == ("ten-1", "frm-1", "enc-1", "dev-1")
    assert list(alert.problems) == ["ep-1"]


def test_a_worse_problem_leads_and_everybody_hears_of_it() -> None:
    taken = acknowledged(new(), "Kari", "on my way", at(5))

    worse, is_told = with_problem(taken, findings.opened(episode="ep-2", when=30))

    assert is_told
    assert (worse.severity, worse.condition, worse.headline) == (Severity.HIGH, "silent", "cam-1 is silent")
    assert (worse.state, worse.acknowledged_by, worse.note) == (AlertState.OPEN, None, "")


def test_a_problem_that_is_no_worse_leaves_the_alert_with_who_took_it() -> None:
    taken = acknowledged(new("silent", "high"), "Kari", "", at(5))

    after_change, is_told = with_problem(taken, findings.changed(severity="warning"))

    assert not is_told
    assert (after_change.state, after_change.acknowledged_by) == (AlertState.ACKNOWLEDGED, "Kari")
    assert after_change.severity is Severity.WARNING


def test_when_the_worst_problem_is_over_the_next_one_leads() -> None:
    both, _ = with_problem(new(), findings.opened(episode="ep-2", when=30))

    left = without_problem(both, "ep-2", at(60), "recovered")

    assert (left.severity, left.condition, left.state) == (Severity.WARNING, "late", AlertState.OPEN)


def test_the_end_of_the_last_problem_resolves_the_alert_by_itself() -> None:
    over = without_problem(new(), "ep-1", at(60), "recovered")

    assert (over.state, over.resolved_at, over.resolved_by, over.reason) == (
        AlertState.RESOLVED,
        at(60),
        None,
        "recovered",
    )


def test_who_takes_it_later_takes_it_over() -> None:
    taken = acknowledged(acknowledged(new(), "Kari", "", at(5)), "Ola", "mine", at(6))

    assert (taken.acknowledged_by, taken.acknowledged_at, taken.note) == ("Ola", at(6), "mine")


def test_a_person_closes_the_matter_once() -> None:
    done = resolved(new(), "Kari", "sold", at(9))

    assert (done.state, done.resolved_by, done.reason, done.problems) == (AlertState.RESOLVED, "Kari", "sold", {})
    for again in (lambda: resolved(done, "Ola", "", at(10)), lambda: acknowledged(done, "Ola", "", at(10))):
        with pytest.raises(Conflict):
            again()


@given(
    st.lists(
        st.tuples(st.sampled_from(["join", "leave", "take"]), st.integers(0, 4), st.sampled_from(Severity)), max_size=20
    )
)
def test_an_open_alert_is_always_as_bad_as_its_worst_problem(moves: list[tuple[str, int, Severity]]) -> None:
    alert = new()
    for number, (move, episode, severity) in enumerate(moves):
        before = alert
        match move:
            case "join":
                news = findings.changed("error_code", severity.value, episode=f"ep-{episode}", when=number)
                alert, is_told = with_problem(alert, news)
                assert is_told == alert.severity.is_worse_than(before.severity)
            case "leave":
                alert = without_problem(alert, f"ep-{episode}", at(number), "recovered")
            case _:
                alert = acknowledged(alert, "Kari", "", at(number))
        if alert.state is AlertState.RESOLVED:
            assert alert.problems == {}
            return
        assert alert.severity is min((one.severity for one in alert.problems.values()), key=lambda one: one.rank)
