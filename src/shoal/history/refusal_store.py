"""The security log in the database: written with the events that it is made of, searched, and forgotten."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Row, Select, delete, func, literal, or_, select, tuple_

from shoal.events.codec import AnyEvent
from shoal.history.refusal import NOBODY, Refusal, folded, refusal, within_bounds
from shoal.history.tables import refusals
from shoal.storage.database import Database, Timestamp, Transaction, upsert

# Entries on one page.
ENTRIES_MAX: Final = 200
# A quarter: what an audit of who knocked at the door asks for.
KEPT: Final = timedelta(days=90)
# Ids asked for at once: PostgreSQL and SQLite take thirty times as many parameters.
IDS_PER_QUERY_MAX: Final = 1_000
# A row has a method `count` of its own.
_COLUMNS: Final = (*(column for column in refusals.c if column.name != "count"), refusals.c.count.label("times"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalFilter:
    """What an entry has to be like. `q` is a piece of an identity, an endpoint name or an address, in any case.

    `among` asks for the devices that matter, None for all. `subject` is a person or a token; what was refused to those is
    left out without `with_people`.
    """

    q: str | None = None
    reason: str | None = None
    identity: str | None = None
    address: str | None = None
    device: str | None = None
    subject: str | None = None
    with_people: bool = True
    among: Select[tuple[str]] | None = None
    since: datetime | None = None
    until: datetime | None = None


class Logged(msgspec.Struct, frozen=True):
    """An entry as it is kept. `id` with the moment of the last occurrence is its place in the list."""

    id: str
    refusal: Refusal


async def write_refusals(tx: Transaction, events: Sequence[AnyEvent]) -> None:
    """Counts what was refused. The same events again change nothing."""
    await write_entries(tx, [entry for event in events if (entry := refusal(event)) is not None])


async def write_entries(tx: Transaction, entries: Sequence[Refusal]) -> None:
    """Counts these. The same ones again change nothing."""
    if not entries:
        return
    known = await _known(tx, sorted({entry.id for entry in entries}))
    fresh = folded(entries, known)
    kept = await _counts(
        tx, {(entry.tenant, entry.device, entry.subject, entry.day) for key, entry in fresh.items() if key not in known}
    )
    rows = [_row(entry) for entry in within_bounds(fresh.values(), known, kept)]
    await upsert(
        tx,
        refusals,
        rows,
        ["id"],
        update=("last_at", "code", "detail"),
        where=lambda excluded: refusals.c.last_at < excluded.last_at,
        added=("count",),
    )


async def entries(
    database: Database,
    tenant: str,
    wanted: RefusalFilter,
    before: tuple[datetime, str] | None,
    limit: int,
    *,
    with_strangers: bool,
) -> list[Logged]:
    """Entries of a tenant, the one that happened last first; with those of strangers when asked for.

    `before` is the place of the last one that the caller has.
    """
    columns = refusals.c
    whose = [tenant, NOBODY] if with_strangers else [tenant]
    query = (
        select(*_COLUMNS)
        .where(columns.tenant_id.in_(whose), *_conditions(wanted))
        .order_by(columns.last_at.desc(), columns.id.desc())
        .limit(min(limit, ENTRIES_MAX))
    )
    if before is not None:
        time, id_ = before
        # In a tuple a bare moment would not take the type of its column.
        query = query.where(tuple_(columns.last_at, columns.id) < tuple_(literal(time, Timestamp()), literal(id_)))
    async with database.reading() as connection:
        return [_logged(row) for row in await connection.execute(query)]


async def forget_old_refusals(tx: Transaction, now: datetime, rows_max: int) -> int:
    """Deletes a piece of what is too old; how many rows."""
    piece = select(refusals.c.id).where(refusals.c.last_at < now - KEPT).limit(rows_max)
    return (await tx.execute(delete(refusals).where(refusals.c.id.in_(piece)))).rowcount


def _conditions(wanted: RefusalFilter) -> list[ColumnElement[bool]]:
    columns = refusals.c
    equal = (
        (columns.reason, wanted.reason),
        (columns.identity, wanted.identity),
        (columns.address, wanted.address),
        (columns.device_id, wanted.device),
        (columns.subject_id, wanted.subject),
    )
    conditions = [column == value for column, value in equal if value is not None]
    if wanted.q:
        sought = (columns.identity, columns.endpoint, columns.address)
        conditions.append(or_(*(func.lower(column).contains(wanted.q.lower(), autoescape=True) for column in sought)))
    if not wanted.with_people:
        conditions.append(columns.subject_id == NOBODY)
    if wanted.among is not None:
        conditions.append(columns.device_id.in_(wanted.among))
    if wanted.since is not None:
        conditions.append(columns.last_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(columns.first_at < wanted.until)
    return conditions


async def _known(tx: Transaction, ids: Sequence[str]) -> dict[str, datetime]:
    """Those of these entries that are kept, with the moment of the last occurrence."""
    known: dict[str, datetime] = {}
    for start in range(0, len(ids), IDS_PER_QUERY_MAX):
        piece = ids[start : start + IDS_PER_QUERY_MAX]
        query = select(refusals.c.id, refusals.c.last_at).where(refusals.c.id.in_(piece))
        known.update({row.id: row.last_at for row in await tx.rows(query)})
    return known


async def _counts(tx: Transaction, owners: set[tuple[str, str, str, date]]) -> dict[tuple[str, str, date, str], int]:
    """How many entries there are of each source, of these tenants, devices, people or tokens, and days."""
    columns = refusals.c
    counts: dict[tuple[str, str, date, str], int] = {}
    for tenant, device, subject, day in sorted(owners):
        query = (
            select(columns.source, func.count().label("entries"))
            .where(
                columns.tenant_id == tenant,
                columns.device_id == device,
                columns.subject_id == subject,
                columns.day == day,
            )
            .group_by(columns.source)
        )
        owner = device or subject
        counts.update({(tenant, owner, day, row.source): row.entries for row in await tx.rows(query)})
    return counts


def _row(entry: Refusal) -> dict[str, Any]:
    row = msgspec.structs.asdict(entry)
    for name in ("tenant", "device", "subject", "place", "policy"):
        row[f"{name}_id"] = row.pop(name)
    return row | {"id": entry.id, "day": entry.day, "source": entry.source}


def _logged(row: Row[Any]) -> Logged:
    entry = Refusal(
        tenant=row.tenant_id,
        device=row.device_id,
        kind=row.kind,
        reason=row.reason,
        operation=row.operation,
        code=row.code,
        identity=row.identity,
        endpoint=row.endpoint,
        address=row.address,
        subject=row.subject_id,
        place=row.place_id,
        policy=row.policy_id,
        is_rest=row.is_rest,
        detail=row.detail,
        count=row.times,
        first_at=row.first_at,
        last_at=row.last_at,
    )
    return Logged(row.id, entry)
