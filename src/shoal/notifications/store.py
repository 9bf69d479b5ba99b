"""The outbox of notifications: one row for each message to each contact by each channel, and what became of it."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Exists, Select, func, insert, select, update

from shoal.clock import Clock
from shoal.errors import NotFound, TooMany
from shoal.events.alert import AlertEvent, NotificationDue, NotificationSettled
from shoal.events.severity import Severity
from shoal.ids import Prefix, new_id
from shoal.notifications import delivery
from shoal.notifications.channel import DASHBOARD, WEBHOOK
from shoal.notifications.contact import Contact, Method, reached
from shoal.notifications.contact_store import contacts_of, mark_way
from shoal.notifications.delivery import LEASE, Attempted, DeliveryState
from shoal.notifications.tables import contacts, notifications
from shoal.storage.database import Database, Transaction, upsert

NOTIFICATIONS_PER_PAGE_MAX: Final = 200  # a page of a screen
# What a test is about; it belongs to no alert.
TEST: Final = "test"
# What somebody has to act on; the rest tells how that goes on.
_CALLS: Final = ("opened", "withdrawn")
_NEWS: Final = ("acknowledged", "resolved")
# Tests of a tenant within a minute: a button that is pressed again and again must not become a mail bomb.
TESTS_MAX: Final = 10
TESTS_WITHIN: Final = timedelta(minutes=1)


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one contact by one channel, and what became of it."""

    id: str
    tenant: str
    alert: str
    contact: str | None
    channel: str
    address: str
    about: str
    message: str
    severity: Severity
    state: DeliveryState
    due_at: datetime | None
    attempts: int
    note: str
    created_at: datetime
    changed_at: datetime
    due: NotificationDue | None


class Notifications:
    """What screens ask about messages, and tests."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def send_test(
        self, tenant: str, ways: Sequence[Method], contact: str | None = None
    ) -> Sequence[Notification]:
        """Lays a test message into the outbox for each of these ways; the rows tell what became of it.

        Raises:
            TooMany: the tenant has sent many within a minute.
            Unavailable: the database is away.
        """
        now = self._clock.now()
        columns = notifications.c
        rows = []
        for way in ways:
            drawn = f"ntf-{new_id(Prefix.CONTACT)[4:]}-test"
            rows.append(_row(drawn, tenant, None, contact, way.way, now, Severity.HIGH))
        async with self._database.transaction() as tx:
            recent = select(func.count()).where(columns.tenant_id == tenant, columns.about == TEST)
            count = await tx.scalar(recent.where(columns.created_at > now - TESTS_WITHIN))
            if count + len(rows) > TESTS_MAX:
                raise TooMany("test", f"at most {TESTS_MAX} in a minute", int(TESTS_WITHIN.total_seconds()))
            await tx.execute(insert(notifications), rows)
            tx.poke(notifications.name)
        return [await self.one(tenant, str(row["id"])) for row in rows]

    async def latest(self, tenant: str, webhooks: Sequence[str]) -> dict[str, Notification]:
        """The newest message to each of these webhooks, tests included.

        Raises:
            Unavailable: the database is away.
        """
        columns = notifications.c
        found = {}
        async with self._database.reading() as connection:
            for webhook in webhooks:
                query = _all().where(columns.tenant_id == tenant, columns.channel == WEBHOOK)
                query = query.where(columns.address == webhook).order_by(columns.created_at.desc(), columns.id)
                if (row := (await connection.execute(query.limit(1))).first()) is not None:
                    found[webhook] = _notification(row)
        return found

    async def one(self, tenant: str, notification: str) -> Notification:
        """One notification.

        Raises:
            NotFound: the tenant has no such notification.
            Unavailable: the database is away.
        """
        query = _all().where(notifications.c.tenant_id == tenant, notifications.c.id == notification)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound("notification", "there is no such notification")
        return _notification(row)

    async def list(
        self,
        tenant: str,
        *,
        alert: str | None = None,
        states: Sequence[DeliveryState] = (),
        limit: int = 50,
    ) -> list[Notification]:
        """Messages of a tenant, newest first: all, those of one alert, those in some states.

        Raises:
            Unavailable: the database is away.
        """
        columns = notifications.c
        query = _all().where(columns.tenant_id == tenant)
        if alert is not None:
            query = query.where(columns.alert_id == alert)
        if states:
            query = query.where(columns.state.in_([state.value for state in states]))
        query = query.order_by(columns.created_at.desc(), columns.id).limit(min(limit, NOTIFICATIONS_PER_PAGE_MAX))
        async with self._database.reading() as connection:
            return [_notification(row) for row in await connection.execute(query)]

    async def counts(self, tenant: str) -> dict[DeliveryState, int]:
        """How many messages of a tenant are in which state. What waits is shown as waiting, never as sent.

        Raises:
            Unavailable: the database is away.
        """
        columns = notifications.c
        query = select(columns.state, func.count()).where(columns.tenant_id == tenant).group_by(columns.state)
        counts = dict.fromkeys(DeliveryState, 0)
        async with self._database.reading() as connection:
            for state, count in await connection.execute(query):
                counts[DeliveryState(state)] = count
        return counts

    async def waiting(self) -> tuple[int, datetime | None]:
        """How many messages of all tenants wait, and when the first was or is due. Raises Unavailable."""
        columns = notifications.c
        query = select(func.count(), func.min(columns.due_at)).where(columns.state == DeliveryState.WAITING.value)
        async with self._database.reading() as connection:
            count, due_at = (await connection.execute(query)).one()
            return int(count), due_at


async def lay_out(tx: Transaction, due: NotificationDue, now: datetime) -> int:
    """Makes the rows for one alert event: for the dashboard, and for each contact that it concerns.

    Whom an event calls is reached by their first way, or by all at once. Who was called before is told how it goes on,
    by the way they were called.
    """
    people = await contacts_of(tx.connection, due.tenant)
    told = await _told(tx, due.alert, people)
    ways: list[tuple[str | None, Method]] = [(None, Method(channel=DASHBOARD, address=""))]
    called: list[Contact] = []
    if due.about in _CALLS:
        called = reached(people, due.contacts, Severity(due.severity), {contact for contact, _ in told})
    for person in called:
        ordered = person.ways(due.channels)
        ways += [(person.id, way) for way in (ordered if due.at_once else ordered[:1])]
    if due.about != "opened":
        others = {person.id for person in people} - {person.id for person in called}
        ways += [(contact, way) for contact, way in told if contact in others]
    severity = Severity(due.severity)
    rows = [_row(_id(due, contact, way), due.tenant, due, contact, way.way, now, severity) for contact, way in ways]
    await upsert(tx, notifications, rows, ["id"], update=())
    return len(rows)


async def lease(tx: Transaction, owner: str, now: datetime, limit: int) -> list[Notification]:
    """Takes what is due, the gravest first. Of one alert to one contact only the oldest: messages keep their order."""
    await _recover(tx, now)
    columns = notifications.c
    query = (
        _all()
        .where(columns.state == DeliveryState.WAITING.value, columns.due_at <= now, ~_is_blocked())
        .order_by(columns.severity_rank, columns.due_at, columns.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = [_notification(row) for row in await tx.rows(query)]
    if found:
        await tx.execute(
            update(notifications)
            .where(columns.id.in_([notification.id for notification in found]))
            .values(state=DeliveryState.LEASED.value, owner=owner, lease_until=now + LEASE)
        )
    return found


async def begin_call(tx: Transaction, owner: str, notification: str, now: datetime) -> int | None:
    """Commits that a call is about to be made; the number of the attempt, or None when the lease is lost."""
    columns = notifications.c
    done = await tx.execute(
        update(notifications)
        .where(columns.id == notification, columns.owner == owner, columns.state == DeliveryState.LEASED.value)
        .values(
            state=DeliveryState.CALLING.value,
            attempts=columns.attempts + 1,
            lease_until=now + LEASE,
            changed_at=now,
        )
    )
    if done.rowcount != 1:
        return None
    return int(await tx.scalar(select(columns.attempts).where(columns.id == notification)))


async def settle(
    tx: Transaction, owner: str, notification: Notification, attempt: int, outcome: Attempted, now: datetime
) -> bool:
    """Writes what came of an attempt. A worker that lost its lease meanwhile writes nothing.

    Where a call to somebody failed, the next way to them is due at once.
    """
    columns = notifications.c
    done = await tx.execute(
        update(notifications)
        .where(columns.id == notification.id, columns.owner == owner, columns.attempts == attempt)
        .where(columns.state == DeliveryState.CALLING.value)
        .values(
            state=outcome.state.value,
            due_at=outcome.due_at,
            note=outcome.note,
            owner=None,
            lease_until=None,
            changed_at=now,
        )
    )
    if done.rowcount != 1:
        return False
    if notification.contact is not None and outcome.state.is_final:
        failure = outcome.note if outcome.state is DeliveryState.FAILED else None
        await mark_way(tx, notification.contact, (notification.channel, notification.address), failure, now)
        if notification.due is not None:
            tx.publish(_settled(notification, notification.contact, notification.due, outcome, now))
            if failure is not None:
                await _go_another_way(tx, notification, notification.due, now)
    return True


async def another_way(tx: Transaction, notification: Notification) -> Method | None:
    """The next way to the person that a call has not been sent by; None when there is none, or no need any more."""
    due, contact = notification.due, notification.contact
    if due is None or contact is None or due.about not in _CALLS:
        return None
    columns = notifications.c
    over = select(columns.id).where(columns.alert_id == due.alert, columns.step > due.step, columns.about.in_(_NEWS))
    if await tx.scalar(over.limit(1)) is not None:
        return None
    used = await tx.rows(
        select(columns.channel, columns.address).where(
            columns.message_id == due.notification, columns.contact_id == contact
        )
    )
    tried = {(row.channel, row.address) for row in used}
    people = await contacts_of(tx.connection, notification.tenant, contact)
    ways = people[0].ways(due.channels) if people else []
    return next((way for way in ways if way.way not in tried), None)


async def _go_another_way(tx: Transaction, notification: Notification, due: NotificationDue, now: datetime) -> None:
    way = await another_way(tx, notification)
    if way is not None:
        row = _row(
            _id(due, notification.contact, way),
            notification.tenant,
            due,
            notification.contact,
            way.way,
            now,
            notification.severity,
        )
        await upsert(tx, notifications, [row], ["id"], update=())


def _settled(
    notification: Notification, contact: str, due: NotificationDue, outcome: Attempted, now: datetime
) -> NotificationSettled:
    facts = {name: getattr(due, name) for name in AlertEvent.__struct_fields__}
    facts |= {"id": f"{notification.id}-settled", "time": now}
    return NotificationSettled(
        **facts,
        notification=due.notification,
        about=due.about,
        contact=contact,
        channel=notification.channel,
        state=outcome.state.value,
        note=outcome.note,
    )


async def drop(tx: Transaction, owner: str, notification: str, reason: str, now: datetime) -> None:
    """Ends a notification that nobody needs any more, with the reason."""
    columns = notifications.c
    await tx.execute(
        update(notifications)
        .where(columns.id == notification, columns.owner == owner, columns.state == DeliveryState.LEASED.value)
        .values(state=DeliveryState.DROPPED.value, note=reason, owner=None, lease_until=None, changed_at=now)
    )


async def has_contact(tx: Transaction, contact: str) -> bool:
    """Whether a contact still exists."""
    return await tx.scalar(select(contacts.c.id).where(contacts.c.id == contact)) is not None


async def next_due(tx: Transaction) -> datetime | None:
    """When the next message is due that no earlier one holds up, or a lease runs out."""
    columns = notifications.c
    waiting = await tx.scalar(
        select(func.min(columns.due_at)).where(columns.state == DeliveryState.WAITING.value, ~_is_blocked())
    )
    leased = await tx.scalar(select(func.min(columns.lease_until)).where(columns.lease_until.is_not(None)))
    return min((at for at in (waiting, leased) if at is not None), default=None)


def _is_blocked() -> Exists:
    """An earlier message of the same alert to the same contact by the same channel is still under way."""
    columns = notifications.c
    earlier = notifications.alias()
    return (
        select(earlier.c.id)
        .where(
            earlier.c.alert_id == columns.alert_id,
            earlier.c.contact_id == columns.contact_id,
            earlier.c.channel == columns.channel,
            earlier.c.step < columns.step,
            earlier.c.state.in_([state.value for state in DeliveryState if not state.is_final]),
        )
        .exists()
    )


async def _recover(tx: Transaction, now: datetime) -> None:
    """Leases whose worker never came back."""
    columns = notifications.c
    lost_leases = _all().where(columns.lease_until <= now).limit(NOTIFICATIONS_PER_PAGE_MAX)
    for row in await tx.rows(lost_leases.with_for_update(skip_locked=True)):
        lost = _notification(row)
        state = delivery.after_lost_lease(lost.state, lost.severity)
        note = "the sender stopped; perhaps it was sent" if lost.state is DeliveryState.CALLING else lost.note
        await tx.execute(
            update(notifications)
            .where(columns.id == lost.id)
            .values(state=state.value, due_at=now, note=note, owner=None, lease_until=None, changed_at=now)
        )


async def _told(tx: Transaction, alert: str, people: Sequence[Contact]) -> list[tuple[str, Method]]:
    """Who was called because of an alert, and by which way; whoever has a new address there, by that."""
    columns = notifications.c
    rows = await tx.rows(
        select(columns.contact_id, columns.channel, columns.address)
        .where(columns.alert_id == alert, columns.about.in_(_CALLS), columns.contact_id.is_not(None))
        .where(columns.state.not_in([DeliveryState.FAILED.value, DeliveryState.DROPPED.value]))
        .distinct()
        .order_by(columns.contact_id, columns.channel, columns.address)
    )
    known = {person.id: person for person in people}
    found: dict[tuple[str, tuple[str, str]], tuple[str, Method]] = {}
    for row in rows:
        person = known.get(row.contact_id)
        if person is None:
            continue
        way = next(
            (way for way in person.methods if way.way == (row.channel, row.address)), person.ways([row.channel])[0]
        )
        found[person.id, way.way] = (person.id, way)
    return list(found.values())


def _id(due: NotificationDue, contact: str | None, way: Method) -> str:
    digest = hashlib.sha256(f"{due.notification}|{contact}|{way.channel}|{way.address}".encode()).hexdigest()
    return f"ntf-{digest[:24]}"


def _row(
    notification: str,
    tenant: str,
    due: NotificationDue | None,
    contact: str | None,
    way: tuple[str, str],
    now: datetime,
    severity: Severity,
) -> dict[str, object]:
    channel, address = way
    return {
        "id": notification,
        "tenant_id": tenant,
        "alert_id": due.alert if due else notification,
        "contact_id": contact,
        "channel": channel,
        "address": address,
        "about": due.about if due else TEST,
        "message_id": due.notification if due else notification,
        "step": due.step if due else 0,
        "severity": severity.value,
        "severity_rank": severity.rank,
        "state": DeliveryState.WAITING.value,
        "due_at": now,
        "owner": None,
        "lease_until": None,
        "attempts": 0,
        "note": "",
        "created_at": now,
        "changed_at": now,
        "due": due,
    }


def _all() -> Select[Any]:
    return select(notifications)


def _notification(row: Any) -> Notification:
    return Notification(
        id=row.id,
        tenant=row.tenant_id,
        alert=row.alert_id,
        contact=row.contact_id,
        channel=row.channel,
        address=row.address,
        about=row.about,
        message=row.message_id,
        severity=Severity(row.severity),
        state=DeliveryState(row.state),
        due_at=row.due_at,
        attempts=row.attempts,
        note=row.note,
        created_at=row.created_at,
        changed_at=row.changed_at,
        due=row.due,
    )
