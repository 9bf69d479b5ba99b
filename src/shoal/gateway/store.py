"""What a gateway keeps of its devices for its next start, encrypted: sessions hold keys.

Each row stands under a node number, that of its session's connection id: whoever has the number (`nodes.py`) takes it up.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import delete, select

from shoal.gateway.tables import checkpoints
from shoal.storage.database import Database, Transaction, upsert

# One page at a start: half a megabyte, and a query of a few milliseconds.
CHECKPOINTS_PER_QUERY_MAX: Final = 1_000


async def keep(tx: Transaction, sealed: Sequence[tuple[str, int, bytes]], at: datetime) -> None:
    """Writes checkpoints by device, with their numbers; each replaces the one before it, under whatever number."""
    rows = [{"device_id": device, "node": node, "sealed": secret, "taken_at": at} for device, node, secret in sealed]
    await upsert(tx, checkpoints, rows, ["device_id"])


async def forget(tx: Transaction, nodes: Collection[int], devices: Sequence[str]) -> None:
    """Deletes what is kept of these devices under these numbers, as many as a batch of the core names, or a page."""
    for start in range(0, len(devices), CHECKPOINTS_PER_QUERY_MAX):
        part = devices[start : start + CHECKPOINTS_PER_QUERY_MAX]
        await tx.execute(delete(checkpoints).where(checkpoints.c.node.in_(nodes), checkpoints.c.device_id.in_(part)))


async def page(
    database: Database, node: int, after: str = "", limit: int = CHECKPOINTS_PER_QUERY_MAX
) -> list[tuple[str, bytes]]:
    """Checkpoints under this number, by device id."""
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
