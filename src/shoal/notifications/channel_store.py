"""Webhooks in the database: where they go, and what signs them."""

from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import delete, func, insert, select, update

from shoal.clock import Clock
from shoal.errors import Conflict, NotFound, Unavailable, check_version
from shoal.ids import Prefix, new_id
from shoal.notifications.channel import WEBHOOK
from shoal.notifications.contact import parse_name
from shoal.notifications.outbound import Outbound
from shoal.notifications.tables import channels, contact_methods, contacts
from shoal.notifications.webhook import Endpoint, new_secret
from shoal.storage.database import Database, Transaction
from shoal.storage.secrets import Vault

CHANNELS_PER_TENANT_MAX: Final = 50  # more systems than that are told by the stream of events


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as people see it: never with its secret."""

    id: str
    tenant: str
    name: str
    url: str
    version: int
    created_at: datetime


class Channels:
    """What tenants set up to carry notifications. Mail and the dashboard are there without."""

    def __init__(self, database: Database, clock: Clock, vault: Vault, outbound: Outbound) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._outbound = outbound

    async def add(self, tenant: str, name: str, url: str) -> tuple[Webhook, str]:
        """A new webhook, and the secret that signs what it gets: shown now and never again.

        Raises:
            Rejected: not a name, or not a URL that may be called.
            Conflict: the tenant has very many already.
            Unavailable: the database is away.
        """
        webhook = Webhook(
            id=new_id(Prefix.CHANNEL),
            tenant=tenant,
            name=parse_name(name),
            url=self._outbound.checked(url),
            version=1,
            created_at=self._clock.now(),
        )
        secret = new_secret()
        async with self._database.transaction() as tx:
            count = await tx.scalar(select(func.count()).where(channels.c.tenant_id == tenant))
            if count >= CHANNELS_PER_TENANT_MAX:
                raise Conflict("channels", f"there are {CHANNELS_PER_TENANT_MAX} already")
            await tx.execute(insert(channels), _row(webhook) | {"secret": self._encrypted(webhook.id, secret)})
        return webhook, secret

    async def all(self, tenant: str) -> list[Webhook]:
        """All webhooks of a tenant, by name.

        Raises:
            Unavailable: the database is away.
        """
        columns = channels.c
        query = select(channels).where(columns.tenant_id == tenant).order_by(columns.name, columns.id)
        async with self._database.reading() as connection:
            return [_webhook(row) for row in await connection.execute(query.limit(CHANNELS_PER_TENANT_MAX))]

    async def one(self, tenant: str, channel: str) -> Webhook:
        """One webhook.

        Raises:
            NotFound: the tenant has no such webhook.
            Unavailable: the database is away.
        """
        query = select(channels).where(channels.c.tenant_id == tenant, channels.c.id == channel)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).first()
        return _webhook(_found(row))

    async def change(
        self,
        tenant: str,
        channel: str,
        *,
        name: str | None = None,
        url: str | None = None,
        if_version: int | None = None,
    ) -> Webhook:
        """Another name or URL. What waits goes to the new one.

        Raises:
            Rejected: not a name, or not a URL that may be called.
            NotFound: the tenant has no such webhook.
            Outdated: `if_version` is not its version.
            Unavailable: the database is away.
        """
        async with self._database.transaction() as tx:
            known = await _to_change(tx, tenant, channel, if_version)
            changed = msgspec.structs.replace(
                known,
                name=known.name if name is None else parse_name(name),
                url=known.url if url is None else self._outbound.checked(url),
                version=known.version + 1,
            )
            await tx.execute(update(channels).where(channels.c.id == channel).values(**_row(changed)))
        return changed

    async def rotate(self, tenant: str, channel: str, if_version: int | None = None) -> tuple[Webhook, str]:
        """A new secret in place of the old one, which signs nothing any more.

        Raises:
            NotFound: the tenant has no such webhook.
            Outdated: `if_version` is not its version.
            Unavailable: the database is away.
        """
        secret = new_secret()
        async with self._database.transaction() as tx:
            known = await _to_change(tx, tenant, channel, if_version)
            changed = msgspec.structs.replace(known, version=known.version + 1)
            values = _row(changed) | {"secret": self._encrypted(channel, secret)}
            await tx.execute(update(channels).where(channels.c.id == channel).values(**values))
        return changed, secret

    async def remove(self, tenant: str, channel: str, if_version: int | None = None) -> None:
        """Forgets a webhook.

        Raises:
            NotFound: the tenant has no such webhook.
            Conflict: somebody is reached by it.
            Outdated: `if_version` is not its version.
            Unavailable: the database is away.
        """
        ways = contact_methods.c
        async with self._database.transaction() as tx:
            await _to_change(tx, tenant, channel, if_version)
            user = await tx.scalar(
                select(contacts.c.name)
                .join_from(contacts, contact_methods, ways.contact_id == contacts.c.id)
                .where(ways.channel == WEBHOOK, ways.address == channel)
                .limit(1)
            )
            if user is not None:
                raise Conflict(channel, f"{user} is reached by it")
            await tx.execute(delete(channels).where(channels.c.id == channel))

    async def endpoint(self, channel: str) -> Endpoint:
        """Where a webhook goes and what signs it: for the sender alone.

        Raises:
            NotFound: there is no such webhook.
            Unavailable: the database is away, or the secret is of another master key.
        """
        async with self._database.reading() as connection:
            row = (await connection.execute(select(channels).where(channels.c.id == channel))).first()
        found = _found(row)
        if found.secret is None:
            raise Unavailable("webhook", "its secret was lost with a master key", "Make it a new one")
        return Endpoint(found.url, self._vault.decrypt(found.secret, channel).decode())

    def _encrypted(self, channel: str, secret: str) -> bytes:
        return self._vault.encrypt(secret.encode(), channel)


async def _to_change(tx: Transaction, tenant: str, channel: str, if_version: int | None) -> Webhook:
    query = select(channels).where(channels.c.tenant_id == tenant, channels.c.id == channel).with_for_update()
    rows = await tx.rows(query)
    known = _webhook(_found(rows[0] if rows else None))
    check_version(channel, known.version, if_version)
    return known


def _found(row: Any) -> Any:
    if row is None:
        raise NotFound("channel", "there is no such webhook")
    return row


def _webhook(row: Any) -> Webhook:
    return Webhook(
        id=row.id,
        tenant=row.tenant_id,
        name=row.name,
        url=row.url,
        version=row.version,
        created_at=row.created_at,
    )


def _row(webhook: Webhook) -> dict[str, object]:
    values = msgspec.structs.asdict(webhook)
    return {"tenant_id": values.pop("tenant"), **values}
