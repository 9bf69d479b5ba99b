"""Contacts in the database: people, and the ways to them in their order."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from shoal.clock import Clock
from shoal.errors import Conflict, NotFound, Rejected, check_version
from shoal.events.severity import Severity
from shoal.ids import Prefix, new_id
from shoal.notifications.channel import EMAIL, WEBHOOK
from shoal.notifications.contact import Contact, Method, parse_methods, parse_name, parse_severity
from shoal.notifications.delivery import DeliveryState
from shoal.notifications.tables import channels, contact_methods, contacts, notifications
from shoal.storage.database import Database, Transaction

CONTACTS_PER_TENANT_MAX: Final = 200  # more are a mailing list, and that is what they should be


class Contacts:
    """The people of a tenant who are told of alerts."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add(
        self, tenant: str, name: str, methods: Sequence[tuple[str, str]], min_severity: str = Severity.WARNING
    ) -> Contact:
        """A person who can be told of alerts from now on. `methods` are pairs of channel and address.

        Raises:
            Rejected: not a name, a way to a person or a severity.
            Conflict: another contact has this mail address; or the tenant has very many contacts already.
            Unavailable: the database is away.
        """
        contact = Contact(
            id=new_id(Prefix.CONTACT),
            tenant=tenant,
            name=parse_name(name),
            methods=parse_methods(methods),
            min_severity=parse_severity(min_severity),
        )
        try:
            async with self._database.transaction() as tx:
                await _check_ways(tx, contact)
                count = await tx.scalar(select(func.count()).where(contacts.c.tenant_id == tenant))
                if count >= CONTACTS_PER_TENANT_MAX:
                    raise Conflict("contacts", f"there are {CONTACTS_PER_TENANT_MAX} already; use a mailing list")
                await tx.execute(insert(contacts), {**_row(contact), "created_at": self._clock.now()})
                await _write_methods(tx, contact)
        except IntegrityError as error:
            raise _second() from error
        return contact

    async def all(self, tenant: str) -> list[Contact]:
        """All contacts of a tenant, by name.

        Raises:
            Unavailable: the database is away.
        """
        async with self._database.reading() as connection:
            return await contacts_of(connection, tenant)

    async def one(self, tenant: str, contact: str) -> Contact:
        """One contact.

        Raises:
            NotFound: the tenant has no such contact.
            Unavailable: the database is away.
        """
        async with self._database.reading() as connection:
            return _found(await contacts_of(connection, tenant, contact))

    async def change(
        self,
        tenant: str,
        contact: str,
        *,
        name: str | None = None,
        methods: Sequence[tuple[str, str]] | None = None,
        min_severity: str | None = None,
        if_version: int | None = None,
    ) -> Contact:
        """Changes what is given. Mails that wait for an address that is gone go to the new one.

        Raises:
            NotFound: the tenant has no such contact.
            Rejected: not a name, a way to a person or a severity.
            Conflict: another contact has this mail address.
            Outdated: `if_version` is not its version.
            Unavailable: the database is away.
        """
        try:
            async with self._database.transaction() as tx:
                known = await _to_change(tx, tenant, contact)
                check_version(contact, known.version, if_version)
                changed = msgspec.structs.replace(
                    known,
                    name=known.name if name is None else parse_name(name),
                    methods=known.methods if methods is None else _kept(known.methods, parse_methods(methods)),
                    min_severity=known.min_severity if min_severity is None else parse_severity(min_severity),
                    version=known.version + 1,
                )
                await _check_ways(tx, changed)
                await tx.execute(update(contacts).where(contacts.c.id == contact).values(**_row(changed)))
                await tx.execute(delete(contact_methods).where(contact_methods.c.contact_id == contact))
                await _write_methods(tx, changed)
                await _send_on(tx, changed)
        except IntegrityError as error:
            raise _second() from error
        return changed

    async def remove(self, tenant: str, contact: str, if_version: int | None = None) -> None:
        """Forgets a person. What waits for them is dropped when its time comes.

        Raises:
            NotFound: the tenant has no such contact.
            Outdated: `if_version` is not its version.
            Unavailable: the database is away.
        """
        async with self._database.transaction() as tx:
            known = await _to_change(tx, tenant, contact)
            check_version(contact, known.version, if_version)
            await tx.execute(delete(contact_methods).where(contact_methods.c.contact_id == contact))
            await tx.execute(delete(contacts).where(contacts.c.tenant_id == tenant, contacts.c.id == contact))


async def contacts_of(connection: AsyncConnection, tenant: str, contact: str | None = None) -> list[Contact]:
    """The contacts of a tenant by name, or one of them."""
    columns, ways = contacts.c, contact_methods.c
    query = select(contacts).where(columns.tenant_id == tenant)
    if contact is not None:
        query = query.where(columns.id == contact)
    rows = (await connection.execute(query.order_by(columns.name, columns.id).limit(CONTACTS_PER_TENANT_MAX))).all()
    found: dict[str, list[Method]] = {row.id: [] for row in rows}
    of_them = select(contact_methods).where(ways.contact_id.in_(found)).order_by(ways.contact_id, ways.position)
    for row in await connection.execute(of_them):
        found[row.contact_id].append(
            Method(
                channel=row.channel,
                address=row.address,
                delivered_at=row.delivered_at,
                failed_at=row.failed_at,
                failure=row.failure,
            )
        )
    return [_contact(row, found[row.id]) for row in rows]


async def mark_way(tx: Transaction, contact: str, way: tuple[str, str], failure: str | None, now: datetime) -> None:
    """Remembers of a way to a person that it worked (`failure` is None), or why it never will."""
    columns = contact_methods.c
    values = {"failed_at": None, "failure": "", "delivered_at": now}
    if failure is not None:
        values = {"failed_at": now, "failure": failure}
    await tx.execute(
        update(contact_methods)
        .where(columns.contact_id == contact, columns.channel == way[0], columns.address == way[1])
        .values(**values)
    )


async def _to_change(tx: Transaction, tenant: str, contact: str) -> Contact:
    await tx.scalar(select(contacts.c.id).where(contacts.c.id == contact).with_for_update())
    return _found(await contacts_of(tx.connection, tenant, contact))


def _found(contacts: Sequence[Contact]) -> Contact:
    if not contacts:
        raise NotFound("contact", "there is no such contact")
    return contacts[0]


async def _check_ways(tx: Transaction, contact: Contact) -> None:
    """Whether nobody else has a mail address of theirs, and all webhooks are there."""
    ways = contact_methods.c
    mails = [method.address for method in contact.methods if method.channel == EMAIL]
    other = await tx.scalar(
        select(ways.contact_id)
        .where(ways.tenant_id == contact.tenant, ways.channel == EMAIL, ways.address.in_(mails))
        .where(ways.contact_id != contact.id)
        .limit(1)
    )
    if other is not None:
        raise _second(str(other))
    hooks = {method.address for method in contact.methods if method.channel == WEBHOOK}
    # Locked until this is written: a webhook that is removed meanwhile is removed after it, and refuses.
    query = select(channels.c.id).where(channels.c.tenant_id == contact.tenant, channels.c.id.in_(hooks))
    known = {row.id for row in await tx.rows(query.with_for_update())}
    if hooks - known:
        raise Rejected("methods", f"there is no webhook {min(hooks - known)}")


async def _write_methods(tx: Transaction, contact: Contact) -> None:
    rows = [
        {
            "contact_id": contact.id,
            "tenant_id": contact.tenant,
            "position": position,
            **msgspec.structs.asdict(method),
        }
        for position, method in enumerate(contact.methods)
    ]
    await tx.execute(insert(contact_methods), rows)


async def _send_on(tx: Transaction, contact: Contact) -> None:
    mails = [method.address for method in contact.methods if method.channel == EMAIL]
    if not mails:
        return
    columns = notifications.c
    await tx.execute(
        update(notifications)
        .where(columns.contact_id == contact.id, columns.channel == EMAIL, columns.address.not_in(mails))
        .where(columns.state == DeliveryState.WAITING.value)
        .values(address=mails[0])
    )


def _kept(known: Sequence[Method], wanted: Sequence[Method]) -> list[Method]:
    """The ways that are wanted, with what is known of those that were there before."""
    before = {method.way: method for method in known}
    return [before.get(method.way, method) for method in wanted]


def _second(contact: str | None = None) -> Conflict:
    return Conflict("email", "a contact with this address exists already", contact=contact)


def _contact(row: Any, methods: list[Method]) -> Contact:
    return Contact(
        id=row.id,
        tenant=row.tenant_id,
        name=row.name,
        methods=methods,
        min_severity=Severity(row.min_severity),
        version=row.version,
    )


def _row(contact: Contact) -> dict[str, object]:
    return {
        "id": contact.id,
        "tenant_id": contact.tenant,
        "name": contact.name,
        "min_severity": contact.min_severity.value,
        "version": contact.version,
    }
