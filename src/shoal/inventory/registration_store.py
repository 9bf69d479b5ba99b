"""What the worker reads and writes of devices: many at once, over all tenants whose devices a batch tells of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Row, bindparam, func, select, update

from shoal.ids import DeviceId, TenantId
from shoal.inventory.device import Security
from shoal.inventory.device_rows import (
    device_of,
    device_query,
    dispute_columns,
    dispute_of,
    registration_columns,
    registration_of,
    registration_row,
)
from shoal.inventory.place_store import profile_of
from shoal.inventory.presence import Registration
from shoal.inventory.profile import Profile
from shoal.inventory.tables import devices, profiles, registrations, tenants
from shoal.inventory.tracking import Track
from shoal.storage.database import Database, Transaction, upsert

# One page of a fleet's registrations, at a restart.
REGISTRATIONS_PER_QUERY_MAX: Final = 1_000


async def current(
    database: Database, after: str = "", limit: int = REGISTRATIONS_PER_QUERY_MAX
) -> list[tuple[DeviceId, Registration]]:
    """Registrations that have not ended, over all tenants, by device id: what a gateway takes over at its start."""
    query = (
        select(*registration_columns())
        .where(registrations.c.ended_at.is_(None), registrations.c.device_id > after)
        .order_by(registrations.c.device_id)
        .limit(limit)
    )
    found: list[tuple[DeviceId, Registration]] = []
    async with database.reading() as connection:
        for row in await connection.execute(query):
            registration = registration_of(row)
            if registration is not None:
                found.append((DeviceId(row.registered__device_id), registration))
    return found


async def tracks(tx: Transaction, ids: Mapping[TenantId, set[DeviceId]]) -> dict[DeviceId, Track]:
    """These devices, as far as they are (still) the tenant's. A batch bounds how many are asked for."""
    found: dict[DeviceId, Track] = {}
    for tenant, wanted in ids.items():
        rows = await tx.rows(device_query(tenant).where(devices.c.id.in_(sorted(wanted))))
        found.update((DeviceId(row.id), Track(device_of(row), dispute_of(row))) for row in rows)
    return found


async def ids_of_endpoints(tx: Transaction, tenant: TenantId, endpoints: Sequence[str]) -> dict[str, DeviceId]:
    """The tenant's devices without security that have these endpoints."""
    query = select(devices.c.endpoint, devices.c.id).where(
        devices.c.tenant_id == tenant,
        devices.c.endpoint.in_(endpoints),
        # A device with a credential never speaks without it.
        devices.c.security == Security.NONE.value,
    )
    return {row.endpoint: DeviceId(row.id) for row in await tx.rows(query)}


async def count_unproven(tx: Transaction, tenant: TenantId, most: int) -> int:
    """How many devices without security a tenant has; beyond `most` nobody counts."""
    of_tenant = devices.c.tenant_id == tenant, devices.c.security == Security.NONE.value
    return int(
        await tx.scalar(select(func.count()).select_from(select(devices.c.id).where(*of_tenant).limit(most).subquery()))
    )


async def known_tenants(tx: Transaction, ids: Sequence[str]) -> set[str]:
    """Those of these tenants that there are."""
    return {row.id for row in await tx.rows(select(tenants.c.id).where(tenants.c.id.in_(ids)))}


async def profile_for(tx: Transaction, track: Track) -> Profile:
    """The profile of a device."""
    device = track.device
    rows: list[Row[Any]] = await tx.rows(
        select(profiles).where(profiles.c.tenant_id == device.tenant, profiles.c.id == device.profile)
    )
    return profile_of(rows[0])


async def keep(tx: Transaction, before: Mapping[DeviceId, Track], after: Mapping[DeviceId, Track]) -> None:
    """Writes what is different. That a device was heard is most of it, touches two columns only, and needs no hold."""
    full: list[dict[str, object]] = []
    heard: list[dict[str, object]] = []
    for id_, track in after.items():
        then, now = before[id_].registration, track.registration
        if now is None or now == then:
            continue
        if then is not None and _only_heard(then, now):
            heard.append({"id": id_, "of": now.id, "heard": now.last_heard_at, "expires": now.expires_at})
        else:
            full.append(registration_row(id_, now))
    await upsert(tx, registrations, full, ["device_id"])
    if heard:
        await tx.execute(_HEARD, heard)
    await _keep_places(tx, (track for id_, track in after.items() if track.dispute != before[id_].dispute))


async def _keep_places(tx: Transaction, moved: Iterable[Track]) -> None:
    for track in moved:
        await tx.execute(
            update(devices)
            .where(devices.c.id == track.device.id)
            .values(**dispute_columns(track.dispute), version=track.device.version)
        )


def _only_heard(then: Registration, now: Registration) -> bool:
    return replace(then, last_heard_at=now.last_heard_at, expires_at=now.expires_at) == now


_HEARD: Final = (
    update(registrations)
    # Another partition may have heard it later, or of another registration: that stays.
    .where(registrations.c.device_id == bindparam("id"), registrations.c.registration_id == bindparam("of"))
    .where(registrations.c.last_heard_at <= bindparam("heard"))
    .values(last_heard_at=bindparam("heard"), expires_at=bindparam("expires"))
)
