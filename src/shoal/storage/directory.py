"""What the gateway must know of each device: written by the inventory and credentials, read by the gateway.

The rooms do not know each other, so the table stands here. Each change gets a higher version, over all devices; the
gateway asks for what is newer than what it has. A removed device stays as a row that says so, until nobody can have
missed it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, Select, String, Table, Text, false, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shoal.storage.database import Database, Transaction, upsert
from shoal.storage.secrets import Secret
from shoal.storage.tables import Json, Timestamp, metadata

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
    Column("profile", Json(Conduct), nullable=False),
    Column("version", BigInteger, nullable=False, index=True),
    Column("removed", Boolean, nullable=False),
)


class CertificateFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What may be shown of a certificate. `serial` and `fingerprint` (SHA-256 over DER) in hexadecimal."""

    subject: str
    issuer: str
    serial: str
    fingerprint: str
    not_before: datetime
    not_after: datetime


credentials: Final = Table(
    "credentials",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("device_id", String(16), nullable=False),
    Column("tenant_id", String(16), nullable=False),
    Column("mode", String(8), nullable=False),
    Column("identity", Text, nullable=False),
    Column("state", String(16), nullable=False),
    # What tells it apart from all others in the installation; empty when it is over, and free for another.
    Column("mark", Text, unique=True),
    # Empty when it was lost together with the master key: the device needs a new one.
    Column("key_encrypted", Secret("device_id", KEYS_OF_DEVICES)),
    # Digests of what a certificate is pinned to: one of the whole, or those of issuer and subject.
    Column("pin", LargeBinary),
    Column("certificate", Json(CertificateFacts)),
    Column("created_at", Timestamp, nullable=False),
    # A person's name, or a token's. What a bootstrap handed out has none.
    Column("created_by", Text),
    Column("is_from_bootstrap", Boolean, nullable=False, server_default=false()),
    Column("expires_at", Timestamp),
    # Of one that is retiring: it ends as soon as the device used its successor.
    Column("ends_when_seen", Boolean, nullable=False),
    Column("last_used_at", Timestamp),
    Column("ended_at", Timestamp),
    Index("ix_credentials_device", "device_id"),
    Index("ix_credentials_expiry", "tenant_id", "expires_at", "id"),
    Index("ix_credentials_due", "expires_at"),
)


class DirectoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One device as the gateway sees it. `security` is `psk`, `x509` or `none`; what it proves itself with is another room's."""

    device_id: str
    tenant_id: str
    farm_id: str | None
    enclosure_id: str | None
    endpoint: str
    kind: str
    security: str
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
    """The gateway is to forget the device."""
    version = await _next_version(tx)
    await tx.execute(
        device_directory.update().where(device_directory.c.device_id == device_id).values(removed=True, version=version)
    )


async def devices_of(tx: Transaction, identities: Collection[str]) -> dict[str, str]:
    """Which devices PSK identities belong to; an identity that nobody has is left out."""
    columns = credentials.c
    query = select(columns.identity, columns.device_id).where(
        columns.mark.in_([psk_mark(identity) for identity in sorted(identities)])
    )
    return {row.identity: row.device_id for row in await tx.rows(query)}


def psk_mark(identity: str) -> str:
    """What tells the key of this identity apart from all other credentials."""
    return f"psk:{identity}"


async def touch(tx: Transaction, device_ids: Sequence[str]) -> None:
    """Something beside these devices changed that the gateway must look at again."""
    await tx.execute(
        device_directory.update()
        .where(device_directory.c.device_id.in_(device_ids))
        .values(version=await _next_version(tx))
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
