"""The audit log in the database."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, Index, Row, String, Table, Text, delete, insert, literal, select, tuple_

from shoal.audit.entry import Act, Actor, Entry
from shoal.errors import Rejected
from shoal.ids import TenantId
from shoal.storage.database import AutoId, Database, Json, Timestamp, Transaction, metadata

# Entries on one page.
ENTRIES_MAX: Final = 500
# Deleted in one transaction, so that others get their turn.
FORGOTTEN_PER_ROUND_MAX: Final = 1_000

audit_log: Final = Table(
    "audit_log",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("tenant_id", String(16), nullable=False),
    Column("at", Timestamp, nullable=False),
    # A person or a token. Both may be gone by the time that somebody reads this: the name is that of then.
    Column("by_id", String(16), nullable=False),
    Column("by_name", Text, nullable=False),
    Column("address", String(64), nullable=False),
    Column("action", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("thing", String(16)),
    Column("path", Text, nullable=False),
    Column("before", Json()),
    Column("after", Json()),
    Index("ix_audit_log_tenant", "tenant_id", "at", "id"),
    Index("ix_audit_log_by", "tenant_id", "by_id", "at", "id"),
    Index("ix_audit_log_thing", "tenant_id", "thing", "at", "id"),
    Index("ix_audit_log_at", "at"),
)


class Audit:
    """The audit log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(
        self,
        tx: Transaction,
        subject: Actor,
        act: Act,
        *,
        at: datetime,
        address: str,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes an entry in the transaction of what it tells of: both are kept, or neither."""
        await tx.execute(
            insert(audit_log).values(
                tenant_id=subject.tenant,
                at=at,
                by_id=subject.id,
                by_name=subject.name,
                address=address[:64],
                action=act.action,
                resource=act.resource,
                thing=act.thing,
                path=act.path,
                before=before,
                after=after,
            )
        )

    async def entries(
        self,
        tenant: TenantId,
        *,
        by: str | None = None,
        thing: str | None = None,
        resource: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: tuple[datetime, int] | None = None,
        limit: int = ENTRIES_MAX,
    ) -> list[Entry]:
        """Entries of a tenant, newest first; the next page is `before` the last one's time and id.

        Raises:
            Rejected: a limit that is none.
        """
        if not 1 <= limit <= ENTRIES_MAX:
            raise Rejected("limit", f"{limit}, expected 1 to {ENTRIES_MAX}")
        at = audit_log.c
        query = select(audit_log).where(at.tenant_id == tenant).order_by(at.at.desc(), at.id.desc()).limit(limit)
        for column, wanted in ((at.by_id, by), (at.thing, thing), (at.resource, resource), (at.action, action)):
            if wanted is not None:
                query = query.where(column == wanted)
        if since is not None:
            query = query.where(at.at >= since)
        if until is not None:
            query = query.where(at.at < until)
        if before is not None:
            # In a tuple a bare moment would not take the type of its column.
            query = query.where(tuple_(at.at, at.id) < tuple_(literal(before[0], Timestamp()), literal(before[1])))
        async with self._database.reading() as connection:
            return [_entry(row) for row in await connection.execute(query)]

    async def forget(self, now: datetime, kept: timedelta) -> int:
        """Deletes one piece of what is too old; how many entries. 0: nothing is left to delete."""
        old = select(audit_log.c.id).where(audit_log.c.at < now - kept).limit(FORGOTTEN_PER_ROUND_MAX)
        async with self._database.transaction() as tx:
            return (await tx.execute(delete(audit_log).where(audit_log.c.id.in_(old)))).rowcount


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        id=row.id,
        tenant=row.tenant_id,
        at=row.at,
        by=row.by_id,
        by_name=row.by_name,
        address=row.address,
        act=Act(action=row.action, resource=row.resource, thing=row.thing, path=row.path),
        before=row.before,
        after=row.after,
    )
