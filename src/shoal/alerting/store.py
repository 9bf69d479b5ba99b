"""Alerts in the database: one open alert for each problem, its timeline, and which episodes belong to which alert."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import func, or_, select

from shoal.access.decision import EVERYWHERE, Reach
from shoal.alerting import chase
from shoal.alerting.alert import Alert, AlertState
from shoal.alerting.code import short_code
from shoal.alerting.tables import IS_OPEN, alert_episodes, alert_timeline, alerts
from shoal.clock import Clock
from shoal.errors import NotFound, Rejected
from shoal.events.alert import AlertEvent
from shoal.events.severity import Severity
from shoal.ids import Prefix, derived_id
from shoal.storage.database import Database, Transaction, upsert
from shoal.storage.reach import within

ALERTS_PER_PAGE_MAX: Final = 200  # an inbox that is longer is searched, not read
TIMELINE_ROWS_MAX: Final = 500  # an alert that changed more often is flapping, and its start is what matters
NOTE_CHARACTERS_MAX: Final = 2_000  # a note to colleagues, not a report
# Seeds tried for an alert's id: ids have 35 bits, and even with a million alerts the second is free.
SEEDS_MAX: Final = 8  # after that something else is wrong


class AlertPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some alerts, newest first; `next` is the cursor for those after them."""

    items: list[Alert]
    next: str | None


class TimelineRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to an alert."""

    time: datetime
    kind: str
    severity: str
    by: str | None
    note: str


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many alerts of a tenant need a person, are taken, and how bad those are."""

    open: int
    acknowledged: int
    by_severity: dict[Severity, int]


class EpisodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """What we know of an episode: its alert, whether it ended, how many of its changes were told."""

    alert: str | None
    is_closed: bool
    changes: int


class Alerts:
    """What screens and the API ask about alerts, and what people do with them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def list(
        self,
        tenant: str,
        *,
        states: Sequence[AlertState] = (),
        farm: str | None = None,
        enclosure: str | None = None,
        device: str | None = None,
        severities: Sequence[Severity] = (),
        after: str | None = None,
        limit: int = 50,
        reach: Reach = EVERYWHERE,
    ) -> AlertPage:
        """Alerts of a tenant in reach, newest first; `after` is the cursor of the page before.

        Raises:
            Rejected: the cursor is none of ours.
            Unavailable: the database is away.
        """
        columns = alerts.c
        wanted = _wanted(tenant, states, farm, enclosure, device, severities, reach)
        limit = max(1, min(limit, ALERTS_PER_PAGE_MAX))
        async with self._database.reading() as connection:
            if after is not None:
                opened_at = await connection.scalar(
                    select(columns.opened_at).where(columns.tenant_id == tenant, columns.id == after)
                )
                if opened_at is None:
                    raise Rejected("cursor", "not a cursor of this list")
                wanted.append(
                    or_(columns.opened_at < opened_at, (columns.opened_at == opened_at) & (columns.id > after))
                )
            query = select(columns.body).where(*wanted).order_by(columns.opened_at.desc(), columns.id).limit(limit + 1)
            found: list[Alert] = [row[0] for row in await connection.execute(query)]
        items = found[:limit]
        return AlertPage(items=items, next=items[-1].id if len(found) > limit else None)

    async def count(
        self,
        tenant: str,
        *,
        states: Sequence[AlertState] = (),
        farm: str | None = None,
        enclosure: str | None = None,
        device: str | None = None,
        severities: Sequence[Severity] = (),
        reach: Reach = EVERYWHERE,
    ) -> int:
        """How many alerts `list` would list in all.

        Raises:
            Unavailable: the database is away.
        """
        query = select(func.count()).where(*_wanted(tenant, states, farm, enclosure, device, severities, reach))
        async with self._database.reading() as connection:
            return int(await connection.scalar(query) or 0)

    async def one(self, tenant: str, alert: str) -> Alert:
        """One alert.

        Raises:
            NotFound: the tenant has no such alert.
            Unavailable: the database is away.
        """
        async with self._database.reading() as connection:
            found = await connection.scalar(
                select(alerts.c.body).where(alerts.c.tenant_id == tenant, alerts.c.id == alert)
            )
        return _found(found)

    async def timeline(self, tenant: str, alert: str) -> Sequence[TimelineRow]:
        """What happened to an alert, oldest first.

        Raises:
            NotFound: the tenant has no such alert.
            Unavailable: the database is away.
        """
        await self.one(tenant, alert)
        columns = alert_timeline.c
        query = (
            select(columns.time, columns.kind, columns.severity, columns.by, columns.note)
            .where(columns.alert_id == alert)
            .order_by(columns.id)
            .limit(TIMELINE_ROWS_MAX)
        )
        async with self._database.reading() as connection:
            return [
                TimelineRow(time=row.time, kind=row.kind, severity=row.severity, by=row.by, note=row.note)
                for row in await connection.execute(query)
            ]

    async def counts(self, tenant: str, farm: str | None = None) -> Counts:
        """What needs a person, for the tenant or one farm of it.

        Raises:
            Unavailable: the database is away.
        """
        columns = alerts.c
        query = select(columns.state, columns.severity, func.count()).where(columns.tenant_id == tenant, IS_OPEN)
        if farm is not None:
            query = query.where(columns.farm_id == farm)
        by_state = dict.fromkeys(AlertState, 0)
        by_severity = dict.fromkeys(Severity, 0)
        async with self._database.reading() as connection:
            for state, severity, count in await connection.execute(query.group_by(columns.state, columns.severity)):
                by_state[AlertState(state)] += count
                by_severity[Severity(severity)] += count
        return Counts(
            open=by_state[AlertState.OPEN],
            acknowledged=by_state[AlertState.ACKNOWLEDGED],
            by_severity=by_severity,
        )

    async def acknowledge(self, tenant: str, alert: str, by: str, note: str = "") -> Alert:
        """Somebody takes an alert. All who were told of it are told that, too.

        Raises:
            NotFound: the tenant has no such alert.
            Conflict: it is resolved already.
            Rejected: the note is too long.
            Unavailable: the database is away.
        """
        note = _note(note)
        now = self._clock.now()
        async with self._database.transaction() as tx:
            return await save(tx, *chase.take(await of_tenant(tx, tenant, alert), by, note, now))

    async def resolve(self, tenant: str, alert: str, by: str, reason: str = "") -> Alert:
        """Somebody closes the matter, whatever the device says. All who were told are told.

        Raises:
            NotFound: the tenant has no such alert.
            Conflict: it is resolved already.
            Rejected: the reason is too long.
            Unavailable: the database is away.
        """
        reason = _note(reason)
        now = self._clock.now()
        async with self._database.transaction() as tx:
            return await save(tx, *chase.resolve(await of_tenant(tx, tenant, alert), by, reason, now))


def _wanted(
    tenant: str,
    states: Sequence[AlertState],
    farm: str | None,
    enclosure: str | None,
    device: str | None,
    severities: Sequence[Severity],
    reach: Reach,
) -> list[Any]:
    columns = alerts.c
    wanted: list[Any] = [
        columns.tenant_id == tenant,
        within(reach, columns.farm_id, columns.enclosure_id, columns.device_id),
    ]
    if states:
        wanted.append(columns.state.in_([state.value for state in states]))
    if severities:
        wanted.append(columns.severity.in_([severity.value for severity in severities]))
    for column, value in ((columns.farm_id, farm), (columns.enclosure_id, enclosure), (columns.device_id, device)):
        if value is not None:
            wanted.append(column == value)
    return wanted


async def of_tenant(tx: Transaction, tenant: str, alert: str) -> Alert:
    """One alert, in order to change it. Raises NotFound."""
    query = select(alerts.c.body).where(alerts.c.tenant_id == tenant, alerts.c.id == alert)
    return _found(await tx.scalar(query.with_for_update()))


async def by_id(tx: Transaction, alert: str) -> Alert | None:
    """One alert whoever it belongs to, in order to change it: for the worker."""
    found = await tx.scalar(select(alerts.c.body).where(alerts.c.id == alert).with_for_update())
    return found if isinstance(found, Alert) else None


async def by_fingerprint(tx: Transaction, fingerprint: str) -> Alert | None:
    """The open alert of a problem, in order to change it."""
    query = select(alerts.c.body).where(alerts.c.fingerprint == fingerprint, IS_OPEN)
    found = await tx.scalar(query.with_for_update())
    return found if isinstance(found, Alert) else None


async def due(tx: Transaction, now: datetime, limit: int) -> list[Alert]:
    """Alerts of which a time frame is over, the gravest first. They are this transaction's until it ends.

    Other processes pass them over (SQLite, with its one writer, has nothing to pass over).
    """
    columns = alerts.c
    is_due = or_(columns.next_step_at <= now, columns.ack_due <= now, columns.resolve_due <= now)
    query = select(columns.body).where(is_due).order_by(columns.severity_rank, columns.opened_at, columns.id)
    return [row[0] for row in await tx.rows(query.limit(limit).with_for_update(skip_locked=True))]


async def next_due(database: Database) -> datetime | None:
    """When the next time frame is over."""
    frames = (alerts.c.next_step_at, alerts.c.ack_due, alerts.c.resolve_due)
    async with database.reading() as connection:
        found = [await connection.scalar(select(func.min(frame)).where(frame.is_not(None))) for frame in frames]
    return min((at for at in found if at is not None), default=None)


async def name(tx: Transaction, tenant: str, fingerprint: str, event: str) -> tuple[str, str]:
    """The id and the short code of a new alert: the same for the same opening event, and nobody else's."""
    ids = [derived_id(Prefix.ALERT, f"{fingerprint}|{event}|{attempt}".encode()) for attempt in range(SEEDS_MAX)]
    known = {row.id for row in await tx.rows(select(alerts.c.id).where(alerts.c.id.in_(ids)))}
    alert = next(candidate for candidate in ids if candidate not in known)
    codes = await tx.rows(select(alerts.c.code).where(alerts.c.tenant_id == tenant, IS_OPEN))
    return alert, short_code(alert, {row.code for row in codes})


async def save(tx: Transaction, alert: Alert, events: Sequence[AlertEvent]) -> Alert:
    """Writes an alert, its timeline, and publishes its events."""
    frames = alert.escalation
    row = {
        "id": alert.id,
        "tenant_id": alert.tenant,
        "farm_id": alert.farm,
        "enclosure_id": alert.enclosure,
        "device_id": alert.device,
        "fingerprint": alert.fingerprint,
        "code": alert.code,
        "condition": alert.condition,
        "state": alert.state.value,
        "severity": alert.severity.value,
        "severity_rank": alert.severity.rank,
        "opened_at": alert.opened_at,
        "changed_at": alert.changed_at,
        "next_step_at": frames and frames.next_step_at,
        "ack_due": frames and frames.ack_due,
        "resolve_due": frames and frames.resolve_due,
        "body": alert,
    }
    await upsert(tx, alerts, [row], ["id"])
    rows = [
        {
            "event_id": event.id,
            "alert_id": alert.id,
            "time": event.time,
            "kind": str(event.__struct_config__.tag),
            "severity": event.severity,
            "by": getattr(event, "by", None),
            "note": getattr(event, "note", ""),
        }
        for event in events
    ]
    await upsert(tx, alert_timeline, rows, ["event_id"], update=())
    for event in events:
        tx.publish(event)
    return alert


async def episode(tx: Transaction, known: str) -> EpisodeRow:
    """What we know of an episode, held until this transaction ends; of one we never heard of, `changes` is -1.

    When a device moves to another farm, its episode opens in one partition and closes in another, perhaps at the same
    time. A row that is not there cannot be held, so it is made.
    """
    columns = alert_episodes.c
    unheard = {"episode": known, "alert_id": None, "is_closed": False, "changes": -1}
    await upsert(tx, alert_episodes, [unheard], ["episode"], update=())
    query = select(columns.alert_id, columns.is_closed, columns.changes).where(columns.episode == known)
    [row] = await tx.rows(query.with_for_update())
    return EpisodeRow(alert=row.alert_id, is_closed=row.is_closed, changes=row.changes)


async def save_episode(tx: Transaction, known: str, row: EpisodeRow) -> None:
    """Writes down what we know of an episode."""
    values = {"episode": known, "alert_id": row.alert, "is_closed": row.is_closed, "changes": row.changes}
    await upsert(tx, alert_episodes, [values], ["episode"])


def _found(alert: object) -> Alert:
    if not isinstance(alert, Alert):
        raise NotFound("alert", "there is no such alert")
    return alert


def _note(raw: str) -> str:
    note = raw.strip()
    if len(note) > NOTE_CHARACTERS_MAX:
        raise Rejected("note", f"longer than {NOTE_CHARACTERS_MAX} characters")
    return note
