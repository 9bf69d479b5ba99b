"""Devices that several servers share, in the database: a row each, kept until it has one server only, or is gone."""

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, delete, select

from shoal.ids import DeviceId, TenantId
from shoal.sharing.shared import Shared
from shoal.storage.database import Database, Json, Transaction, metadata, upsert

shared_devices: Final = Table(
    "shared_devices",
    metadata,
    Column("device_id", String(16), primary_key=True),
    Column("tenant_id", String(16), nullable=False),
    Column("is_registered", Boolean, nullable=False),
    # The number of the tenant's policies (`policies.store`) that this was last judged by.
    Column("policies", Integer, nullable=False),
    Column("body", Json(Shared), nullable=False),
    Index("ix_shared_devices_policies", "tenant_id", "is_registered", "policies"),
)


async def load(tx: Transaction, devices: Iterable[str]) -> dict[str, Shared]:
    """Those of these devices that are shared, held until the commit. A batch bounds how many are asked for."""
    columns = shared_devices.c
    query = select(columns.body).where(columns.device_id.in_(sorted(devices))).order_by(columns.device_id)
    found: list[Shared] = [row.body for row in await tx.rows(query.with_for_update())]
    return {shared.device: shared for shared in found}


async def save(tx: Transaction, shared: Iterable[Shared], policies: int) -> None:
    """Writes devices of one tenant, judged by its policies of that number."""
    rows = [
        {
            "device_id": one.device,
            "tenant_id": one.tenant,
            "is_registered": one.registration is not None,
            "policies": policies,
            "body": one,
        }
        for one in shared
    ]
    await upsert(tx, shared_devices, rows, ["device_id"])


async def forget(tx: Transaction, devices: Sequence[str]) -> None:
    """These are shared no more."""
    await tx.execute(delete(shared_devices).where(shared_devices.c.device_id.in_(devices)))


async def behind(database: Database, tenant: TenantId, policies: int, limit: int) -> list[str]:
    """Registered devices of a tenant that were judged by older policies than those of this number."""
    columns = shared_devices.c
    query = (
        select(columns.device_id)
        .where(columns.tenant_id == tenant, columns.is_registered, columns.policies < policies)
        .order_by(columns.device_id)
        .limit(limit)
    )
    async with database.reading() as connection:
        return list((await connection.execute(query)).scalars())


async def one(database: Database, tenant: TenantId, device: DeviceId) -> Shared | None:
    """A device of the tenant, None when it has one server only, as far as we know."""
    columns = shared_devices.c
    query = select(columns.body).where(columns.tenant_id == tenant, columns.device_id == device)
    async with database.reading() as connection:
        found: Shared | None = await connection.scalar(query)
        return found
