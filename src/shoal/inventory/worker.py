"""Reads what devices did, and keeps registrations and claims in step with it."""

import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from shoal.access.decision import Place
from shoal.errors import NotFound, Rejected
from shoal.events.device import AnyDeviceEvent, DeviceEvent, DeviceRegistered, SecurityEvent
from shoal.events.topics import DEVICE, Topic
from shoal.ids import DeviceId, TenantId
from shoal.inventory.claim import arrives, claims_of
from shoal.inventory.device import Device, Kind, Security
from shoal.inventory.device_rows import hold
from shoal.inventory.observation_store import keep_standings
from shoal.inventory.place_store import name_of, owners, place_in
from shoal.inventory.registration_store import (
    count_unproven,
    ids_of_endpoints,
    keep,
    known_tenants,
    profile_for,
    tracks,
)
from shoal.inventory.store import Inventory
from shoal.inventory.telling import publish_place, put_in_directory
from shoal.inventory.tracking import Track, changes_more, on_event, take_place
from shoal.storage.database import Transaction
from shoal.stream.worker import Batch

log = logging.getLogger(__name__)

GROUP: Final = "inventory"
# Devices without security that a tenant has before strangers make no more: anybody can send a thousand names.
STRANGERS_MAX: Final = 10_000

# Whether policies let a device say that it is there.
MayClaim: TypeAlias = Callable[[Device, Place], Awaitable[bool]]


class InventoryHandler:
    """Group `inventory` on the topic of devices. Creates devices where a listener is open to unknown ones."""

    group: str = GROUP
    topics: Sequence[Topic] = (DEVICE,)
    timed: Sequence[Topic] = ()

    def __init__(self, inventory: Inventory, may_claim: MayClaim) -> None:
        self._inventory = inventory
        self._may_claim = may_claim

    async def handle(self, tx: Transaction, batch: Batch) -> None:
        """Folds the events of a batch, device by device in their order, and writes what is different."""
        events = [event for _, event in batch.events if isinstance(event, DeviceEvent) and event.tenant]
        if not events:
            return
        # Devices first: who changes one holds it before anything else, and so do we.
        found = await self._find(tx, events)
        await hold(tx, {device for event in events if changes_more(event) and (device := _device(event, found))})
        attributed = await self._attribute(tx, events, found)
        wanted: defaultdict[TenantId, set[DeviceId]] = defaultdict(set)
        for device, event in attributed:
            wanted[TenantId(event.tenant or "")].add(device)
        before = await tracks(tx, wanted)
        # Also what was claimed before: an Update may move the Placement object, and then it is judged again.
        claimed = {said for _, event in attributed if (said := claims_of(event))}
        claimed |= {track.dispute.claim.enclosure for track in before.values() if track.dispute.claim}
        whose = await owners(tx, sorted(claimed))

        after = dict(before)
        for device, event in attributed:
            if device in after:
                after[device], effects = on_event(after[device], event, whose)
                after[device], has_arrived = await self._arrive(tx, after[device], is_told=effects.is_place_news)
                if effects.is_place_news or has_arrived:
                    publish_place(tx, await _named(tx, after[device].device), event.time, by=None)
                if effects.tell is not None:
                    await self._inventory.tell(tx, after[device].device.place, *effects.tell)
        await keep(tx, before, after)
        await keep_standings(tx, [(device, event) for device, event in attributed if device in after])
        for device, track in after.items():
            await self._tell_gateway(tx, before[device], track)

    async def _find(self, tx: Transaction, events: Sequence[AnyDeviceEvent]) -> dict[tuple[str, str], DeviceId]:
        """The devices of those events that name a tenant and an endpoint only: they came through open enrolment."""
        endpoints: defaultdict[str, set[str]] = defaultdict(set)
        for event in events:
            if _is_nameless(event):
                endpoints[event.tenant or ""].add(event.endpoint or "")
        found: dict[tuple[str, str], DeviceId] = {}
        for tenant, names in endpoints.items():
            for endpoint, device in (await ids_of_endpoints(tx, TenantId(tenant), sorted(names))).items():
                found[tenant, endpoint] = device
        return found

    async def _attribute(
        self, tx: Transaction, events: Sequence[AnyDeviceEvent], found: dict[tuple[str, str], DeviceId]
    ) -> list[tuple[DeviceId, AnyDeviceEvent]]:
        """Each event with its device. One that registers through open enrolment and is not there yet is created."""
        strangers = [
            event
            for event in events
            if _is_nameless(event) and isinstance(event, DeviceRegistered) and not event.secure and event.endpoint
        ]
        tenants = await known_tenants(tx, sorted({event.tenant or "" for event in strangers}))
        room: dict[TenantId, int] = {}
        for event in strangers:
            tenant, endpoint = TenantId(event.tenant or ""), event.endpoint or ""
            if tenant not in tenants or (tenant, endpoint) in found:
                continue
            if tenant not in room:
                room[tenant] = STRANGERS_MAX - await count_unproven(tx, tenant, STRANGERS_MAX)
                if room[tenant] == 0:
                    log.warning("enrolment.full", extra={"tenant": tenant, "devices_max": STRANGERS_MAX})
            device = await self._enrol(tx, tenant, endpoint) if room[tenant] > 0 else None
            if device is not None:
                found[tenant, endpoint] = device
                room[tenant] -= 1
        return [(device, event) for event in events if (device := _device(event, found))]

    async def _enrol(self, tx: Transaction, tenant: TenantId, endpoint: str) -> DeviceId | None:
        """A new device without a place; None when it cannot be let in.

        Raises:
            Conflict: somebody else created it a moment ago. The batch is repeated, and finds it.
        """
        try:
            device = await self._inventory.create_device(
                tx, tenant, endpoint=endpoint, kind=Kind.SENSOR, security=Security.NONE
            )
        except Rejected as error:
            if await ids_of_endpoints(tx, tenant, [endpoint]):
                raise
            # A stranger with a name that cannot be one, or with that of a device that has a credential.
            log.warning("enrolment.refused", extra={"tenant": tenant, "reason": str(error)})
            return None
        return device.id

    async def _arrive(self, tx: Transaction, track: Track, *, is_told: bool) -> tuple[Track, bool]:
        """A device that was admitted by itself takes the enclosure that it claims; whether it did."""
        claimed = arrives(track.dispute)
        if claimed is None:
            return track, False
        try:
            place = replace(await place_in(tx, track.device.tenant, claimed), device=track.device.id)
        except NotFound:  # deleted a moment ago; when it claims that again, nobody knows it
            return track, False
        if not await self._may_claim(track.device, place):
            log.info("arrival.denied", extra={"device": track.device.id, "enclosure": claimed})
            return track, False
        return take_place(track, place, await name_of(tx, place.tenant, claimed), is_told=is_told), True

    async def _tell_gateway(self, tx: Transaction, before: Track, after: Track) -> None:
        """The gateway marks what a device reports with its place, and with none while that is in quarantine: it must hear
        when either changes."""
        is_moved = before.dispute.place != after.dispute.place
        if is_moved or before.device.place_state.is_quarantined != after.device.place_state.is_quarantined:
            await put_in_directory(tx, after.device, (await profile_for(tx, after)).settings)


def _device(event: AnyDeviceEvent, found: Mapping[tuple[str, str], DeviceId]) -> DeviceId | None:
    if event.device:
        return DeviceId(event.device)
    return found.get((event.tenant or "", event.endpoint or ""))


def _is_nameless(event: AnyDeviceEvent) -> bool:
    return event.device is None and not isinstance(event, SecurityEvent)


async def _named(tx: Transaction, device: Device) -> Device:
    """The device with the name of the enclosure that it claims, where that is the tenant's own."""
    if device.claim is None:
        return device
    name = await name_of(tx, device.tenant, device.claim.enclosure)
    return replace(device, claim=replace(device.claim, enclosure_name=name))
