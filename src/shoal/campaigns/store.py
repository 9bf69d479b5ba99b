"""Artifacts, updates, and what devices said that matters for updates, in the database."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Boolean, Column, Index, Integer, Table, Text, delete, func, insert, or_, select

from shoal.campaigns.artifact import Artifact, ArtifactKind
from shoal.campaigns.facts import DeviceFacts
from shoal.campaigns.update import Update, UpdateState
from shoal.errors import Conflict, NotFound, Rejected
from shoal.events.campaign import UpdateChanged
from shoal.ids import Prefix, derived_id
from shoal.storage.database import Database, Json, Timestamp, Transaction, metadata, upsert

artifacts: Final = Table(
    "artifacts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("by", Text),
    Index("uq_artifacts_version", "tenant_id", "kind", "name", "version", unique=True),
)

updates: Final = Table(
    "updates",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("farm_id", Text),
    Column("device_id", Text, nullable=False),
    Column("artifact_id", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("is_over", Boolean, nullable=False),
    Column("due_at", Timestamp),
    Column("created_at", Timestamp, nullable=False),
    Column("body", Json(Update), nullable=False),
)
_IS_ON = updates.c.is_over.is_(False)
# One update of a device at a time: object 5 has one state.
Index("uq_updates_device", updates.c.device_id, unique=True, sqlite_where=_IS_ON, postgresql_where=_IS_ON)
Index("ix_updates_due", updates.c.partition, updates.c.due_at)
Index("ix_updates_list", updates.c.tenant_id, updates.c.created_at, updates.c.id)

device_facts: Final = Table(
    "device_facts",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("facts", Json(DeviceFacts), nullable=False),
)

# What is wrong with devices now, as health tells it: what was wrong before an install is not the fault of that.
open_conditions: Final = Table(
    "open_conditions",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("condition", Text, primary_key=True),
    Column("since", Timestamp, nullable=False),
)

ITEMS_PER_PAGE_MAX: Final = 200  # a page of a screen
UPDATES_PER_PASS_MAX: Final = 200  # whose timers fire in one transaction; the rest is due in the next, at once
# How far back we look for what a device ran before.
HISTORY_MAX: Final = 200  # a device that was updated every week for four years
# Seeds tried for an update's id: ids have 35 bits, and even with a million updates the second is free.
SEEDS_MAX: Final = 8  # after that something else is wrong


class UpdatePage(msgspec.Struct, frozen=True, kw_only=True):
    """Some updates, newest first; `next` is the cursor for those after them."""

    items: list[Update]
    next: str | None


async def add_artifact(tx: Transaction, artifact: Artifact) -> Artifact:
    """Writes an artifact down; the one that is there already when it is the same.

    Raises:
        Conflict: this name and version belong to other bytes.
    """
    columns = artifacts.c
    rows = await tx.rows(
        select(artifacts).where(
            columns.tenant_id == artifact.tenant,
            columns.kind == artifact.kind.value,
            columns.name == artifact.name,
            columns.version == artifact.version,
        )
    )
    if rows:
        known = _artifact(rows[0])
        if known.sha256 != artifact.sha256:
            raise Conflict("version", "there is another file under this name and version", artifact=known.id)
        return known
    values = msgspec.structs.asdict(artifact)
    tenant = values.pop("tenant")
    await tx.execute(insert(artifacts), {**values, "kind": artifact.kind.value, "tenant_id": tenant})
    return artifact


async def list_artifacts(database: Database, tenant: str, kind: ArtifactKind | None, limit: int) -> list[Artifact]:
    """Artifacts of a tenant, newest first."""
    columns = artifacts.c
    query = select(artifacts).where(columns.tenant_id == tenant)
    if kind is not None:
        query = query.where(columns.kind == kind.value)
    query = query.order_by(columns.created_at.desc(), columns.id).limit(min(limit, ITEMS_PER_PAGE_MAX))
    async with database.reading() as connection:
        return [_artifact(row) for row in await connection.execute(query)]


async def one_artifact(database: Database, tenant: str, artifact: str) -> Artifact:
    """One artifact. Raises NotFound."""
    query = select(artifacts).where(artifacts.c.tenant_id == tenant, artifacts.c.id == artifact)
    async with database.reading() as connection:
        row = (await connection.execute(query)).first()
    if row is None:
        raise NotFound("artifact", "there is no such artifact")
    return _artifact(row)


async def artifact_of(tx: Transaction, tenant: str, artifact: str) -> Artifact:
    """One artifact, inside a transaction. Raises NotFound."""
    rows = await tx.rows(select(artifacts).where(artifacts.c.tenant_id == tenant, artifacts.c.id == artifact))
    if not rows:
        raise NotFound("artifact", "there is no such artifact")
    return _artifact(rows[0])


async def fetching(database: Database) -> list[tuple[Artifact, str]]:
    """Artifacts with the devices that may be fetching them now. A device has one update at a time."""
    query = (
        select(*artifacts.c, updates.c.device_id.label("fetching_device"))
        .join(updates, updates.c.artifact_id == artifacts.c.id)
        .where(_IS_ON)
        .order_by(updates.c.device_id)
    )
    async with database.reading() as connection:
        return [(_artifact(row), row.fetching_device) for row in await connection.execute(query)]


async def list_updates(
    database: Database,
    tenant: str,
    *,
    device: str | None,
    farm: str | None,
    states: Sequence[UpdateState],
    after: str | None,
    limit: int,
) -> UpdatePage:
    """Updates of a tenant, newest first. Raises Rejected for a cursor that is none of ours."""
    columns = updates.c
    wanted: list[Any] = [columns.tenant_id == tenant]
    if device is not None:
        wanted.append(columns.device_id == device)
    if farm is not None:
        wanted.append(columns.farm_id == farm)
    if states:
        wanted.append(columns.state.in_([state.value for state in states]))
    limit = max(1, min(limit, ITEMS_PER_PAGE_MAX))
    async with database.reading() as connection:
        if after is not None:
            created_at = await connection.scalar(
                select(columns.created_at).where(columns.tenant_id == tenant, columns.id == after)
            )
            if created_at is None:
                raise Rejected("cursor", "not a cursor of this list")
            wanted.append(
                or_(columns.created_at < created_at, (columns.created_at == created_at) & (columns.id > after))
            )
        query = select(columns.body).where(*wanted).order_by(columns.created_at.desc(), columns.id).limit(limit + 1)
        found: list[Update] = [row[0] for row in await connection.execute(query)]
    items = found[:limit]
    return UpdatePage(items=items, next=items[-1].id if len(found) > limit else None)


async def one_update(database: Database, tenant: str, update: str) -> Update:
    """One update. Raises NotFound."""
    async with database.reading() as connection:
        found = await connection.scalar(_of_tenant(tenant, update))
    return _found(found)


async def update_of(tx: Transaction, tenant: str, update: str) -> Update:
    """One update, inside a transaction that changes it. Raises NotFound."""
    return _found(await tx.scalar(_of_tenant(tenant, update).with_for_update()))


async def update_by_id(tx: Transaction, update: str) -> Update:
    """One update of whatever tenant, inside a transaction that changes it. Raises NotFound."""
    return _found(await tx.scalar(select(updates.c.body).where(updates.c.id == update).with_for_update()))


async def history_of(tx: Transaction, device: str, kind: ArtifactKind) -> list[Update]:
    """The updates of one kind of a device, newest first."""
    columns = updates.c
    query = (
        select(columns.body)
        .where(columns.device_id == device)
        .order_by(columns.created_at.desc(), columns.id)
        .limit(HISTORY_MAX)
    )
    return [row.body for row in await tx.rows(query) if row.body.kind is kind]


async def whose_ever(database: Database, update: str) -> Update:
    """One update of whatever tenant, for who holds its address. Raises NotFound."""
    async with database.reading() as connection:
        found = await connection.scalar(select(updates.c.body).where(updates.c.id == update))
    return _found(found)


async def name(tx: Transaction, device: str, artifact: str, at: datetime) -> str:
    """The id of a new update."""
    ids = [
        derived_id(Prefix.CAMPAIGN, f"{device}|{artifact}|{at.isoformat()}|{attempt}".encode())
        for attempt in range(SEEDS_MAX)
    ]
    known = {row.id for row in await tx.rows(select(updates.c.id).where(updates.c.id.in_(ids)))}
    return next(candidate for candidate in ids if candidate not in known)


async def load_facts(tx: Transaction, devices: Collection[str]) -> dict[str, tuple[DeviceFacts, int]]:
    """The facts of some devices, each with the partition that its events come in."""
    columns = device_facts.c
    query = select(columns.facts, columns.partition).where(columns.device_id.in_(sorted(devices)))
    return {row.facts.device: (row.facts, row.partition) for row in await tx.rows(query)}


async def heard_of(tx: Transaction, unheard: DeviceFacts) -> tuple[DeviceFacts, int]:
    """The facts of one device and the partition that its events come in; `unheard` while none came."""
    return (await load_facts(tx, [unheard.device])).get(unheard.device, (unheard, 0))


async def save_facts(tx: Transaction, facts: Collection[tuple[DeviceFacts, int]]) -> None:
    """Writes what devices said, each with the partition that its events come in."""
    rows = [
        {"device_id": one.device, "tenant_id": one.tenant, "partition": partition, "facts": one}
        for one, partition in facts
    ]
    await upsert(tx, device_facts, rows, ["device_id"])


async def forget_facts(tx: Transaction, devices: Collection[str]) -> None:
    """Deletes what devices said that the inventory deleted."""
    if devices:
        await tx.execute(delete(device_facts).where(device_facts.c.device_id.in_(sorted(devices))))


async def open_conditions_of(tx: Transaction, device: str) -> tuple[str, ...]:
    """What is wrong with a device now."""
    query = select(open_conditions.c.condition).where(open_conditions.c.device_id == device)
    return tuple(sorted(row.condition for row in await tx.rows(query)))


async def keep_condition(tx: Transaction, device: str, condition: str, since: datetime) -> None:
    """Something is wrong with a device from now on."""
    row = {"device_id": device, "condition": condition, "since": since}
    await upsert(tx, open_conditions, [row], ["device_id", "condition"])


async def close_condition(tx: Transaction, device: str, condition: str) -> None:
    """It is not any more."""
    columns = open_conditions.c
    await tx.execute(delete(open_conditions).where(columns.device_id == device, columns.condition == condition))


async def running(tx: Transaction, devices: Collection[str]) -> dict[str, Update]:
    """The updates that run on some devices, by device, to be changed."""
    columns = updates.c
    query = (
        select(columns.body)
        .where(columns.device_id.in_(sorted(devices)), _IS_ON)
        # What a device says and what health says of it may move it at the same time: locked in one order.
        .order_by(columns.device_id)
        .with_for_update()
    )
    return {row.body.device: row.body for row in await tx.rows(query)}


async def due(tx: Transaction, partition: int, watermark: datetime) -> list[Update]:
    """Updates whose timers have run out, longest overdue first. To move them, load them: this holds on to none."""
    columns = updates.c
    query = (
        select(columns.body)
        .where(columns.partition == partition, columns.due_at <= watermark, _IS_ON)
        .order_by(columns.due_at, columns.id)
        .limit(UPDATES_PER_PASS_MAX)
    )
    return [row.body for row in await tx.rows(query)]


async def save_update(tx: Transaction, update: Update, partition: int) -> None:
    """Writes an update.

    Raises:
        Conflict: another update of this device is running.
    """
    if not update.state.is_end:
        other = await tx.scalar(
            select(updates.c.id).where(updates.c.device_id == update.device, updates.c.id != update.id, _IS_ON)
        )
        if other is not None:
            raise Conflict("update", "another update of this device is running", update=str(other))
    tx.poke(updates.name)
    row = {
        "id": update.id,
        "tenant_id": update.tenant,
        "farm_id": update.farm,
        "device_id": update.device,
        "artifact_id": update.artifact,
        "partition": partition,
        "state": update.state.value,
        "is_over": update.state.is_end,
        "due_at": update.due_at,
        "created_at": update.created_at,
        "body": update,
    }
    await upsert(tx, updates, [row], ["id"])


async def counts(database: Database, tenant: str) -> dict[UpdateState, int]:
    """How many updates of a tenant are in which state."""
    columns = updates.c
    query = select(columns.state, func.count()).where(columns.tenant_id == tenant).group_by(columns.state)
    found = dict.fromkeys(UpdateState, 0)
    async with database.reading() as connection:
        for state, count in await connection.execute(query):
            found[UpdateState(state)] = count
    return found


def changed_event(update: Update, was: UpdateState | None, at: datetime) -> UpdateChanged:
    """What others must know of a step."""
    return UpdateChanged(
        id=f"{update.id}-{update.changes}",
        time=at,
        update=update.id,
        tenant=update.tenant,
        farm=update.farm,
        device=update.device,
        artifact=update.artifact,
        name=update.name,
        version=update.version,
        state=update.state.value,
        was=was.value if was else None,
        reason=update.reason,
        deadline=update.deadline,
        bytes=update.bytes,
        size=update.size,
        undoes=update.undoes,
    )


def _of_tenant(tenant: str, update: str) -> Any:
    return select(updates.c.body).where(updates.c.tenant_id == tenant, updates.c.id == update)


def _found(update: object) -> Update:
    if not isinstance(update, Update):
        raise NotFound("update", "there is no such update")
    return update


def _artifact(row: Any) -> Artifact:
    return Artifact(
        id=row.id,
        tenant=row.tenant_id,
        kind=ArtifactKind(row.kind),
        name=row.name,
        version=row.version,
        size=row.size,
        sha256=row.sha256,
        created_at=row.created_at,
        by=row.by,
    )
