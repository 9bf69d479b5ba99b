"""What a person reads: subject, text and HTML of one notification, made from an alert event alone."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from string import Template
from typing import Final

from shoal.events.alert import NotificationDue
from shoal.events.severity import Severity

# A line that mail programs show whole (RFC 5322 §2.1.1 recommends 78 with the field's name).
SUBJECT_CHARACTERS_MAX: Final = 120
# Evidence lines in a message; the alert's page has all.
EVIDENCE_LINES_MAX: Final = 5

_COLOURS: Final = {
    Severity.CRITICAL: "#b3261e",
    Severity.HIGH: "#c4560b",
    Severity.WARNING: "#8a6d00",
    Severity.INFORMATIONAL: "#3b5b7a",
}


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one person. `id` never changes, `thread` is the same for all messages of an alert.

    `kind` is what it is about, `facts` the same as the text for programs that read it.
    """

    id: str
    thread: str
    subject: str
    text: str
    html: str
    kind: str
    facts: Mapping[str, object]


def message(due: NotificationDue, *, notification: str, place: str, base_url: str) -> Message:
    """The message for a notification: what is wrong, since when, why we think so, what to do next."""
    severity = Severity(due.severity)
    facts = {
        "code": due.code,
        "headline": due.headline,
        "what": _what(due),
        "severity": severity.value,
        "place": place,
        "since": moment(due.opened_at),
        "says": due.verdict.says,
        "link": f"{base_url.rstrip('/')}/alerts/{due.alert}",
        "colour": _COLOURS[severity],
    }
    evidence = [(moment(fact.at), fact.says) for fact in due.verdict.evidence[:EVIDENCE_LINES_MAX]]
    lines = "\n".join(f"  {at}  {says}" for at, says in evidence) or "  none"
    rows = "".join(f"<tr><td>{html.escape(at)}</td><td>{html.escape(says)}</td></tr>" for at, says in evidence)
    return Message(
        id=notification,
        thread=due.alert,
        subject=subject(due),
        text=_template("alert.txt").substitute(facts, evidence=lines),
        html=_template("alert.html").substitute(_escaped(facts), evidence=rows),
        kind=due.about,
        facts=_facts(due, facts["what"], place, facts["link"]),
    )


def message_of_test(notification: str, name: str, base_url: str) -> Message:
    """What the test button sends."""
    text = f"Hello {name},\n\nthis is a test from Shoal. Alerts reach you at this address.\n\n{base_url}\n"
    return Message(
        id=notification,
        thread=notification,
        subject="Test from Shoal",
        text=text,
        html=f"<p>{html.escape(text).strip().replace(chr(10) * 2, '</p><p>')}</p>",
        kind="test",
        facts={"says": "This is a test from Shoal.", "link": base_url},
    )


def subject(due: NotificationDue) -> str:
    """The subject line: the state first, the code last, so that it can be read out and found."""
    state = {"resolved": "Resolved", "acknowledged": "Taken", "withdrawn": f"{due.severity.capitalize()} again"}.get(
        due.about, due.severity.capitalize()
    )
    line = f"{state}: {due.headline} (#{due.code})"
    line = "".join(character if character.isprintable() else " " for character in line)
    return line if len(line) <= SUBJECT_CHARACTERS_MAX else line[: SUBJECT_CHARACTERS_MAX - 1] + "…"


def _what(due: NotificationDue) -> str:
    match due.about:
        case "resolved":
            return f"Resolved by {due.by}." if due.by else "It is over. Nobody needs to act any more."
        case "acknowledged":
            return f"Taken by {due.by}." if due.by else "Somebody took it."
        case "withdrawn":
            return "It was taken, and not resolved in time. It needs somebody again."
    match due.because:
        case "worse":
            return f"It got worse: it is {due.severity} now."
        case "nobody-took-it":
            return "Nobody has taken it yet. Somebody should act on this."
    return "Somebody should act on this."


def _facts(due: NotificationDue, says: str, place: str, link: str) -> dict[str, object]:
    return {
        "alert": due.alert,
        "code": due.code,
        "severity": due.severity,
        "headline": due.headline,
        "says": says,
        "cause": due.verdict.cause,
        "why": due.verdict.says,
        "condition": due.condition,
        "farm": due.farm,
        "enclosure": due.enclosure,
        "device": due.device,
        "place": place,
        "opened_at": due.opened_at,
        "by": due.by,
        "link": link,
    }


def moment(at: datetime) -> str:
    """A moment as it stands in a message, which may be read anywhere: with its zone."""
    return f"{at:%d %b %Y, %H:%M:%S} UTC"


def _escaped(facts: Mapping[str, str]) -> dict[str, str]:
    return {name: html.escape(text) for name, text in facts.items()}


@cache
def _template(name: str) -> Template:
    return Template((resources.files("shoal.notifications") / "templates" / name).read_text("utf-8"))
