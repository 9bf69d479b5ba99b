"""What the gateway must know of each device: written by the inventory, read by the gateway.

The rooms do not know each other, so the table stands here. Each change gets a higher version, over all devices; the
gateway asks for what is newer than what it has. A removed device stays as a row that says so, until nobody can have
missed it.
"""

from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Select, String, Table, Text, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shoal.storage.database import Database, Transaction, upsert
from shoal.storage.secrets import Secret
from shoal.storage.tables import Json, metadata

# What a lost master key takes with it, in the words of whoever is told.
KEYS_OF_DEVICES: Final = "keys of devices"


class Conduct(msgspec.Struct, frozen=True, kw_only=True):
    """How the gateway is to deal with a device: what to observe and read, how long to wait for it.

    `observe` are pairs of a path and the attributes to write first, as a query (`pmin=60&pmax=900`, or empty);
    `unobserved` are paths that a `*` of those means, too, and that are left out.
    """

    observe: list[tuple[str, str]] = []
    unobserved: list[str] = []
    read: list[str] = []
    report_every_s: float = 0
    # RFC 7252 §4.8.2: MAX_TRANSMIT_WAIT. A device listens this long after it spoke.
    awake_window_s: float = 93
    grace_s: float | None = None
    ack_timeout_s: float = 2
    random_factor: float = 1.5
    max_retransmit: int = 4


device_directory: Final = Table(
    "device_directory",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("farm_id", Text),
    Column("enclosure_id", Text),
    Column("endpoint", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("security", String(8), nullable=False),
    Column("identity", Text, unique=True),
    Column("key_encrypted", Secret("device_id", KEYS_OF_DEVICES)),
    Column("profile", Json(Conduct), nullable=False),
    Column("version", BigInteger, nullable=False, index=True),
    Column("removed", Boolean, nullable=False),
)


class DirectoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One device as the gateway sees it. `security` is `psk` or `none`; the key is still encrypted."""

    device_id: str
    tenant_id: str
    farm_id: str | None
    enclosure_id: str | None
    endpoint: str
    kind: str
    security: str
    identity: str | None = None
    key_encrypted: bytes | None = None
    profile: Conduct = Conduct()
    version: int = 0
    removed: bool = False


_COLUMNS: Final = tuple(device_directory.c[name] for name in DirectoryEntry.__struct_fields__)


async def put(tx: Transaction, entry: DirectoryEntry) -> int:
    """Writes a device as the gateway is to see it from now on; its new version."""
    version = await _next_version(tx)
    row = {name: getattr(entry, name) for name in DirectoryEntry.__struct_fields__} | {"version": version}
    await upsert(tx, device_directory, [row], ["device_id"])
    return version


async def remove(tx: Transaction, device_id: str) -> None:
    """The gateway is to forget the device, and its identity is free again."""
    version = await _next_version(tx)
    await tx.execute(
        device_directory.update()
        .where(device_directory.c.device_id == device_id)
        .values(removed=True, identity=None, key_encrypted=None, version=version)
    )


async def find(tx: Transaction, device_id: str) -> DirectoryEntry | None:
    """A device's entry, removed or not; to be changed: nobody else changes it from here to the commit."""
    await in_turn(tx)
    found = await tx.execute(select(*_COLUMNS).where(device_directory.c.device_id == device_id))
    row = found.mappings().first()
    return None if row is None else DirectoryEntry(**row)


async def tenant_of(connection: AsyncConnection, device_id: str) -> str | None:
    """Whose device that is; None when there is none of that id, or it was removed."""
    of = device_directory.c
    query = select(of.tenant_id).where(of.device_id == device_id, of.removed.is_(False))
    found: str | None = await connection.scalar(query)
    return found


async def in_turn(tx: Transaction) -> None:
    """From here to the commit nobody else writes the directory.

    Before it come the rows of devices, after it the queue of commands: in that order two never wait for each other.
    """
    await tx.in_order(device_directory.name)


async def changed(database: Database, after_version: int, limit: int) -> list[DirectoryEntry]:
    """Devices that changed since then, oldest change first; those removed, too. 0 asks for all."""
    query: Select[Any] = (
        select(*_COLUMNS)
        .where(device_directory.c.version > after_version)
        .order_by(device_directory.c.version)
        .limit(limit)
    )
    async with database.reading() as connection:
        return [DirectoryEntry(**row) for row in (await connection.execute(query)).mappings()]


async def _next_version(tx: Transaction) -> int:
    """The highest and one more: safe because nobody else is between this and the commit."""
    await in_turn(tx)
    tx.poke(device_directory.name)
    return int(await tx.scalar(select(func.coalesce(func.max(device_directory.c.version), 0)))) + 1
