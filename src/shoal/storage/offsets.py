"""How far each group of workers has come, kept beside what they wrote.

Moving an offset is a compare-and-set, and the first statement of a batch's transaction: of two workers that hold the
same partition (after a pause, a rebalance) one wins, the other finds no row and writes nothing.
"""

from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Column, Integer, Table, Text, select, update

from shoal.storage.database import Database, Transaction, upsert
from shoal.storage.tables import Timestamp, metadata

offsets: Final = Table(
    "offsets",
    metadata,
    Column("worker_group", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    # Up to when this group has judged the partition: timers never go back behind it after a restart.
    Column("watermark", Timestamp),
)


class Position(msgspec.Struct, frozen=True):
    """Where a group stands in one partition. `version` rises with every write, `next_offset` with every record."""

    next_offset: int
    version: int
    watermark: datetime | None


async def position(database: Database, group: str, topic: str, partition: int, first_offset: int) -> Position:
    """Where the group stands; a new group begins at `first_offset`."""
    found = await _find(database, group, topic, partition)
    if found is not None:
        return found
    row = {
        "worker_group": group,
        "topic": topic,
        "partition": partition,
        "next_offset": first_offset,
        "version": 0,
        "watermark": None,
    }
    async with database.transaction() as tx:
        # Another worker of the group may have made it a moment ago: then that one holds.
        await upsert(tx, offsets, [row], ["worker_group", "topic", "partition"], update=())
    return await _find(database, group, topic, partition) or Position(first_offset, 0, None)


async def move(
    tx: Transaction,
    group: str,
    topic: str,
    partition: int,
    held: Position,
    next_offset: int,
    watermark: datetime | None,
) -> Position | None:
    """Compares and sets: the new position, or None when somebody else has moved it since `held` was read."""
    columns = offsets.c
    moved = await tx.execute(
        update(offsets)
        .where(columns.worker_group == group, columns.topic == topic, columns.partition == partition)
        .where(columns.next_offset == held.next_offset, columns.version == held.version)
        .values(next_offset=next_offset, version=held.version + 1, watermark=watermark)
    )
    return Position(next_offset, held.version + 1, watermark) if moved.rowcount == 1 else None


async def positions(database: Database, group: str) -> dict[tuple[str, int], Position]:
    """All partitions of a group: for graphs of how far behind it is."""
    columns = offsets.c
    query = (
        select(columns.topic, columns.partition, columns.next_offset, columns.version, columns.watermark)
        .where(columns.worker_group == group)
        .order_by(columns.topic, columns.partition)
    )
    async with database.reading() as connection:
        rows: list[Any] = list(await connection.execute(query))
    return {(row[0], row[1]): Position(*row[2:]) for row in rows}


async def _find(database: Database, group: str, topic: str, partition: int) -> Position | None:
    columns = offsets.c
    query = select(columns.next_offset, columns.version, columns.watermark).where(
        columns.worker_group == group, columns.topic == topic, columns.partition == partition
    )
    async with database.reading() as connection:
        row = (await connection.execute(query)).first()
    return None if row is None else Position(*row)
