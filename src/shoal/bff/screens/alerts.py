"""The alert inbox: what needs a person, what is taken, what is over; and one alert in full."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from pydantic import BaseModel

from shoal.bff import heard
from shoal.bff.screens.timeline import TimelineLine, timeline_line
from shoal.bff.screens.vocabulary import LOOK_RANK, AlertState, Look, alert_state_of, look_of

# Characters of an alert's id that people say to each other when the API names no code.
CODE_CHARACTERS: Final = 4
# People who are told next by name; of a crowd the rest is a number.
NAMES_MAX: Final = 3  # fits beside the alert in a list


class EvidenceLine(BaseModel):
    at: datetime | None
    says: str


class VerdictShown(BaseModel):
    """What it is, since when, how we know, and what it is not."""

    cause: str
    says: str
    since: datetime | None
    evidence: list[EvidenceLine]
    ruled_out: list[str]


class AlertPlace(BaseModel):
    farm: str | None
    farm_name: str
    enclosure: str | None
    enclosure_name: str
    device: str | None
    endpoint: str


class ToldLine(BaseModel):
    """Somebody was told, or will be. `about`: that it opened, was withdrawn, acknowledged or resolved."""

    to: str
    channel: str
    about: str
    state: str
    at: datetime | None
    detail: str


class AlertLine(BaseModel):
    """An alert in one row of a list."""

    id: str
    code: str
    state: AlertState
    severity: str
    look: Look
    headline: str
    says: str
    place: AlertPlace
    opened_at: datetime
    taken_by: str
    taken_until: datetime | None
    resolved_at: datetime | None
    resolved_by: str
    next_told: ToldLine | None


class AlertScreen(BaseModel):
    """One alert in full."""

    at: datetime
    alert: AlertLine
    verdict: VerdictShown
    note: str
    taken_at: datetime | None
    acknowledge_due: datetime | None
    policy: str
    policy_name: str
    told: list[ToldLine]
    ahead: list[ToldLine]
    timeline: list[TimelineLine]


class AlertGroup(BaseModel):
    """Alerts in one state. `total` is None where the API did not count beyond what it listed."""

    alerts: list[AlertLine]
    total: int | None


class AlertsScreen(BaseModel):
    """The inbox. `resolved` is filled only when it was asked for."""

    at: datetime
    needs_person: AlertGroup
    taken: AlertGroup
    resolved: AlertGroup | None
    next: str | None
    last_resolved: AlertLine | None


def verdict_shown(verdict: heard.Verdict) -> VerdictShown:
    """Evidence newest first; lines without a time come last."""
    dated = sorted(((line.at, line.says) for line in verdict.evidence if line.at), reverse=True)
    undated = [(None, line.says) for line in verdict.evidence if not line.at]
    return VerdictShown(
        cause=verdict.cause,
        says=verdict.says,
        since=verdict.since,
        evidence=[EvidenceLine(at=at, says=says) for at, says in (*dated, *undated)],
        ruled_out=verdict.ruled_out,
    )


def alert_line(alert: heard.Alert) -> AlertLine:
    return AlertLine(
        id=alert.id,
        code=alert.code or alert.id[-CODE_CHARACTERS:],
        state=alert_state_of(alert.state),
        severity=alert.severity,
        look=look_of(alert.severity),
        headline=alert.headline or alert.condition,
        says=alert.verdict.says,
        place=AlertPlace(
            farm=alert.farm,
            farm_name=alert.farm_name,
            enclosure=alert.enclosure,
            enclosure_name=alert.enclosure_name,
            device=alert.device,
            endpoint=alert.endpoint,
        ),
        opened_at=alert.opened_at,
        taken_by=alert.acknowledged_by,
        taken_until=alert.taken_until,
        resolved_at=alert.resolved_at,
        resolved_by=alert.resolved_by,
        next_told=next_told(alert),
    )


def told_line(told: heard.Told) -> ToldLine:
    return ToldLine(
        to=told.to, channel=told.channel, about=told.about, state=told.state, at=told.at, detail=told.detail
    )


def planned(call: heard.Next) -> ToldLine:
    """People who are told later, if nobody takes it."""
    return ToldLine(
        to=_names(call.to),
        channel=call.channels[0] if len(call.channels) == 1 else "",
        about="opened",
        state="planned",
        at=call.at,
        detail=" or ".join(call.channels) if len(call.channels) > 1 else "",
    )


def _names(people: Sequence[str]) -> str:
    if len(people) > NAMES_MAX:
        return f"{', '.join(people[: NAMES_MAX - 1])} and {len(people) - NAMES_MAX + 1} more"
    return " and ".join(filter(None, (", ".join(people[:-1]), people[-1] if people else "")))


def next_told(alert: heard.Alert) -> ToldLine | None:
    """Who is told next if nobody takes it."""
    if alert_state_of(alert.state) != "open" or alert.next is None:
        return None
    return planned(alert.next)


def worst_first(alerts: Iterable[heard.Alert]) -> list[AlertLine]:
    """By severity, then the one that waits longest."""
    lines = [alert_line(alert) for alert in alerts]
    return sorted(lines, key=lambda line: (LOOK_RANK[line.look], line.opened_at, line.id))


def group(page: heard.Page[heard.Alert]) -> AlertGroup:
    """Worst first, with the count of all that match, where that is known."""
    total = page.total if page.total is not None else None if page.next else len(page.items)
    return AlertGroup(alerts=worst_first(page.items), total=total)


def latest_first(page: heard.Page[heard.Alert]) -> AlertGroup:
    """As the inbox shows what is over: the last to end on top."""
    lines = [alert_line(alert) for alert in page.items]
    lines.sort(key=lambda line: (line.resolved_at or line.opened_at, line.id), reverse=True)
    total = page.total if page.total is not None else None if page.next else len(page.items)
    return AlertGroup(alerts=lines, total=total)


def alert_screen(at: datetime, alert: heard.Alert) -> AlertScreen:
    return AlertScreen(
        at=at,
        alert=alert_line(alert),
        verdict=verdict_shown(alert.verdict),
        note=alert.note,
        taken_at=alert.acknowledged_at,
        acknowledge_due=alert.acknowledge_due,
        policy=alert.policy,
        policy_name=alert.policy_name,
        told=[told_line(told) for told in alert.told],
        ahead=[planned(call) for call in alert.ahead],
        timeline=[timeline_line(item) for item in alert.timeline],
    )
