"""What an event tells us of a device: the health record with it written down, not yet judged.

Every line minds the time: what we know already, or newer, is not written again, so that a replay changes nothing.
"""

from typing import Final, TypeAlias

import msgspec

from shoal.events.campaign import UpdateChanged, VersionDrifted, VersionEvent
from shoal.events.device import (
    AnyDeviceEvent,
    DeviceAwake,
    DeviceDeregistered,
    DeviceEvent,
    DeviceRegistered,
    DownloadProgressed,
    ObservationChanged,
    PlaceChanged,
    ProfileChanged,
    ReadingsReported,
    RegistrationExpired,
    RegistrationUpdated,
    RequestRefused,
    SecurityEvent,
    host_of,
)
from shoal.health.coverage import of_description
from shoal.health.record import (
    Battery,
    BatteryLevel,
    Drift,
    HealthRecord,
    PlaceDispute,
    Presence,
    Refusals,
    Update,
    with_profile,
)
from shoal.health.rules import UPDATE_SEVERITIES, charged, next_battery
from shoal.health.vitals import battery_levels, updated

replace = msgspec.structs.replace

HealthInput: TypeAlias = AnyDeviceEvent | UpdateChanged | VersionEvent

# Events that the device itself caused by an authenticated datagram: they, and nothing of ours, are signs of life.
_UPLINKS = (
    DeviceRegistered
    | RegistrationUpdated
    | DeviceAwake
    | DeviceDeregistered
    | ReadingsReported
    | RequestRefused
    | DownloadProgressed
)
# States of an observation that are the device's own answer.
_ANSWERED: Final = frozenset({"established", "refused"})
# Batteries of one device: instance numbers come from the device, and it must not decide how much we keep.
BATTERIES_MAX: Final = 8


def new_record(event: HealthInput) -> HealthRecord | None:
    """The record that an event begins. Only the inventory and a registration begin one."""
    if not isinstance(event, ProfileChanged | DeviceRegistered) or event.device is None or event.tenant is None:
        return None
    return HealthRecord(
        device=event.device,
        tenant=event.tenant,
        endpoint=event.endpoint or "",
        judged_at=event.time,
        since=event.created_at if isinstance(event, ProfileChanged) else event.time,
    )


def written_down(record: HealthRecord, event: HealthInput) -> HealthRecord:
    """The record with all that the event says."""
    record = _placed(record, event)
    if _is_uplink(event):
        record = _heard(record, event)
    match event:
        case UpdateChanged():
            return _updating(record, event)
        case VersionEvent():
            return _drifting(record, event)
    return _applied(record, event)


def _placed(record: HealthRecord, event: HealthInput) -> HealthRecord:
    """The place of the inventory travels with every event of a device."""
    if not isinstance(event, DeviceEvent) or isinstance(event, SecurityEvent) or event.tenant is None:
        return record
    if (event.farm, event.enclosure, event.endpoint) == (record.farm, record.enclosure, record.endpoint):
        return record
    if record.place_at is not None and event.time < record.place_at:
        return record
    endpoint = event.endpoint or record.endpoint
    return replace(record, farm=event.farm, enclosure=event.enclosure, endpoint=endpoint, place_at=event.time)


def _is_uplink(event: HealthInput) -> bool:
    if isinstance(event, ObservationChanged):
        return event.state in _ANSWERED
    return isinstance(event, _UPLINKS)


def _heard(record: HealthRecord, event: HealthInput) -> HealthRecord:
    heard, at, refusals = record.presence.heard_at, event.time, record.refusals
    if heard is not None and at <= heard:
        return record
    return replace(
        record,
        presence=replace(record.presence, heard_at=at),
        refusals=None if refusals is not None and refusals.last_at <= at else refusals,
        judged_at=max(record.judged_at, at),
    )


def _applied(record: HealthRecord, event: HealthInput) -> HealthRecord:
    match event:
        case DeviceRegistered():
            return _registered(record, event)
        case RegistrationUpdated():
            return _registration_updated(record, event)
        case DeviceDeregistered():
            return _deregistered(record, event)
        case RegistrationExpired():
            return _expired(record, event)
        case ReadingsReported():
            return _read(record, event)
        case SecurityEvent():
            return _refused(record, event)
        case ProfileChanged():
            return with_profile(record, event)
        case PlaceChanged():
            return _disputed(record, event)
    return record


def _registered(record: HealthRecord, event: DeviceRegistered) -> HealthRecord:
    known = record.presence.registered_at
    if known is not None and event.time <= known:
        return record
    presence = Presence(
        heard_at=record.presence.heard_at,
        registration=event.registration,
        registered_at=event.time,
        changed_at=event.time,
        lifetime_s=event.lifetime_s,
        queue_mode=event.queue_mode,
        secure=event.secure,
    )
    return replace(record, presence=presence, objects=_objects(event.objects))


def _registration_updated(record: HealthRecord, event: RegistrationUpdated) -> HealthRecord:
    presence = record.presence
    if presence.changed_at is not None and event.time <= presence.changed_at:
        return record
    presence = replace(
        presence,
        registration=event.registration,
        changed_at=event.time,
        lifetime_s=presence.lifetime_s if event.lifetime_s is None else event.lifetime_s,
        queue_mode=presence.queue_mode if event.queue_mode is None else event.queue_mode,
        deregistered_at=None,
        expired_at=None,
    )
    objects = record.objects if event.objects is None else _objects(event.objects)
    return replace(record, presence=presence, objects=objects)


def _objects(links: list[tuple[str, str | None]]) -> tuple[str, ...]:
    return tuple(sorted({path.split("/")[1] for path, _ in links if path.count("/") >= 1 and len(path) > 1}))


def _deregistered(record: HealthRecord, event: DeviceDeregistered) -> HealthRecord:
    presence = record.presence
    if event.registration != presence.registration or (presence.changed_at and event.time <= presence.changed_at):
        return record
    return replace(record, presence=replace(presence, changed_at=event.time, deregistered_at=event.time))


def _expired(record: HealthRecord, event: RegistrationExpired) -> HealthRecord:
    if event.registration != record.presence.registration:
        return record
    return replace(record, presence=replace(record.presence, expired_at=event.time))


def _read(record: HealthRecord, event: ReadingsReported) -> HealthRecord:
    if record.vitals.at is not None and event.time < record.vitals.at:
        return record
    vitals = updated(record.vitals, event)
    if vitals is not record.vitals:
        since = {str(code): record.codes_since.get(str(code), event.time) for code in vitals.error_codes}
        record = replace(record, vitals=vitals, codes_since=since)
    described = {quantity for reading in event.readings if (quantity := of_description(reading.path, reading.value))}
    if not described <= set(record.described):
        record = replace(record, described=tuple(sorted(described | set(record.described))))
    batteries = dict(record.batteries)
    for instance, percent in battery_levels(event.readings):
        if instance not in batteries and len(batteries) >= BATTERIES_MAX:
            continue
        battery = batteries.get(instance, Battery())
        # Several readings of one report all count; those of a report that we know count no more.
        known = record.batteries.get(instance, Battery()).levels
        if not known or event.time > known[-1].at:
            batteries[instance] = next_battery(battery, BatteryLevel(event.time, percent), record)
    if vitals.is_charging:
        batteries = {instance: charged(battery) for instance, battery in batteries.items()}
    return replace(record, batteries=batteries) if batteries != record.batteries else record


def _refused(record: HealthRecord, event: SecurityEvent) -> HealthRecord:
    heard, known = record.presence.heard_at, record.refusals
    if (heard is not None and event.time <= heard) or (known is not None and event.time <= known.last_at):
        return record
    count, first = (known.count, known.first_at) if known else (0, event.time)
    refusals = Refusals(
        reason=event.reason,
        count=count + event.count,
        first_at=first,
        last_at=event.time,
        address=host_of(event.address or ""),
    )
    return replace(record, refusals=refusals)


def _disputed(record: HealthRecord, event: PlaceChanged) -> HealthRecord:
    known = record.dispute
    if record.disputed_at is not None and event.time <= record.disputed_at:
        return record
    if event.state == "agreed":
        known = None
    elif known is None or (known.state, known.claimed) != (event.state, event.claimed):
        known = PlaceDispute(
            state=event.state,
            claimed=event.claimed,
            claimed_name=event.claimed_name,
            enclosure_name=event.enclosure_name,
            since=event.time,
        )
    return replace(record, dispute=known, disputed_at=event.time)


def _updating(record: HealthRecord, event: UpdateChanged) -> HealthRecord:
    known = record.update
    if known is not None and event.time < known.since:
        return record
    is_same = known is not None and (known.update, known.state) == (event.update, event.state)
    update = Update(
        update=event.update,
        name=event.name,
        version=event.version,
        state=event.state,
        reason=event.reason,
        since=known.since if known is not None and is_same else event.time,
        deadline=event.deadline,
    )
    failed = record.failed_update
    if event.state in UPDATE_SEVERITIES:
        failed = update
    elif event.state == "confirmed" and (failed is None or event.undoes != failed.update):
        # Only the next success ends it: a new attempt is a hope, and to be back where it was is none.
        failed = None
    return replace(record, update=update, failed_update=failed)


def _drifting(record: HealthRecord, event: VersionEvent) -> HealthRecord:
    known = record.drifts_at.get(event.kind)
    if known is not None and event.time <= known:
        return record
    drifts = {kind: drift for kind, drift in record.drifts.items() if kind != event.kind}
    if isinstance(event, VersionDrifted):
        drifts[event.kind] = Drift(
            kind=event.kind, name=event.name, version=event.version, reported=event.reported, since=event.time
        )
    return replace(record, drifts=drifts, drifts_at={**record.drifts_at, event.kind: event.time})
