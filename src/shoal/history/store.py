"""The tables of the past, and the questions that pages ask of them."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Select,
    Table,
    Text,
    case,
    cast,
    delete,
    false,
    func,
    literal,
    select,
    tuple_,
    type_coerce,
)

from shoal.errors import Rejected
from shoal.events.device import Scalar
from shoal.history import refusal_store
from shoal.history.readings import Sample, is_cut
from shoal.history.refusal import Refusal
from shoal.history.refusal_store import Logged, RefusalFilter, forget_old_refusals
from shoal.history.tables import refusals
from shoal.storage.database import Database, Json, Timestamp, Transaction, metadata, upsert
from shoal.storage.tables import milliseconds, moment

# A chart on the widest screen has fewer pixels than this.
POINTS_MAX: Final = 2_000
# A device with more paths than this is a gateway for others, and its page has a search.
LAST_VALUES_MAX: Final = 1_000
# One screen of a timeline asks for 50; more in one answer only delays the first line.
LINES_MAX: Final = 200
# Rows deleted in one transaction: some 10 ms, so that nobody waits long for the writer.
FORGOTTEN_ROWS_MAX: Final = 5_000
# Until a farm has seen every season once, and can compare.
READINGS_KEPT: Final = timedelta(days=400)
TIMELINE_KEPT: Final = timedelta(days=400)

readings: Final = Table(
    "readings",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("time", Timestamp, primary_key=True),
    Column("value", Double),
    Column("text", Text),
    # One tree instead of a table and an index: half the size, and a chart reads neighbours.
    sqlite_with_rowid=False,
)
last_values: Final = Table(
    "last_values",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("value", Json, nullable=False),
    Column("time", Timestamp, nullable=False),
    # The moment is by the device's own clock, not when it came.
    Column("is_device_time", Boolean, nullable=False, server_default=false()),
    # What kind of value it is, where JSON does not tell (`Reading.kind`).
    Column("kind", Text),
    sqlite_with_rowid=False,
)
# Whoever holds a device in the hand reads its serial number; without this all values would be looked at.
_IS_SERIAL: Final = last_values.c.path == "/3/0/2"
Index("ix_last_values_serial", last_values.c.device_id, sqlite_where=_IS_SERIAL, postgresql_where=_IS_SERIAL)
timeline: Final = Table(
    "timeline",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("device_id", Text, nullable=False),
    Column("time", Timestamp, nullable=False),
    Column("kind", Text, nullable=False),
    Column("says", Text, nullable=False),
    Column("detail", Json, nullable=False),
)
Index("ix_timeline_device", timeline.c.device_id, timeline.c.time, timeline.c.id)
Index("ix_timeline_time", timeline.c.time)
# Devices that were removed, until the last of their rows is gone.
forgotten_devices: Final = Table(
    "forgotten_devices",
    metadata,
    Column("device_id", Text, primary_key=True),
)


class Point(msgspec.Struct, frozen=True):
    """Readings of one stretch of time, folded into one mark. `time` is that of the first of them."""

    time: datetime
    min: float
    mean: float
    max: float
    count: int


class LastValue(msgspec.Struct, frozen=True):
    """The latest value of a path. `is_device_time`: when that was, the device's own clock says.

    `kind` is that of the reading; values that came before readings had one have none.
    """

    path: str
    value: Scalar
    time: datetime
    is_device_time: bool = False
    kind: str | None = None

    @property
    def is_cut(self) -> bool:
        """The value is only the beginning of a long text: the device has the whole."""
        return is_cut(self.value)


class TimelineLine(msgspec.Struct, frozen=True):
    """One line of a device's past."""

    id: str
    time: datetime
    kind: str
    says: str
    detail: dict[str, Any]


class History:
    """Charts, last values and timelines. The caller has made sure that it may see the device."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def chart(self, device: str, path: str, since: datetime, until: datetime, points: int) -> list[Point]:
        """Numbers from `since` to `until`, in at most `points` marks. A stretch without readings has no mark: a gap."""
        if until <= since:
            raise Rejected("until", "not after the beginning")
        if not 1 <= points <= POINTS_MAX:
            raise Rejected("points", f"not from 1 to {POINTS_MAX}")
        start = milliseconds(since)
        width = -(-(milliseconds(until) - start) // points)
        time = type_coerce(readings.c.time, BigInteger)
        bucket = (time - start) // width
        value = readings.c.value
        query = (
            select(func.min(time), func.min(value), func.avg(value), func.max(value), func.count())
            .where(readings.c.device_id == device, readings.c.path == path, value.is_not(None))
            .where(readings.c.time >= since, readings.c.time < until)
            .group_by(bucket)
            .order_by(bucket)
            .limit(points)
        )
        async with self._database.reading() as connection:
            return [Point(moment(row[0]), *row[1:]) for row in await connection.execute(query)]

    async def last_values(self, device: str) -> list[LastValue]:
        """What the device said last, by path."""
        columns = last_values.c
        query = (
            select(columns.path, columns.value, columns.time, columns.is_device_time, columns.kind)
            .where(columns.device_id == device)
            .order_by(columns.path)
            .limit(LAST_VALUES_MAX)
        )
        async with self._database.reading() as connection:
            return [LastValue(*row) for row in await connection.execute(query)]

    async def devices_with(self, path: str, text: str, among: Select[tuple[str]], limit: int) -> dict[str, str]:
        """Devices whose latest value of a path begins so, in any case, and that value: whole matches first, then by value.

        `among` is the question for the ids of those that count: values do not know whose devices they are of.
        """
        columns = last_values.c
        kept = func.lower(cast(columns.value, Text))
        # As the column keeps it: JSON, so a text stands between quotation marks.
        whole = msgspec.json.encode(text.lower()).decode()
        query = (
            select(columns.device_id, columns.value)
            .where(columns.path == path, kept.startswith(whole.removesuffix('"'), autoescape=True))
            .where(columns.device_id.in_(among))
            .order_by(case((kept == whole, 0), else_=1), kept, columns.device_id)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            return {row[0]: str(row[1]) for row in await connection.execute(query)}

    async def last_values_of(
        self, devices: Collection[str], paths: Collection[str]
    ) -> dict[tuple[str, str], LastValue]:
        """Some paths of many devices at once: a list of devices shows one number of each."""
        columns = last_values.c
        query = (
            select(columns.device_id, columns.path, columns.value, columns.time)
            .where(columns.device_id.in_(devices), columns.path.in_(paths))
            .order_by(columns.device_id, columns.path)
            .limit(len(devices) * len(paths))
        )
        async with self._database.reading() as connection:
            rows = list(await connection.execute(query))
        return {(row[0], row[1]): LastValue(*row[1:]) for row in rows}

    async def timeline(
        self,
        device: str,
        before: tuple[datetime, str] | None,
        limit: int,
        kinds: Collection[str] = (),
    ) -> list[TimelineLine]:
        """The past of a device, newest first. `before` is time and id of the last line that the caller has."""
        columns = timeline.c
        query = (
            select(columns.id, columns.time, columns.kind, columns.says, columns.detail)
            .where(columns.device_id == device)
            .order_by(columns.time.desc(), columns.id.desc())
            .limit(min(limit, LINES_MAX))
        )
        if before is not None:
            time, id_ = before
            # In a tuple a bare moment would not take the type of its column.
            query = query.where(tuple_(columns.time, columns.id) < tuple_(literal(time, Timestamp()), literal(id_)))
        if kinds:
            query = query.where(columns.kind.in_(kinds))
        async with self._database.reading() as connection:
            return [TimelineLine(*row) for row in await connection.execute(query)]

    async def refusals(
        self,
        tenant: str,
        wanted: RefusalFilter,
        before: tuple[datetime, str] | None,
        limit: int,
        *,
        with_strangers: bool,
    ) -> list[Logged]:
        """A page of the security log, the entry that happened last first; with those of strangers when asked for."""
        return await refusal_store.entries(self._database, tenant, wanted, before, limit, with_strangers=with_strangers)

    async def write_refused(self, entries: Sequence[Refusal]) -> None:
        """Counts what was refused to people and programs."""
        async with self._database.transaction() as tx:
            await refusal_store.write_entries(tx, entries)

    async def forget(self, now: datetime) -> int:
        """Deletes one piece of what is too old, or of devices that were removed; how many rows.

        0: nothing is left, or another process is at it.
        """
        async with self._database.alone("history.forget") as is_mine, self._database.transaction() as tx:
            if not is_mine:
                return 0
            for device in await tx.rows(select(forgotten_devices.c.device_id).limit(1)):
                return await _forget_device(tx, device[0])
            return await _forget_old(tx, now)


async def write_samples(tx: Transaction, samples: Sequence[Sample]) -> None:
    """Every reading; the same one again changes nothing."""
    rows = [{"device_id": s.device, "path": s.path, "time": s.time, "value": s.value, "text": s.text} for s in samples]
    await upsert(tx, readings, rows, ["device_id", "path", "time"])


async def write_last_values(tx: Transaction, samples: Sequence[Sample]) -> None:
    """The newest wins, in whatever order they come."""
    rows = [
        {
            "device_id": sample.device,
            "path": sample.path,
            "value": sample.raw,
            "time": sample.time,
            "is_device_time": sample.is_device_time,
            "kind": sample.kind,
        }
        for sample in samples
    ]
    await upsert(
        tx, last_values, rows, ["device_id", "path"], where=lambda excluded: last_values.c.time <= excluded.time
    )


async def write_timeline(tx: Transaction, rows: Sequence[dict[str, object]]) -> None:
    """Lines under the ids of their events: a replay adds none."""
    await upsert(tx, timeline, rows, ["id"], update=())


async def mark_forgotten(tx: Transaction, devices: Collection[str]) -> None:
    """The past of these devices goes, piece by piece (`History.forget`)."""
    await upsert(tx, forgotten_devices, [{"device_id": device} for device in devices], ["device_id"], update=())


async def _forget_device(tx: Transaction, device: str) -> int:
    of_device = (
        (readings, [readings.c.device_id, readings.c.path, readings.c.time]),
        (last_values, [last_values.c.device_id, last_values.c.path]),
        (timeline, [timeline.c.id]),
        (refusals, [refusals.c.id]),
    )
    for table, key in of_device:
        piece = select(*key).where(table.c.device_id == device).limit(FORGOTTEN_ROWS_MAX)
        if deleted := (await tx.execute(delete(table).where(tuple_(*key).in_(piece)))).rowcount:
            return deleted
    await tx.execute(delete(forgotten_devices).where(forgotten_devices.c.device_id == device))
    return 1


async def _forget_old(tx: Transaction, now: datetime) -> int:
    piece = select(timeline.c.id).where(timeline.c.time < now - TIMELINE_KEPT).limit(FORGOTTEN_ROWS_MAX)
    lines = (await tx.execute(delete(timeline).where(timeline.c.id.in_(piece)))).rowcount
    lines += await forget_old_refusals(tx, now, FORGOTTEN_ROWS_MAX)
    # Readings are ordered by device: going through `last_values` finds the old ones of each path without a scan.
    columns = readings.c
    key = [columns.device_id, columns.path, columns.time]
    old = (
        select(*key)
        .select_from(last_values.join(readings, _same_path()))
        .where(columns.time < now - READINGS_KEPT)
        .limit(FORGOTTEN_ROWS_MAX)
    )
    return lines + (await tx.execute(delete(readings).where(tuple_(*key).in_(old)))).rowcount


def _same_path() -> Any:
    return (last_values.c.device_id == readings.c.device_id) & (last_values.c.path == readings.c.path)
