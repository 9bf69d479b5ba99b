"""What begins, what goes on, what is left out; and that nothing anybody sent gets into a span."""

from datetime import UTC, datetime, timedelta

import pytest

from shoal import tracing
from tests.harness.spans import recording

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)


def test_what_is_carried_makes_one_trace_over_all_hands() -> None:
    with recording() as spans:
        with tracing.span("click", kind="server", begins=True) as facts:
            facts["status"] = 202
            carried = tracing.carried()
        followed = tracing.record("device answers", kind="client", start=NOW, end=NOW, parent=carried)
        with tracing.span("alert", kind="consumer", parent=followed):
            pass
        found = spans()

    click, answer, alert = found["click"], found["device answers"], found["alert"]
    assert click.parent is None
    assert click.attributes == {"status": 202}
    assert answer.parent is not None
    assert alert.parent is not None
    assert answer.parent.span_id == click.context.span_id
    assert alert.parent.span_id == answer.context.span_id
    assert {span.context.trace_id for span in found.values()} == {click.context.trace_id}
    assert click.resource.attributes["service.name"] == "shoal-test"


@pytest.mark.parametrize("parent", [None, "", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x" * 55])
def test_what_comes_without_a_trace_is_part_of_none(parent: str | None) -> None:
    with recording() as spans:
        with tracing.span("alert", kind="consumer", parent=parent):
            assert tracing.carried() is None
        assert tracing.record("device answers", kind="client", start=NOW, parent=parent) is None
        assert spans() == {}


def test_a_trace_that_is_not_recorded_stays_so_over_all_hands() -> None:
    with recording(share=0.0) as spans:
        with tracing.span("click", kind="server", begins=True):
            carried = tracing.carried()
        assert carried is not None
        assert int(carried[-2:], 16) & 1 == 0  # the flag "sampled"
        with recording(share=1.0) as others, tracing.span("api", kind="server", parent=carried, begins=True):
            pass
        assert spans() == others() == {}


def test_times_that_are_known_are_the_spans_times_and_nothing_ends_before_it_begins() -> None:
    with recording() as spans:
        tracing.record("waits", kind="client", start=NOW, end=NOW + timedelta(seconds=3), begins=True)
        tracing.record("clocks differ", kind="client", start=NOW + timedelta(seconds=1), end=NOW, begins=True)
        waits, differ = spans()["waits"], spans()["clocks differ"]

    assert waits.start_time == int(NOW.timestamp()) * 10**9
    assert waits.end_time == waits.start_time + 3 * 10**9
    assert differ.start_time == differ.end_time


def test_an_error_is_noted_by_its_kind_and_not_by_what_it_says() -> None:
    with recording() as spans:
        with pytest.raises(ValueError, match="secret"), tracing.span("click", kind="server", begins=True):
            raise ValueError("secret")
        click = spans()["click"]

    assert (click.status.is_ok, click.status.description, click.events) == (False, "ValueError", ())
