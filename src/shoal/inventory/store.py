"""Devices in the database: created, moved, renamed, deleted, and what they claim settled.

A device's row, what the gateway knows of it (storage/directory.py) and the event that tells the other rooms are written
in one transaction. Its key is another room's: who composes both passes the same transaction to `Credentials`.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from sqlalchemy import Row, Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shoal.access.decision import EVERYWHERE, Place, Reach
from shoal.clock import Clock
from shoal.errors import Conflict, NotFound, Rejected, check_version
from shoal.events.device import DeviceRemoved
from shoal.ids import DeviceId, EnclosureId, FarmId, Prefix, TenantId, new_id
from shoal.inventory.claim import Arrival, Dispute, PlaceState, Via, judge
from shoal.inventory.device import PROFILE_OF_KIND, Device, Kind, Security, parse_endpoint
from shoal.inventory.device_rows import (
    DeviceFilter,
    count_query,
    device_of,
    device_query,
    devices_within,
    dispute_columns,
    dispute_of,
    filtered,
    hold,
)
from shoal.inventory.observation_store import forget_intent, intents_of, keep_intent, standings_of
from shoal.inventory.observing import (
    Attributes,
    Intent,
    Observation,
    check_path,
    check_room,
    observations,
    parse_attributes,
)
from shoal.inventory.paging import PAGE_ITEMS_MAX, Page, check_limit, cursor_after, parse_cursor
from shoal.inventory.place import parse_name
from shoal.inventory.place_store import PlaceStore, owners, place_in, profile_of
from shoal.inventory.profile import Profile, ProfileId
from shoal.inventory.search_store import Found, search
from shoal.inventory.tables import Draw, devices, fresh_id, profiles
from shoal.inventory.telling import publish_place, publish_profile, put_in_directory
from shoal.lwm2m.path import Path
from shoal.storage import directory
from shoal.storage.database import Database, Transaction

log = logging.getLogger(__name__)

# Asks, in this transaction, that the device at this place be told its enclosure: a write of the id to the path. Raises
# Rejected when the device has too much to do, with nothing written.
TellEnclosure: TypeAlias = Callable[[Transaction, Place, str, EnclosureId], Awaitable[None]]


class Inventory(PlaceStore):
    """What we own. Methods that write take the transaction to write in; those that read, read by themselves."""

    def __init__(
        self, database: Database, clock: Clock, *, tell: TellEnclosure | None = None, draw: Draw = new_id
    ) -> None:
        super().__init__(database, clock, draw)
        self._tell = tell

    # -- reading ---------------------------------------------------------------------------------------------------

    async def device(self, tenant: TenantId, device: DeviceId) -> Device:
        """One device. Raises NotFound, also for another tenant's."""
        async with self._database.reading() as connection:
            return device_of(await _row(connection, tenant, device))

    async def devices(
        self,
        tenant: TenantId,
        wanted: DeviceFilter | None = None,
        cursor: str | None = None,
        limit: int = PAGE_ITEMS_MAX,
    ) -> Page[Device]:
        """The tenant's devices by endpoint. Raises Rejected for a cursor or a limit that is none."""
        query = filtered(device_query(tenant), wanted or DeviceFilter())
        query = query.order_by(devices.c.endpoint).limit(check_limit(limit) + 1)
        if cursor is not None:
            query = query.where(devices.c.endpoint > parse_cursor(cursor, parts=1)[0])
        async with self._database.reading() as connection:
            rows = list(await connection.execute(query))
        page = [device_of(row) for row in rows[:limit]]
        return Page(page, cursor_after(page[-1].endpoint) if len(rows) > limit else None)

    async def devices_for(self, tenant: TenantId, ids: Sequence[DeviceId]) -> dict[DeviceId, Device]:
        """Those of these devices that the tenant has; at most 500 are asked for at once."""
        check_limit(max(1, len(ids)))
        async with self._database.reading() as connection:
            rows = await connection.execute(device_query(tenant).where(devices.c.id.in_(ids)))
            return {row.id: device_of(row) for row in rows}

    async def devices_named(self, tenant: TenantId, endpoints: Sequence[str]) -> dict[str, Device]:
        """Those of the tenant's devices that have these endpoints; at most 500 are asked for at once."""
        check_limit(max(1, len(endpoints)))
        async with self._database.reading() as connection:
            rows = await connection.execute(device_query(tenant).where(devices.c.endpoint.in_(endpoints)))
            return {row.endpoint: device_of(row) for row in rows}

    def ids_of(self, tenant: TenantId, reach: Reach = EVERYWHERE) -> Select[tuple[str]]:
        """The question for the ids of a tenant's devices in reach, as a part of one about what they said."""
        return select(devices.c.id).where(devices.c.tenant_id == tenant, devices_within(reach))

    async def count_devices(self, tenant: TenantId, wanted: DeviceFilter | None = None) -> int:
        """How many devices of the tenant those are."""
        async with self._database.reading() as connection:
            return int(await connection.scalar(count_query(tenant, wanted or DeviceFilter())) or 0)

    async def device_counts(self, tenant: TenantId, farm: FarmId | None = None) -> dict[EnclosureId, int]:
        """How many devices hang in each enclosure that has any."""
        query = (
            select(devices.c.enclosure_id, func.count())
            .where(devices.c.tenant_id == tenant, devices.c.enclosure_id.is_not(None))
            .group_by(devices.c.enclosure_id)
        )
        if farm is not None:
            query = query.where(devices.c.farm_id == farm)
        async with self._database.reading() as connection:
            return {EnclosureId(row[0]): row[1] for row in await connection.execute(query)}

    async def search(self, tenant: TenantId, q: str, limit: int, reach: Reach = EVERYWHERE) -> list[Found]:
        """Devices, farms and enclosures that may be meant by a word: see `shoal.inventory.search_store`."""
        return await search(self._database, tenant, q, limit, reach)

    # -- writing ---------------------------------------------------------------------------------------------------

    async def create_device(
        self,
        tx: Transaction,
        tenant: TenantId,
        *,
        endpoint: str,
        kind: Kind,
        security: Security,
        enclosure: EnclosureId | None = None,
        name: str | None = None,
        profile: ProfileId | None = None,
        arrival: Arrival | None = None,
    ) -> Device:
        """A new device, named after its endpoint, with the profile of its kind, unless said otherwise.

        One with `psk` or `x509` is not let in before `Credentials` gave it something to prove that, best in the same transaction.

        Raises:
            Rejected: an endpoint or name that cannot be one.
            NotFound: no such enclosure or profile.
            Conflict: the tenant has a device with this endpoint; `facts["device"]` says which.
        """
        endpoint = parse_endpoint(endpoint)
        taken = await tx.scalar(
            select(devices.c.id).where(devices.c.tenant_id == tenant, devices.c.endpoint == endpoint)
        )
        if taken is not None:
            raise Conflict("endpoint", "another device has this endpoint", device=taken)
        chosen = await _profile(tx.connection, tenant, profile, PROFILE_OF_KIND[kind])
        place = await place_in(tx, tenant, enclosure)
        id_ = DeviceId(await fresh_id(tx, devices, Prefix.DEVICE, self._draw))
        await tx.execute(
            insert(devices).values(
                id=id_,
                tenant_id=tenant,
                endpoint=endpoint,
                name=endpoint if name is None else parse_name(name),
                kind=kind.value,
                security=security.value,
                profile_id=chosen.id,
                created_at=self._clock.now(),
                version=1,
                **dispute_columns(Dispute(replace(place, device=id_), arrival=arrival)),
            )
        )
        return await self._created_or_changed(tx, tenant, id_)

    async def change_device(
        self,
        tx: Transaction,
        tenant: TenantId,
        device: DeviceId,
        *,
        name: str | None = None,
        kind: Kind | None = None,
        security: Security | None = None,
        profile: ProfileId | None = None,
        if_version: int | None = None,
    ) -> Device:
        """The device with another name, kind, security or profile; None leaves one as it is.

        Raises:
            Rejected: a name that cannot be one.
            NotFound: no such device or profile.
            Outdated: `if_version` is not its version.
        """
        row = await _held(tx, tenant, device)
        check_version(device, row.version, if_version)
        chosen = row.profile_id if profile is None else (await _profile(tx.connection, tenant, profile, "")).id
        await tx.execute(
            update(devices)
            .where(devices.c.id == device)
            .values(
                name=row.name if name is None else parse_name(name),
                kind=row.kind if kind is None else kind.value,
                security=row.security if security is None else security.value,
                profile_id=chosen,
                version=row.version + 1,
            )
        )
        return await self._created_or_changed(tx, tenant, device)

    async def move_device(
        self,
        tx: Transaction,
        tenant: TenantId,
        device: DeviceId,
        enclosure: EnclosureId | None,
        *,
        by: str | None,
        if_version: int | None = None,
    ) -> Device:
        """The device in another enclosure, or in none. A device with a Placement object is told.

        One that came by itself has its place with this, also where that is none.

        Raises:
            NotFound: no such device or enclosure.
            Outdated: `if_version` is not its version.
        """
        row = await _held(tx, tenant, device)
        check_version(device, row.version, if_version)
        place = replace(await place_in(tx, tenant, enclosure), device=device)
        dispute = dispute_of(row)
        if place == dispute.place and dispute.arrival is None:
            return device_of(row)
        moved = replace(dispute, place=place, refused=None, arrival=None)
        return await self._settle(tx, row, await self._told(tx, moved), by)

    async def accept_claim(self, tx: Transaction, tenant: TenantId, device: DeviceId, *, by: str | None) -> Device:
        """The device is where it says it is: the inventory follows.

        Raises:
            NotFound: no such device, or the enclosure is gone by now.
            Conflict: it claims nothing else than the inventory says, or nothing that can be accepted.
        """
        row = await _held(tx, tenant, device)
        dispute = dispute_of(row)
        if dispute.state is not PlaceState.MISMATCH or dispute.claim is None:
            raise Conflict("claim", "there is none that could be accepted", state=dispute.state.value)
        place = replace(await place_in(tx, tenant, EnclosureId(dispute.claim.enclosure)), device=device)
        return await self._settle(tx, row, replace(dispute, place=place, refused=None, arrival=None), by)

    async def refuse_claim(self, tx: Transaction, tenant: TenantId, device: DeviceId, *, by: str | None) -> Device:
        """The device is where the inventory says: it is told so if it can be, and nobody is asked about this again.

        Raises:
            NotFound: no such device.
            Conflict: it claims nothing else than the inventory says.
        """
        row = await _held(tx, tenant, device)
        dispute = dispute_of(row)
        if dispute.state is PlaceState.AGREED or dispute.claim is None:
            raise Conflict("claim", "there is none that could be refused", state=dispute.state.value)
        refused = replace(dispute, refused=dispute.claim.enclosure, arrival=None)
        return await self._settle(tx, row, await self._told(tx, refused), by)

    async def delete_device(
        self, tx: Transaction, tenant: TenantId, device: DeviceId, if_version: int | None = None
    ) -> None:
        """Forgets the device: the gateway ends its session, other rooms drop what they keep. Its endpoint is free again.

        After it, in the same transaction, its credential goes by `Credentials.remove`, what was asked of it by
        `Commands.cancel_all`.

        Raises:
            NotFound: no such device.
            Outdated: `if_version` is not its version.
        """
        row = await _held(tx, tenant, device)
        check_version(device, row.version, if_version)
        await tx.execute(delete(devices).where(devices.c.id == device))
        await directory.remove(tx, device)
        tx.publish(
            DeviceRemoved(
                id=f"{device}-removed",
                time=self._clock.now(),
                device=device,
                tenant=tenant,
                farm=row.farm_id,
                enclosure=row.enclosure_id,
                endpoint=row.endpoint,
            )
        )

    async def tell(self, tx: Transaction, place: Place, path: str, enclosure: EnclosureId) -> bool:
        """Asks that a device with a Placement object be told its enclosure; False when that cannot be asked now."""
        if self._tell is None:
            return False
        # Who writes both takes the directory's turn before the queue's.
        await directory.in_turn(tx)
        try:
            await self._tell(tx, place, path, enclosure)
        except Rejected as error:
            # The device has enough to do. It says again that it does not know, and then it is told.
            log.warning("device.not_told", extra={"device": place.device, "reason": error.reason})
            return False
        return True

    # -- what it is to report by itself ----------------------------------------------------------------------------

    async def observations(self, tenant: TenantId, device: DeviceId) -> list[Observation]:
        """What a device is to report by itself and what it does, by path. Raises NotFound."""
        async with self._database.reading() as connection:
            found = device_of(await _row(connection, tenant, device))
            profile = await _profile(connection, tenant, found.profile, "")
            intents = await intents_of(connection, device)
            standings = await standings_of(connection, device)
        return observations(profile.settings, intents, standings, found.registration)

    async def observe(
        self,
        tx: Transaction,
        tenant: TenantId,
        device: DeviceId,
        path: Path,
        *,
        is_wanted: bool,
        attributes: Attributes,
        by: str,
        if_version: int | None = None,
    ) -> None:
        """From now on this device reports this path by itself, or does not, whatever its profile says.

        Raises:
            Rejected: a path or attributes that cannot be, or more than a device can hold.
            NotFound: no such device.
            Outdated: `if_version` is not the version of what was said before.
        """
        check_path(path, is_wanted=is_wanted)
        query = parse_attributes(attributes, path)
        found = device_of(await _held(tx, tenant, device))
        settings = (await _profile(tx.connection, tenant, found.profile, "")).settings
        intents = {intent.path: intent for intent in await intents_of(tx.connection, device)}
        version = intents[path].version if path in intents else 0
        check_version(str(path), version, if_version)
        intents[path] = Intent(
            path=path,
            is_wanted=is_wanted,
            attributes=query if is_wanted else "",
            by=by,
            at=self._clock.now(),
            version=version + 1,
        )
        check_room(settings, list(intents.values()))
        await keep_intent(tx, device, intents[path])
        await put_in_directory(tx, found, settings)

    async def unobserve(
        self, tx: Transaction, tenant: TenantId, device: DeviceId, path: Path, if_version: int | None = None
    ) -> None:
        """What was said of this path counts no more: the profile decides.

        Raises:
            NotFound: no such device, or nothing was said of the path.
            Outdated: `if_version` is not the version of what was said.
        """
        found = device_of(await _held(tx, tenant, device))
        await forget_intent(tx, device, path, if_version)
        await put_in_directory(tx, found, (await _profile(tx.connection, tenant, found.profile, "")).settings)

    # -- how -------------------------------------------------------------------------------------------------------

    async def _told(self, tx: Transaction, dispute: Dispute) -> Dispute:
        """Tells the device where it is, if that can be done; what it said in that place before counts no more."""
        enclosure = dispute.place.enclosure
        if dispute.placement is None or enclosure is None:
            return dispute
        if dispute.claim is not None and dispute.claim.via is not Via.OBJECT:
            return dispute  # its option or query goes before the object, and only a person can change that
        is_told = await self.tell(tx, dispute.place, dispute.placement, enclosure)
        return replace(dispute, claim=None) if is_told else dispute

    async def _settle(self, tx: Transaction, row: Row[Any], dispute: Dispute, by: str | None) -> Device:
        """Writes what a person decided about a device's place, and tells everybody."""
        claimed = [dispute.claim.enclosure] if dispute.claim else []
        judged = judge(dispute, await owners(tx, claimed))
        await tx.execute(
            update(devices).where(devices.c.id == row.id).values(**dispute_columns(judged), version=row.version + 1)
        )
        device = device_of(await _row(tx.connection, row.tenant_id, row.id))
        await put_in_directory(tx, device, (await _profile(tx.connection, device.tenant, device.profile, "")).settings)
        publish_place(tx, device, self._clock.now(), by)
        return device

    async def _created_or_changed(self, tx: Transaction, tenant: TenantId, id_: DeviceId) -> Device:
        """The device as it is now; the gateway and the other rooms are told what to expect of it."""
        device = device_of(await _row(tx.connection, tenant, id_))
        profile = await _profile(tx.connection, tenant, device.profile, "")
        await put_in_directory(tx, device, profile.settings)
        publish_profile(tx, device, profile, self._clock.now())
        return device


async def _row(connection: AsyncConnection, tenant: TenantId, device: DeviceId) -> Row[Any]:
    rows: Sequence[Row[Any]] = (await connection.execute(device_query(tenant).where(devices.c.id == device))).all()
    if not rows:
        raise NotFound(device, "no such device")
    return rows[0]


async def _held(tx: Transaction, tenant: TenantId, device: DeviceId) -> Row[Any]:
    """The device as it is until the commit: nobody else changes it meanwhile."""
    await hold(tx, [device])
    return await _row(tx.connection, tenant, device)


async def _profile(connection: AsyncConnection, tenant: TenantId, profile: ProfileId | None, key: str) -> Profile:
    """The profile of that id, or without one the one that every tenant has under that key."""
    query = select(profiles).where(profiles.c.tenant_id == tenant)
    query = query.where(profiles.c.key == key) if profile is None else query.where(profiles.c.id == profile)
    rows = (await connection.execute(query)).all()
    if not rows:
        raise NotFound(profile or tenant, "no such profile" if profile else "no such tenant")
    return profile_of(rows[0])
