"""Which gateway has which node numbers, which devices went from one to another, and how often any of them started."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import delete, insert, select, update

from shoal.gateway.tables import checkpoints, gateway_moves, gateway_nodes, gateway_starts
from shoal.storage.database import Database, Transaction, upsert

# Node numbers are two bytes of a connection id; the core knows so many (`limits::NODES_MAX`).
NODES_MAX: Final = 256
# What a gateway lets go of in one go.
MOVES_PER_QUERY_MAX: Final = 1_000


async def begin(database: Database) -> int:
    """Counts a start of a gateway; which one it is, from 1. No number comes twice, whatever happens afterwards."""
    async with database.transaction() as tx:
        await tx.in_order(gateway_starts.name)
        await upsert(tx, gateway_starts, [{"id": 0, "starts": 0}], ["id"], update=())
        await tx.execute(update(gateway_starts).values(starts=gateway_starts.c.starts + 1))
        return int(await tx.scalar(select(gateway_starts.c.starts)))


async def nodes(database: Database) -> list[tuple[int, str | None, datetime]]:
    """Every number that was ever used, with where its gateway is reached and when that was seen last; the least first."""
    query = select(*gateway_nodes.c).order_by(gateway_nodes.c.node).limit(NODES_MAX)
    async with database.reading() as connection:
        return [(row.node, row.address, row.seen_at) for row in await connection.execute(query)]


async def touch(database: Database, held: Collection[int], address: str | None, at: datetime) -> None:
    """These numbers are at work there; whoever does not know it yet is told."""
    async with database.transaction() as tx:
        known = {
            row.node: row.address
            for row in await tx.rows(
                select(gateway_nodes.c.node, gateway_nodes.c.address).where(gateway_nodes.c.node.in_(held))
            )
        }
        rows = [{"node": node, "address": address, "seen_at": at} for node in held]
        await upsert(tx, gateway_nodes, rows, ["node"])
        if known != dict.fromkeys(held, address):
            tx.poke(gateway_nodes.name)


async def unused(database: Database, nodes: Collection[int]) -> list[int]:
    """Those of these numbers under which nothing is kept."""
    query = select(checkpoints.c.node).where(checkpoints.c.node.in_(nodes)).distinct()
    async with database.reading() as connection:
        used = {row.node for row in await connection.execute(query)}
    return [node for node in nodes if node not in used]


async def retire(database: Database, node: int) -> None:
    """Nobody has this number any more, and nobody has to speak for it."""
    async with database.transaction() as tx:
        await tx.execute(delete(gateway_nodes).where(gateway_nodes.c.node == node))
        tx.poke(gateway_nodes.name)


async def forget_all(database: Database) -> None:
    """Deletes all numbers and moves: after a backup was put back, with whose checkpoints nobody goes on."""
    async with database.transaction() as tx:
        await tx.execute(delete(gateway_nodes))
        await tx.execute(delete(gateway_moves))


async def holders(database: Database, devices: Sequence[str]) -> dict[str, int]:
    """Under which number each of these is kept; those that nobody keeps are missing. As many as a page of anything."""
    columns = checkpoints.c
    query = select(columns.device_id, columns.node).where(columns.device_id.in_(devices))
    async with database.reading() as connection:
        return {row.device_id: row.node for row in await connection.execute(query)}


async def note_moves(tx: Transaction, held: Collection[int], devices: Sequence[str]) -> list[str]:
    """Before their checkpoints are written here: tells whoever kept these devices, and forgets that we should let go of them.

    Those that were not kept here before, new ones included.
    """
    columns = checkpoints.c
    query = select(columns.device_id, columns.node).where(columns.device_id.in_(devices)).with_for_update()
    before = {row.device_id: row.node for row in await tx.rows(query)}
    moved = [{"node": node, "device_id": device} for device, node in before.items() if node not in held]
    if moved:
        await tx.execute(insert(gateway_moves), moved)
        tx.poke(gateway_moves.name)
    stale = gateway_moves.c.device_id.in_(devices) & gateway_moves.c.node.in_(held)
    await tx.execute(delete(gateway_moves).where(stale))
    return [device for device in devices if before.get(device) not in held]


async def moves(database: Database, held: Collection[int]) -> list[tuple[int, str]]:
    """Devices that were kept under these numbers and are kept by another gateway now, the earliest first."""
    columns = gateway_moves.c
    query = select(columns.id, columns.device_id).where(columns.node.in_(held)).order_by(columns.id)
    async with database.reading() as connection:
        return [(row.id, row.device_id) for row in await connection.execute(query.limit(MOVES_PER_QUERY_MAX))]


async def forget_moves(database: Database, nodes: Collection[int]) -> None:
    """Whoever begins with these numbers begins with what is kept under them now."""
    async with database.transaction() as tx:
        await tx.execute(delete(gateway_moves).where(gateway_moves.c.node.in_(nodes)))


async def let_go(database: Database, done: Sequence[int]) -> None:
    """These moves are known here now."""
    async with database.transaction() as tx:
        await tx.execute(delete(gateway_moves).where(gateway_moves.c.id.in_(done)))
