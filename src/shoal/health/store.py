"""Health records in the database: what the worker folds into, and what screens ask.

`device_health` holds each record as JSON, beside the columns that are searched by.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Boolean, Column, Index, Integer, Select, Table, Text, case, delete, func, select

from shoal.access.decision import EVERYWHERE, Reach
from shoal.clock import Clock
from shoal.events.condition import Verdict
from shoal.events.severity import Severity
from shoal.health.coverage import Coverage, Quantity, Watcher, coverage
from shoal.health.outage import PartitionHearing
from shoal.health.record import HealthRecord
from shoal.health.silence import expected_by, silent_at
from shoal.health.status import Status
from shoal.health.verdict import quiet_verdict
from shoal.health.vitals import Vitals
from shoal.storage.database import Database, Json, Timestamp, Transaction, metadata, upsert
from shoal.storage.reach import within

device_health: Final = Table(
    "device_health",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("farm_id", Text),
    Column("enclosure_id", Text),
    Column("partition", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("cause", Text),
    Column("is_late", Boolean, nullable=False),
    Column("quantities", Json(tuple[Quantity, ...]), nullable=False),
    Column("last_heard_at", Timestamp),
    Column("awake_until", Timestamp),
    Column("due_at", Timestamp),
    Column("record", Json(HealthRecord), nullable=False),
    Index("ix_device_health_due", "partition", "due_at"),
    Index("ix_device_health_tenant", "tenant_id", "farm_id", "enclosure_id"),
)

health_partitions: Final = Table(
    "health_partitions",
    metadata,
    Column("partition", Integer, primary_key=True),
    Column("hearing", Json(PartitionHearing), nullable=False),
)

# Devices asked for at once: a screen shows a page of them.
DEVICES_PER_QUESTION_MAX: Final = 1_000  # below SQLite's bound on parameters
# Devices whose timers fire in one pass; the rest is due in the next, at once.
TIMERS_PER_PASS_MAX: Final = 1_000  # as many as records in a batch, so a pass is no longer than a batch
# Heartbeats come every 5 s. A partition that has been behind for a minute is told to people.
STALE_AFTER: Final = timedelta(seconds=60)


class OpenCondition(msgspec.Struct, frozen=True, kw_only=True):
    """A condition of a device that is open now."""

    episode: str
    condition: str
    instance: str
    severity: Severity
    since: datetime
    verdict: Verdict


class DeviceHealth(msgspec.Struct, frozen=True, kw_only=True):
    """All that a screen shows about the health of one device.

    `verdict` is why it is not well, or why it is quiet; None for a device that is well and awake. With `is_stale` set
    we do not hear at the moment, and what stands here is from then.
    """

    device: str
    status: Status
    cause: str | None
    since: datetime | None
    verdict: Verdict | None
    severity: Severity | None
    conditions: list[OpenCondition]
    vitals: Vitals
    last_heard_at: datetime | None
    expected_by: datetime | None
    silent_at: datetime | None
    awake_until: datetime | None
    is_asleep: bool
    is_late: bool
    is_stale: bool


class PlaceHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How many devices of a place have which status."""

    farm: str | None
    enclosure: str | None
    counts: dict[Status, int]
    asleep: int = 0


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The health of all devices of a tenant, and since when we hear nobody (None: we hear)."""

    counts: dict[Status, int]
    asleep: int = 0
    places: list[PlaceHealth]
    delayed_since: datetime | None


class Health:
    """What screens and the API ask about health. Knows nothing of devices that were never told to it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def summary(self, tenant: str, farm: str | None = None, reach: Reach = EVERYWHERE) -> Summary:
        """Counts by status, for the tenant (or one farm of it) and for each enclosure, of what is in reach.

        Raises:
            Unavailable: the database is away.
        """
        columns = device_health.c
        async with self._database.reading() as connection:
            hearings = [row[0] for row in await connection.execute(select(health_partitions.c.hearing))]
            now = self._clock.now()
            deaf_since = delayed_since(hearings, now)
            is_asleep = (columns.awake_until < (deaf_since or now)) & (columns.status != Status.SILENT.value)
            query = (
                select(
                    columns.farm_id,
                    columns.enclosure_id,
                    columns.status,
                    func.count(),
                    func.sum(case((is_asleep, 1), else_=0)),
                )
                .where(*_in_place(tenant, farm, None, reach))
                .group_by(columns.farm_id, columns.enclosure_id, columns.status)
                .order_by(columns.farm_id, columns.enclosure_id, columns.status)
            )
            rows = list(await connection.execute(query))
        counts = dict.fromkeys(Status, 0)
        places: dict[tuple[str | None, str | None], PlaceHealth] = {}
        for farm_id, enclosure_id, word, count, asleep in rows:
            counts[Status(word)] += count
            place = places.get((farm_id, enclosure_id)) or PlaceHealth(
                farm=farm_id, enclosure=enclosure_id, counts=dict.fromkeys(Status, 0)
            )
            place.counts[Status(word)] += count
            places[farm_id, enclosure_id] = msgspec.structs.replace(place, asleep=place.asleep + asleep)
        return Summary(
            counts=counts,
            asleep=sum(place.asleep for place in places.values()),
            places=list(places.values()),
            delayed_since=deaf_since,
        )

    async def counts_of_all(self) -> dict[Status, int]:
        """How many devices have which status, over all tenants: for the operator of the installation.

        Raises:
            Unavailable: the database is away.
        """
        columns = device_health.c
        query = select(columns.status, func.count()).group_by(columns.status)
        counts = dict.fromkeys(Status, 0)
        async with self._database.reading() as connection:
            counts.update({Status(word): count for word, count in await connection.execute(query)})
        return counts

    async def devices_with(
        self,
        tenant: str,
        status: Status,
        *,
        farm: str | None = None,
        enclosure: str | None = None,
        kind: str | None = None,
        after: str | None = None,
        limit: int = DEVICES_PER_QUESTION_MAX,
        reach: Reach = EVERYWHERE,
    ) -> list[str]:
        """The ids of a tenant's devices of one status, by id; the next ones are `after` the last.

        Raises:
            Unavailable: the database is away.
        """
        columns = device_health.c
        query = select(columns.device_id).where(*_with_status(tenant, status, farm, enclosure, kind, reach))
        if after is not None:
            query = query.where(columns.device_id > after)
        query = query.order_by(columns.device_id).limit(min(limit, DEVICES_PER_QUESTION_MAX))
        async with self._database.reading() as connection:
            return list((await connection.scalars(query)).all())

    async def count_devices_with(
        self,
        tenant: str,
        status: Status,
        *,
        farm: str | None = None,
        enclosure: str | None = None,
        kind: str | None = None,
        reach: Reach = EVERYWHERE,
    ) -> int:
        """How many devices of a tenant have one status.

        Raises:
            Unavailable: the database is away.
        """
        query = select(func.count()).where(*_with_status(tenant, status, farm, enclosure, kind, reach))
        async with self._database.reading() as connection:
            return int(await connection.scalar(query) or 0)

    async def of(self, tenant: str, devices: Sequence[str]) -> dict[str, DeviceHealth]:
        """The health of some devices of a tenant; those that health does not know are left out.

        Raises:
            Unavailable: the database is away.
        """
        columns = device_health.c
        query = (
            select(columns.record, health_partitions.c.hearing)
            .select_from(device_health.outerjoin(health_partitions, health_partitions.c.partition == columns.partition))
            .where(columns.tenant_id == tenant, columns.device_id.in_(list(devices)[:DEVICES_PER_QUESTION_MAX]))
            .order_by(columns.device_id)
        )
        now = self._clock.now()
        async with self._database.reading() as connection:
            rows: list[Any] = list(await connection.execute(query))
        return {record.device: device_view(record, hearing, now) for record, hearing in rows}

    async def coverage(
        self, tenant: str, farm: str | None = None, enclosure: str | None = None, reach: Reach = EVERYWHERE
    ) -> list[Coverage]:
        """What each enclosure can still see, for a tenant, a farm or one enclosure, by the devices in reach.

        Raises:
            Unavailable: the database is away.
        """
        columns = device_health.c
        query: Select[Any] = select(
            columns.enclosure_id, columns.kind, columns.quantities, columns.status, columns.is_late
        ).where(*_in_place(tenant, farm, enclosure, reach))
        async with self._database.reading() as connection:
            rows = list(await connection.execute(query.order_by(columns.device_id)))
        return coverage(
            Watcher(
                enclosure=row.enclosure_id,
                quantities=frozenset(row.quantities),
                status=Status(row.status),
                is_late=row.is_late,
            )
            for row in rows
        )

    async def delayed_since(self) -> datetime | None:
        """Since when our own ingestion stands still, None when it does not. What is silent cannot be judged meanwhile.

        Raises:
            Unavailable: the database is away.
        """
        return delayed_since(await self._hearings(), self._clock.now())

    async def heard_until(self) -> datetime | None:
        """Until when we heard: the last sign of life of all gateways, kept every 15 s; None before the first.

        Raises:
            Unavailable: the database is away.
        """
        hearings = await self._hearings()
        return max((hearing.heard_at for hearing in hearings if hearing.heard_at is not None), default=None)

    async def unheard(self) -> list[int]:
        """The node numbers of the gateways that our ingestion waits for, none while it goes on. All where it is behind.

        Raises:
            Unavailable: the database is away.
        """
        return unheard(await self._hearings(), self._clock.now())

    async def _hearings(self) -> list[PartitionHearing]:
        async with self._database.reading() as connection:
            return list((await connection.scalars(select(health_partitions.c.hearing))).all())


def _with_status(
    tenant: str, status: Status, farm: str | None, enclosure: str | None, kind: str | None, reach: Reach
) -> list[Any]:
    wanted = [*_in_place(tenant, farm, enclosure, reach), device_health.c.status == status.value]
    return wanted if kind is None else [*wanted, device_health.c.kind == kind]


def delayed_since(hearings: Iterable[PartitionHearing], now: datetime) -> datetime | None:
    """The oldest moment at which a partition that has heartbeats stopped to be heard; None when none has."""
    return min((since for hearing in hearings if (since := _stale_since(hearing, now)) is not None), default=None)


def unheard(hearings: Iterable[PartitionHearing], now: datetime) -> list[int]:
    """The node numbers that a partition waits for, by number; none while it is heard."""
    waiting = [hearing for hearing in hearings if _stale_since(hearing, now) is not None]
    return sorted({node for hearing in waiting for node in hearing.beats.unheard_since(now - STALE_AFTER)})


def device_view(record: HealthRecord, hearing: PartitionHearing | None, now: datetime) -> DeviceHealth:
    """A health record as a screen wants it. While we are deaf it shows what we knew, as of then."""
    hearing = hearing or PartitionHearing()
    stale_since = _stale_since(hearing, now)
    known = now if stale_since is None else stale_since
    heard, awake_until = record.presence.heard_at, record.awake_until
    is_asleep = awake_until is not None and known > awake_until and record.status is not Status.SILENT
    conditions = sorted(
        (
            OpenCondition(
                episode=episode.id,
                condition=episode.condition,
                instance=episode.instance,
                severity=episode.severity,
                since=episode.since,
                verdict=episode.verdict,
            )
            for episode in record.episodes.values()
            if episode.is_open
        ),
        key=lambda condition: (condition.severity.rank, condition.since, condition.condition),
    )
    is_late = any(condition.condition == "late" for condition in conditions)
    verdict = conditions[0].verdict if conditions else None
    if record.status is Status.SILENT or is_late or (verdict is None and is_asleep):
        verdict = quiet_verdict(record, known, hearing.pauses)
    return DeviceHealth(
        device=record.device,
        status=record.status,
        cause=record.cause,
        since=record.since,
        verdict=verdict,
        severity=conditions[0].severity if conditions else None,
        conditions=conditions,
        vitals=record.vitals,
        last_heard_at=heard,
        expected_by=expected_by(record.expectation, heard) if heard else None,
        silent_at=silent_at(record.expectation, heard, hearing.pauses) if heard else None,
        awake_until=awake_until,
        is_asleep=is_asleep,
        is_late=is_late,
        is_stale=stale_since is not None,
    )


async def load(tx: Transaction, devices: Collection[str]) -> dict[str, tuple[HealthRecord, int]]:
    """The records of some devices, each with the partition that its timers belong to; to be changed.

    Held until the commit, in the order of their ids: two topics tell of the same devices.
    """
    columns = device_health.c
    query = select(columns.record, columns.partition).where(columns.device_id.in_(sorted(devices)))
    query = query.order_by(columns.device_id).with_for_update()
    return {row.record.device: (row.record, row.partition) for row in await tx.rows(query)}


async def due(tx: Transaction, partition: int, watermark: datetime) -> list[HealthRecord]:
    """Records of a partition whose timers have run out, longest overdue first.

    Without those that somebody else holds: to wait for them out of the order of their ids could be for ever, and they
    are due in the next pass as well.
    """
    columns = device_health.c
    query = (
        select(columns.record)
        .where(columns.partition == partition, columns.due_at <= watermark)
        .order_by(columns.due_at, columns.device_id)
        .limit(TIMERS_PER_PASS_MAX)
        .with_for_update(skip_locked=True)
    )
    return [row.record for row in await tx.rows(query)]


async def save(tx: Transaction, records: Collection[tuple[HealthRecord, int]]) -> None:
    """Writes records, each with its partition."""
    rows = [
        {
            "device_id": record.device,
            "tenant_id": record.tenant,
            "farm_id": record.farm,
            "enclosure_id": record.enclosure,
            "partition": partition,
            "kind": record.kind,
            "status": record.status.value,
            "cause": record.cause,
            "is_late": any(episode.condition == "late" and episode.is_open for episode in record.episodes.values()),
            "quantities": tuple(sorted(record.measures)),
            "last_heard_at": record.presence.heard_at,
            "awake_until": record.awake_until,
            "due_at": record.due_at,
            "record": record,
        }
        for record, partition in records
    ]
    await upsert(tx, device_health, rows, ["device_id"])


async def forget(tx: Transaction, devices: Collection[str]) -> None:
    """Deletes the records of devices that the inventory deleted."""
    if devices:
        await tx.execute(delete(device_health).where(device_health.c.device_id.in_(sorted(devices))))


async def load_hearings(tx: Transaction, partitions: Collection[int]) -> dict[int, PartitionHearing]:
    """What these partitions have heard."""
    columns = health_partitions.c
    query = select(columns.partition, columns.hearing).where(columns.partition.in_(sorted(partitions)))
    found = {row.partition: row.hearing for row in await tx.rows(query)}
    return {partition: found.get(partition, PartitionHearing()) for partition in partitions}


async def save_hearing(tx: Transaction, partition: int, hearing: PartitionHearing) -> None:
    """Writes down what a partition has heard."""
    await upsert(tx, health_partitions, [{"partition": partition, "hearing": hearing}], ["partition"])


def _in_place(tenant: str, farm: str | None, enclosure: str | None, reach: Reach) -> list[Any]:
    columns = device_health.c
    wanted = [columns.tenant_id == tenant, within(reach, columns.farm_id, columns.enclosure_id, columns.device_id)]
    if farm is not None:
        wanted.append(columns.farm_id == farm)
    if enclosure is not None:
        wanted.append(columns.enclosure_id == enclosure)
    return wanted


def _stale_since(hearing: PartitionHearing, now: datetime) -> datetime | None:
    if not hearing.has_heartbeats or hearing.heard_at is None or now - hearing.heard_at <= STALE_AFTER:
        return None
    return hearing.heard_at
