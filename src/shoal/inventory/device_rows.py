"""Devices as the database keeps them: one query that fetches all of a device, and rows to and from values."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, func, select

from shoal.access.decision import EVERYWHERE, Place, Reach
from shoal.ids import DeviceId, EnclosureId, FarmId, TenantId
from shoal.inventory.claim import Arrival, Claimed, Dispute, PlaceState, Via
from shoal.inventory.device import Claim, Device, Kind, Security
from shoal.inventory.presence import EndedBy, Registration
from shoal.inventory.tables import devices, enclosures, farms, registrations
from shoal.storage.database import Transaction
from shoal.storage.reach import within

_CLAIMED: Final = enclosures.alias("claimed_enclosures")
_CLAIMED_FARM: Final = farms.alias("claimed_farms")
_REGISTRATION: Final = "registered__"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFilter:
    """Which devices of a tenant; what is None does not matter. `q` is looked for in endpoint and name, in any case.

    `among` are ids that another room has chosen (those that are silent, say), at most 500; `reach` is where whoever asks
    may read.
    """

    farm: FarmId | None = None
    enclosure: EnclosureId | None = None
    is_placed: bool | None = None
    kind: Kind | None = None
    q: str | None = None
    among: Sequence[DeviceId] | None = None
    reach: Reach = EVERYWHERE


def device_query(tenant: TenantId) -> Select[Any]:
    """All that a `Device` holds, of the tenant's devices."""
    return (
        select(
            devices,
            farms.c.name.label("farm_name"),
            enclosures.c.name.label("enclosure_name"),
            _CLAIMED.c.name.label("claim_enclosure_name"),
            _CLAIMED.c.farm_id.label("claim_farm_id"),
            _CLAIMED_FARM.c.name.label("claim_farm_name"),
            *registration_columns(),
        )
        .outerjoin(farms, farms.c.id == devices.c.farm_id)
        .outerjoin(enclosures, enclosures.c.id == devices.c.enclosure_id)
        # Only the tenant's own names: what hangs elsewhere must not be told.
        .outerjoin(_CLAIMED, and_(_CLAIMED.c.id == devices.c.claim_enclosure, _CLAIMED.c.tenant_id == tenant))
        .outerjoin(_CLAIMED_FARM, _CLAIMED_FARM.c.id == _CLAIMED.c.farm_id)
        .outerjoin(registrations, registrations.c.device_id == devices.c.id)
        .where(devices.c.tenant_id == tenant)
    )


async def hold(tx: Transaction, ids: Collection[DeviceId]) -> None:
    """Nobody else changes these devices, or what hangs on them, from here to the commit.

    Hold first and read then: to a row that was waited for, a join would add what was there before. In the order of
    their ids, so that two who hold several never wait for each other.
    """
    if ids:
        await tx.rows(select(devices.c.id).where(devices.c.id.in_(ids)).order_by(devices.c.id).with_for_update())


def registration_columns() -> Sequence[ColumnElement[Any]]:
    """The columns that `registration_of` reads."""
    return [column.label(f"{_REGISTRATION}{column.name}") for column in registrations.c]


def filtered(query: Select[Any], wanted: DeviceFilter) -> Select[Any]:
    """The query for those devices only."""
    if wanted.farm is not None:
        query = query.where(devices.c.farm_id == wanted.farm)
    if wanted.enclosure is not None:
        query = query.where(devices.c.enclosure_id == wanted.enclosure)
    if wanted.is_placed is not None:
        query = query.where(
            devices.c.enclosure_id.is_not(None) if wanted.is_placed else devices.c.enclosure_id.is_(None)
        )
    if wanted.kind is not None:
        query = query.where(devices.c.kind == wanted.kind.value)
    if wanted.q:
        found = devices.c.endpoint.icontains(wanted.q, autoescape=True)
        query = query.where(found | devices.c.name.icontains(wanted.q, autoescape=True))
    if wanted.among is not None:
        query = query.where(devices.c.id.in_(wanted.among))
    return query.where(devices_within(wanted.reach))


def devices_within(reach: Reach) -> ColumnElement[bool]:
    """Only devices that are in reach."""
    return within(reach, devices.c.farm_id, devices.c.enclosure_id, devices.c.id)


def count_query(tenant: TenantId, wanted: DeviceFilter) -> Select[Any]:
    """How many devices of the tenant those are."""
    return filtered(select(func.count()).select_from(devices).where(devices.c.tenant_id == tenant), wanted)


def device_of(row: Row[Any]) -> Device:
    """A row of `device_query`."""
    claim = None
    if row.claim_via is not None:
        claim = Claim(
            enclosure=row.claim_enclosure,
            via=Via(row.claim_via),
            at=row.claimed_at,
            enclosure_name=row.claim_enclosure_name,
            farm=row.claim_farm_id,
            farm_name=row.claim_farm_name,
        )
    return Device(
        id=row.id,
        tenant=row.tenant_id,
        farm=row.farm_id,
        farm_name=row.farm_name,
        enclosure=row.enclosure_id,
        enclosure_name=row.enclosure_name,
        endpoint=row.endpoint,
        name=row.name,
        kind=Kind(row.kind),
        security=Security(row.security),
        profile=row.profile_id,
        place_state=PlaceState(row.place_state),
        arrival=None if row.arrival is None else Arrival(row.arrival),
        claim=claim,
        registration=registration_of(row),
        created_at=row.created_at,
        version=row.version,
    )


def registration_of(row: Row[Any]) -> Registration | None:
    """The registration in a row of `device_query`, None when the device never registered."""
    columns = row._mapping  # noqa: SLF001  # public in SQLAlchemy, in spite of its name
    if columns[f"{_REGISTRATION}device_id"] is None:
        return None
    at = {column.name: columns[f"{_REGISTRATION}{column.name}"] for column in registrations.c}
    return Registration(
        id=at["registration_id"],
        version=at["version"],
        lifetime=timedelta(seconds=at["lifetime_s"]),
        binding=at["binding"],
        queue_mode=at["queue_mode"],
        secure=at["secure"],
        address=at["address"],
        objects=at["objects"],
        registered_at=at["registered_at"],
        updated_at=at["updated_at"],
        last_heard_at=at["last_heard_at"],
        expires_at=at["expires_at"],
        ended_at=at["ended_at"],
        ended_by=None if at["ended_by"] is None else EndedBy(at["ended_by"]),
    )


def registration_row(device: DeviceId, registration: Registration) -> dict[str, object]:
    """The columns of a device's registration."""
    return {
        "device_id": device,
        "registration_id": registration.id,
        "version": registration.version,
        "lifetime_s": int(registration.lifetime.total_seconds()),
        "binding": registration.binding,
        "queue_mode": registration.queue_mode,
        "secure": registration.secure,
        "address": registration.address,
        "objects": registration.objects,
        "registered_at": registration.registered_at,
        "updated_at": registration.updated_at,
        "last_heard_at": registration.last_heard_at,
        "expires_at": registration.expires_at,
        "ended_at": registration.ended_at,
        "ended_by": registration.ended_by,
    }


def dispute_of(row: Row[Any]) -> Dispute:
    """What is known about where the device is."""
    said = None if row.claim_via is None else Claimed(row.claim_enclosure, Via(row.claim_via), row.claimed_at)
    return Dispute(
        place=Place(
            tenant=TenantId(row.tenant_id),
            farm=row.farm_id,
            enclosure=row.enclosure_id,
            device=DeviceId(row.id),
        ),
        state=PlaceState(row.place_state),
        claim=said,
        refused=row.claim_refused,
        placement=row.placement_path,
        arrival=None if row.arrival is None else Arrival(row.arrival),
    )


def dispute_columns(dispute: Dispute) -> dict[str, object]:
    """The columns of a device that a dispute fills, its place among them."""
    return {
        "farm_id": dispute.place.farm,
        "enclosure_id": dispute.place.enclosure,
        "place_state": dispute.state.value,
        "claim_enclosure": None if dispute.claim is None else dispute.claim.enclosure,
        "claim_via": None if dispute.claim is None else dispute.claim.via.value,
        "claimed_at": None if dispute.claim is None else dispute.claim.at,
        "claim_refused": dispute.refused,
        "placement_path": dispute.placement,
        "arrival": None if dispute.arrival is None else dispute.arrival.value,
    }
