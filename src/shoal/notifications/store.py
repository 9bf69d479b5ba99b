"""Contacts, and the outbox of notifications: one row for each message to each contact by each channel."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Column, Exists, Index, Integer, Select, Table, Text, delete, func, insert, select, update

from shoal.clock import Clock
from shoal.errors import Conflict, NotFound
from shoal.events.alert import NotificationDue
from shoal.events.severity import Severity
from shoal.ids import Prefix, new_id
from shoal.notifications import delivery
from shoal.notifications.contact import Contact, parse_email, parse_name, parse_severity
from shoal.notifications.dashboard import DASHBOARD
from shoal.notifications.delivery import LEASE, Attempted, DeliveryState
from shoal.notifications.email import EMAIL
from shoal.storage.database import Database, Json, Timestamp, Transaction, metadata, upsert

contacts: Final = Table(
    "contacts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("min_severity", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Index("uq_contacts_email", "tenant_id", "email", unique=True),
)

notifications: Final = Table(
    "notifications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("alert_id", Text, nullable=False),
    Column("contact_id", Text),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("severity", Text, nullable=False),
    Column("severity_rank", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", Timestamp),
    Column("owner", Text),
    Column("lease_until", Timestamp),
    Column("attempts", Integer, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("changed_at", Timestamp, nullable=False),
    Column("due", Json(NotificationDue)),
    Index("ix_notifications_due", "state", "severity_rank", "due_at"),
    Index("ix_notifications_alert", "alert_id", "contact_id", "channel"),
    Index("ix_notifications_tenant", "tenant_id", "created_at"),
)

CONTACTS_PER_TENANT_MAX: Final = 200  # more are a mailing list, and that is what they should be
NOTIFICATIONS_PER_PAGE_MAX: Final = 200  # a page of a screen
TEST: Final = "test"  # what a test is about; it belongs to no alert


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one contact by one channel, and what became of it."""

    id: str
    tenant: str
    alert: str
    contact: str | None
    channel: str
    address: str
    about: str
    severity: Severity
    state: DeliveryState
    due_at: datetime | None
    attempts: int
    note: str
    created_at: datetime
    changed_at: datetime
    due: NotificationDue | None


class Notifications:
    """Contacts, and what screens ask about messages."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add_contact(self, tenant: str, name: str, email: str, min_severity: str = "warning") -> Contact:
        """A person who is told of alerts from now on.

        Raises:
            Rejected: not a name, an address or a severity; or the tenant has very many contacts already.
            Conflict: the tenant has a contact with this address.
            Unavailable: the database is away.
        """
        contact = Contact(
            id=new_id(Prefix.CONTACT),
            tenant=tenant,
            name=parse_name(name),
            email=parse_email(email),
            min_severity=parse_severity(min_severity),
        )
        async with self._database.transaction() as tx:
            await _refuse_second(tx, contact)
            count = await tx.scalar(select(func.count()).where(contacts.c.tenant_id == tenant))
            if count >= CONTACTS_PER_TENANT_MAX:
                raise Conflict("contacts", f"there are {CONTACTS_PER_TENANT_MAX} already; use a mailing list")
            await tx.execute(insert(contacts), {**_contact_row(contact), "created_at": self._clock.now()})
        return contact

    async def contacts(self, tenant: str) -> list[Contact]:
        """All contacts of a tenant, by name.

        Raises:
            Unavailable: the database is away.
        """
        async with self._database.reading() as connection:
            return [_contact(row) for row in await connection.execute(_of_tenant(tenant))]

    async def contact(self, tenant: str, contact: str) -> Contact:
        """One contact.

        Raises:
            NotFound: the tenant has no such contact.
            Unavailable: the database is away.
        """
        async with self._database.reading() as connection:
            row = (await connection.execute(_of_tenant(tenant).where(contacts.c.id == contact))).first()
        if row is None:
            raise NotFound("contact", "there is no such contact")
        return _contact(row)

    async def change_contact(
        self,
        tenant: str,
        contact: str,
        *,
        name: str | None = None,
        email: str | None = None,
        min_severity: str | None = None,
    ) -> Contact:
        """Changes what is given. Messages that wait go to the new address.

        Raises:
            NotFound: the tenant has no such contact.
            Rejected: not a name, an address or a severity.
            Conflict: the tenant has another contact with this address.
            Unavailable: the database is away.
        """
        known = await self.contact(tenant, contact)
        changed = msgspec.structs.replace(
            known,
            name=known.name if name is None else parse_name(name),
            email=known.email if email is None else parse_email(email),
            min_severity=known.min_severity if min_severity is None else parse_severity(min_severity),
        )
        async with self._database.transaction() as tx:
            await _refuse_second(tx, changed)
            await tx.execute(update(contacts).where(contacts.c.id == contact).values(**_contact_row(changed)))
            await tx.execute(
                update(notifications)
                .where(notifications.c.contact_id == contact, notifications.c.channel == EMAIL)
                .where(notifications.c.state == DeliveryState.WAITING.value)
                .values(address=changed.email)
            )
        return changed

    async def remove_contact(self, tenant: str, contact: str) -> None:
        """Forgets a person. What waits for them is dropped when its time comes.

        Raises:
            NotFound: the tenant has no such contact.
            Unavailable: the database is away.
        """
        await self.contact(tenant, contact)
        async with self._database.transaction() as tx:
            await tx.execute(delete(contacts).where(contacts.c.tenant_id == tenant, contacts.c.id == contact))

    async def send_test(self, tenant: str, contact: str) -> Notification:
        """Lays a test message into the outbox; its row tells what became of it.

        Raises:
            NotFound: the tenant has no such contact.
            Unavailable: the database is away.
        """
        person = await self.contact(tenant, contact)
        now = self._clock.now()
        row = _row(
            f"ntf-{new_id(Prefix.CONTACT)[4:]}-test", tenant, None, person, EMAIL, person.email, now, Severity.HIGH
        )
        async with self._database.transaction() as tx:
            await tx.execute(insert(notifications), row)
        return await self.one(tenant, str(row["id"]))

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

    Who was told that an alert opened is told how it goes on, whatever its severity is by then.
    """
    told = await _told(tx, due.alert)
    people = [_contact(row) for row in await tx.rows(_of_tenant(due.tenant))]
    severity = Severity(due.severity)
    if due.about == "opened":
        reached = [person for person in people if person.wants(severity) or person.id in told]
    else:
        reached = [person for person in people if person.id in told]
    rows = [_row(_id(due, None, DASHBOARD), due.tenant, due, None, DASHBOARD, "", now, severity)]
    rows += [
        _row(_id(due, person.id, EMAIL), due.tenant, due, person, EMAIL, person.email, now, severity)
        for person in reached
    ]
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
    tx: Transaction, owner: str, notification: str, attempt: int, outcome: Attempted, now: datetime
) -> bool:
    """Writes what came of an attempt. A worker that lost its lease meanwhile writes nothing."""
    columns = notifications.c
    done = await tx.execute(
        update(notifications)
        .where(columns.id == notification, columns.owner == owner, columns.attempts == attempt)
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
    return done.rowcount == 1


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
    for row in await tx.rows(_all().where(columns.lease_until <= now).limit(NOTIFICATIONS_PER_PAGE_MAX)):
        lost = _notification(row)
        state = delivery.after_lost_lease(lost.state, lost.severity)
        note = "the sender stopped; perhaps it was sent" if lost.state is DeliveryState.CALLING else lost.note
        await tx.execute(
            update(notifications)
            .where(columns.id == lost.id)
            .values(state=state.value, due_at=now, note=note, owner=None, lease_until=None, changed_at=now)
        )


async def _told(tx: Transaction, alert: str) -> set[str]:
    columns = notifications.c
    rows = await tx.rows(
        select(columns.contact_id)
        .where(columns.alert_id == alert, columns.about == "opened", columns.contact_id.is_not(None))
        .where(columns.state.not_in([DeliveryState.FAILED.value, DeliveryState.DROPPED.value]))
        .distinct()
    )
    return {row.contact_id for row in rows}


async def _refuse_second(tx: Transaction, contact: Contact) -> None:
    columns = contacts.c
    other = await tx.scalar(
        select(columns.id).where(
            columns.tenant_id == contact.tenant, columns.email == contact.email, columns.id != contact.id
        )
    )
    if other is not None:
        raise Conflict("email", "a contact with this address exists already", contact=str(other))


def _id(due: NotificationDue, contact: str | None, channel: str) -> str:
    digest = hashlib.sha256(f"{due.notification}|{contact}|{channel}".encode()).hexdigest()
    return f"ntf-{digest[:24]}"


def _row(
    notification: str,
    tenant: str,
    due: NotificationDue | None,
    person: Contact | None,
    channel: str,
    address: str,
    now: datetime,
    severity: Severity,
) -> dict[str, object]:
    return {
        "id": notification,
        "tenant_id": tenant,
        "alert_id": due.alert if due else notification,
        "contact_id": person.id if person else None,
        "channel": channel,
        "address": address,
        "about": due.about if due else TEST,
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


def _of_tenant(tenant: str) -> Select[Any]:
    columns = contacts.c
    query = select(contacts).where(columns.tenant_id == tenant)
    return query.order_by(columns.name, columns.id).limit(CONTACTS_PER_TENANT_MAX)


def _contact(row: Any) -> Contact:
    return Contact(
        id=row.id, tenant=row.tenant_id, name=row.name, email=row.email, min_severity=Severity(row.min_severity)
    )


def _contact_row(contact: Contact) -> dict[str, object]:
    return {
        "id": contact.id,
        "tenant_id": contact.tenant,
        "name": contact.name,
        "email": contact.email,
        "min_severity": contact.min_severity.value,
    }


def _notification(row: Any) -> Notification:
    return Notification(
        id=row.id,
        tenant=row.tenant_id,
        alert=row.alert_id,
        contact=row.contact_id,
        channel=row.channel,
        address=row.address,
        about=row.about,
        severity=Severity(row.severity),
        state=DeliveryState(row.state),
        due_at=row.due_at,
        attempts=row.attempts,
        note=row.note,
        created_at=row.created_at,
        changed_at=row.changed_at,
        due=row.due,
    )
