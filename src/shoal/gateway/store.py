"""What a gateway keeps of its devices for its next start, encrypted: sessions hold keys.

The rows are of one node: a device that went to another has its row there, and nobody takes it away from here.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Column, Integer, Table, Text, delete, select, update

from shoal.storage.database import Database, Transaction, upsert
from shoal.storage.secrets import Secret
from shoal.storage.tables import Timestamp, metadata

# One page at a start: half a megabyte, and a query of a few milliseconds.
CHECKPOINTS_PER_QUERY_MAX: Final = 1_000

checkpoints: Final = Table(
    "checkpoints",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("node", Integer, nullable=False, index=True),
    Column("sealed", Secret("device_id", "sessions of devices"), nullable=False),
    Column("taken_at", Timestamp, nullable=False),
)

gateway_starts: Final = Table(
    "gateway_starts",
    metadata,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("starts", Integer, nullable=False),
)


async def begin(database: Database, node: int) -> int:
    """Counts a start of this node; which one it is, from 1. No number comes twice, whatever happens afterwards."""
    columns = gateway_starts.c
    async with database.transaction() as tx:
        await tx.in_order(gateway_starts.name)
        await upsert(tx, gateway_starts, [{"node": node, "starts": 0}], ["node"], update=())
        await tx.execute(update(gateway_starts).where(columns.node == node).values(starts=columns.starts + 1))
        return int(await tx.scalar(select(columns.starts).where(columns.node == node)))


async def keep(tx: Transaction, node: int, sealed: Sequence[tuple[str, bytes]], at: datetime) -> None:
    """Writes checkpoints by device; each replaces the one before it, of whatever node."""
    rows = [{"device_id": device, "node": node, "sealed": secret, "taken_at": at} for device, secret in sealed]
    await upsert(tx, checkpoints, rows, ["device_id"])


async def forget(tx: Transaction, node: int, devices: Sequence[str]) -> None:
    """Deletes what this node kept of these devices, as many as a batch of the core names, or a page."""
    for start in range(0, len(devices), CHECKPOINTS_PER_QUERY_MAX):
        part = devices[start : start + CHECKPOINTS_PER_QUERY_MAX]
        await tx.execute(delete(checkpoints).where(checkpoints.c.node == node, checkpoints.c.device_id.in_(part)))


async def page(
    database: Database, node: int, after: str = "", limit: int = CHECKPOINTS_PER_QUERY_MAX
) -> list[tuple[str, bytes]]:
    """Checkpoints of this node, by device id."""
    query = (
        select(checkpoints.c.device_id, checkpoints.c.sealed)
        .where(checkpoints.c.node == node, checkpoints.c.device_id > after)
        .order_by(checkpoints.c.device_id)
        .limit(limit)
    )
    async with database.reading() as connection:
        return [(row.device_id, row.sealed) for row in await connection.execute(query)]


async def forget_all(database: Database) -> None:
    """Deletes every checkpoint: after a backup was put back, which knows sessions as they were and not what came after."""
    async with database.transaction() as tx:
        await tx.execute(delete(checkpoints))
