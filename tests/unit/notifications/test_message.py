"""What a person reads."""

from datetime import UTC, datetime, timedelta

import pytest

from shoal.events.alert import NotificationDue
from shoal.events.condition import Evidence, Verdict
from shoal.notifications.message import (
    EVIDENCE_LINES_MAX,
    SUBJECT_CHARACTERS_MAX,
    message,
    message_of_test,
    moment,
    subject,
)

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def due(
    *,
    about: str = "opened",
    step: int = 0,
    by: str | None = None,
    because: str = "opened",
    headline: str = "cam-1 is silent",
    says: str = "No reason is known.",
) -> NotificationDue:
    evidence = [Evidence(at=NOON - timedelta(minutes=n), says=f"Fact {n}.") for n in range(9)]
    return NotificationDue(
        id="ntf-1-due",
        time=NOON,
        alert="alr-1",
        code="K7CC",
        tenant="ten-1",
        farm="frm-1",
        enclosure="enc-1",
        device="dev-1",
        condition="silent",
        severity="high",
        headline=headline,
        verdict=Verdict(cause="unknown", says=says, evidence=evidence),
        opened_at=NOON,
        notification="ntf-1",
        about=about,
        step=step,
        by=by,
        because=because,
    )


def test_it_says_what_is_wrong_where_since_when_why_and_what_to_do() -> None:
    made = message(due(), notification="ntf-1-x", place="Pen 4, Storholmen", base_url="https://shoal.example/")

    assert (made.id, made.thread, made.subject) == ("ntf-1-x", "alr-1", "High: cam-1 is silent (#K7CC)")
    for part in (
        "cam-1 is silent",
        "Somebody should act on this.",
        "Pen 4, Storholmen",
        "01 Nov 2026, 12:00:00 UTC",
        "No reason is known.",
        "Fact 0.",
        "https://shoal.example/alerts/alr-1",
    ):
        assert part in made.text
        assert part in made.html
    assert f"Fact {EVIDENCE_LINES_MAX}." not in made.text
    assert "$" not in made.text


@pytest.mark.parametrize(
    ("notification", "line", "state"),
    [
        (due(step=1, because="worse"), "It got worse: it is high now.", "High"),
        (due(step=1, because="nobody-took-it"), "Nobody has taken it yet. Somebody should act on this.", "High"),
        (due(about="withdrawn"), "It was taken, and not resolved in time. It needs somebody again.", "High again"),
        (due(about="acknowledged", by="Kari"), "Taken by Kari.", "Taken"),
        (due(about="acknowledged"), "Somebody took it.", "Taken"),
        (due(about="resolved", by="Kari"), "Resolved by Kari.", "Resolved"),
        (due(about="resolved"), "It is over. Nobody needs to act any more.", "Resolved"),
    ],
)
def test_each_step_of_an_alert_has_its_words(notification: NotificationDue, line: str, state: str) -> None:
    made = message(notification, notification="n", place="", base_url="")

    assert line in made.text
    assert made.subject.startswith(f"{state}: ")


def test_what_a_device_calls_itself_cannot_become_markup_a_header_or_a_placeholder() -> None:
    made = message(
        due(headline="<b>$link</b>\r\nBcc: all", says="<script>$place</script>"),
        notification="n",
        place="<i>Pen</i>",
        base_url="https://shoal.example",
    )

    assert made.subject == "High: <b>$link</b>  Bcc: all (#K7CC)"
    assert "<script>" not in made.html
    assert "&lt;script&gt;$place" in made.html
    assert "<i>" not in made.html


def test_a_subject_has_a_bound_and_loses_nothing_silently() -> None:
    line = subject(due(headline="x" * 500))

    assert len(line) == SUBJECT_CHARACTERS_MAX
    assert line.endswith("…")


def test_a_test_says_that_it_is_one() -> None:
    made = message_of_test("ntf-9", "Kari <k>", "https://shoal.example")

    assert (made.id, made.thread, made.subject) == ("ntf-9", "ntf-9", "Test from Shoal")
    assert "Hello Kari <k>," in made.text
    assert "Kari &lt;k&gt;" in made.html


def test_a_moment_carries_its_zone() -> None:
    assert moment(NOON) == "01 Nov 2026, 12:00:00 UTC"
