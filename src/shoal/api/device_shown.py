"""A device as callers see it: what the rooms know of it, in one answer. Composed for a page of devices at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import BaseModel

from shoal.access.policy import Operation
from shoal.api.access import Reader
from shoal.api.commands import CommandShown, can_read, command_shown
from shoal.api.context import DeviceRooms
from shoal.credentials.credential import Credential, State
from shoal.events.condition import Verdict
from shoal.health.status import Status
from shoal.health.store import DeviceHealth
from shoal.history.store import LastValue
from shoal.ids import DeviceId
from shoal.inventory.claim import Arrival
from shoal.inventory.device import Device, Security
from shoal.inventory.presence import Registration
from shoal.inventory.profile import Profile, ProfileId
from shoal.lwm2m.path import Path

# What a list shows of each device: by name, the paths that may hold it, the first that is there.
VITALS: Final[Mapping[str, tuple[str, ...]]] = {
    "battery_percent": ("/3/0/9",),
    "battery_mv": ("/3/0/7", "/3/0/7/0"),
    "signal_dbm": ("/4/0/2",),
    "free_memory_kb": ("/3/0/10",),
    "firmware_version": ("/3/0/3",),
}
MANUFACTURER: Final = "/3/0/0"
MODEL: Final = "/3/0/1"
_PATHS: Final = (*(path for paths in VITALS.values() for path in paths), MANUFACTURER, MODEL)


class EvidenceShown(BaseModel):
    at: datetime
    says: str


class VerdictShown(BaseModel):
    """What it is, since when, how we know, and what it is not."""

    cause: str
    says: str
    since: datetime | None
    evidence: list[EvidenceShown]
    ruled_out: list[str]


class ConditionShown(BaseModel):
    condition: str
    instance: str
    severity: str
    since: datetime
    verdict: VerdictShown


class NamesShown(BaseModel):
    farm: str
    enclosure: str


class PlaceShown(BaseModel):
    """Where the inventory says it is. `state` is agreed, mismatch, unknown or foreign: how the claim stands to it.

    `arrival` is of a device that nobody made: `waiting` for approval, or `admitted` and without a place until it claims
    one; null when it has its place.
    """

    farm: str | None
    enclosure: str | None
    names: NamesShown
    state: str
    arrival: Arrival | None


class ClaimShown(BaseModel):
    """The enclosure that the device itself reports; names only where it is one of the tenant's own."""

    enclosure: str
    name: str | None
    farm: str | None
    farm_name: str | None
    via: str
    at: datetime


class RegistrationShown(BaseModel):
    id: str
    version: str
    lifetime_s: int
    binding: str
    queue_mode: bool
    secure: bool
    address: str
    registered_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    awake_until: datetime | None


class SecurityShown(BaseModel):
    """What the device uses now: `mode` is psk, x509, or none for labs. `key` is there once: in the answer to what made it.

    `needs_key`: the device cannot connect until it gets a new one; it never had any, or it was lost with the master key.
    """

    mode: str
    identity: str | None = None
    created_at: datetime | None = None
    needs_key: bool = False


class NewSecurityShown(SecurityShown):
    key: str | None = None


class ProfileNamed(BaseModel):
    id: str
    key: str | None
    name: str


class VitalShown(BaseModel):
    value: float | str
    at: datetime


class VitalsShown(BaseModel):
    """The last that the device said about itself; null where it never did."""

    battery_percent: VitalShown | None
    battery_mv: VitalShown | None
    signal_dbm: VitalShown | None
    free_memory_kb: VitalShown | None
    firmware_version: VitalShown | None


class FlagsShown(BaseModel):
    """`asleep`: as planned. `stale`: we do not hear at the moment, and what stands here is from before."""

    asleep: bool
    stale: bool


class DeviceShown(BaseModel):
    """One device. `status` is new, healthy, degraded, failing or silent; `cause` a stable word for why."""

    id: str
    endpoint: str
    name: str
    kind: str
    manufacturer: str | None
    model: str | None
    status: str
    cause: str | None
    since: datetime | None
    last_heard_at: datetime | None
    next_expected_at: datetime | None
    verdict: VerdictShown | None
    conditions: list[ConditionShown]
    place: PlaceShown
    claim: ClaimShown | None
    registration: RegistrationShown | None
    security: SecurityShown
    profile: ProfileNamed
    vitals: VitalsShown
    flags: FlagsShown
    waiting: list[CommandShown]
    created_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class _Known:
    """What the other rooms know of some devices."""

    health: Mapping[str, DeviceHealth]
    credentials: Mapping[DeviceId, Sequence[Credential]]
    values: Mapping[tuple[str, str], LastValue]
    profiles: Mapping[ProfileId, Profile]
    now: datetime


async def devices_shown(rooms: DeviceRooms, asking: Reader, devices: Sequence[Device]) -> list[DeviceShown]:
    """These devices as this caller may see them; what waits for each is left to the page of one."""
    tenant = asking.tenant
    places = {device.id: device.place for device in devices}
    ids = [device.id for device in devices]
    known = _Known(
        health=await rooms.health.of(tenant, ids),
        credentials=await rooms.credentials.credentials_for(tenant, ids),
        values={
            (device, path): value
            for (device, path), value in (await rooms.history.last_values_of(ids, _PATHS) if ids else {}).items()
            if asking.can(Operation.READ, places[DeviceId(device)], Path.parse(path))
        },
        profiles={profile.id: profile for profile in await rooms.inventory.profiles(tenant)},
        now=rooms.clock.now(),
    )
    return [_shown(device, known) for device in devices]


async def device_shown(rooms: DeviceRooms, asking: Reader, device: Device) -> DeviceShown:
    """One device, with what waits for it, in the order in which it was asked."""
    [shown] = await devices_shown(rooms, asking, [device])
    waiting = await rooms.commands.of_device(device.tenant, device.id, is_unfinished=True)
    shown.waiting = [
        command_shown(command, shown.next_expected_at) for command in reversed(waiting) if can_read(asking, command)
    ]
    return shown


def verdict_shown(verdict: Verdict, since: datetime | None) -> VerdictShown:
    return VerdictShown(
        cause=verdict.cause,
        says=verdict.says,
        since=since,
        evidence=[EvidenceShown(at=line.at, says=line.says) for line in verdict.evidence],
        ruled_out=list(verdict.ruled_out),
    )


def security_shown(device: Device, credentials: Sequence[Credential]) -> SecurityShown:
    # What the device uses: while one takes over from another, that is the older one.
    order = [State.CURRENT, State.RETIRING, State.NEXT]
    living = sorted((one for one in credentials if one.state.is_living), key=lambda one: order.index(one.state))
    if device.security is Security.NONE or not living:
        # One that waits for approval needs a person, and nothing new.
        is_waiting = any(one.state is State.WAITING for one in credentials)
        return SecurityShown(
            mode=device.security.value, needs_key=device.security is not Security.NONE and not is_waiting
        )
    credential = living[0]
    return SecurityShown(
        mode=credential.mode.value,
        identity=credential.identity,
        created_at=credential.created_at,
        needs_key=credential.needs_key,
    )


def _shown(device: Device, known: _Known) -> DeviceShown:
    health = known.health.get(device.id)
    profile = known.profiles[device.profile]
    registration = device.registration
    heard = [at for at in (health and health.last_heard_at, registration and registration.last_heard_at) if at]
    expected = health.expected_by if health else None
    manufacturer, model = (known.values.get((device.id, path)) for path in (MANUFACTURER, MODEL))
    return DeviceShown(
        id=device.id,
        endpoint=device.endpoint,
        name=device.name,
        kind=device.kind.value,
        manufacturer=str(manufacturer.value) if manufacturer else None,
        model=str(model.value) if model else None,
        status=(health.status if health else Status.NEW).value,
        cause=health.cause if health else None,
        since=health.since if health else None,
        last_heard_at=max(heard, default=None),
        next_expected_at=expected,
        verdict=verdict_shown(health.verdict, health.since) if health and health.verdict else None,
        conditions=_conditions(health),
        place=_place(device),
        claim=_claim(device),
        registration=_registration(registration, profile) if registration and registration.is_current else None,
        security=security_shown(device, known.credentials.get(device.id, [])),
        profile=ProfileNamed(id=profile.id, key=profile.key, name=profile.name),
        vitals=VitalsShown(**{name: _vital(device, paths, known.values) for name, paths in VITALS.items()}),
        flags=_flags(health, registration, profile, known.now),
        waiting=[],
        created_at=device.created_at,
        version=device.version,
    )


def _conditions(health: DeviceHealth | None) -> list[ConditionShown]:
    return [
        ConditionShown(
            condition=condition.condition,
            instance=condition.instance,
            severity=condition.severity.value,
            since=condition.since,
            verdict=verdict_shown(condition.verdict, condition.since),
        )
        for condition in (health.conditions if health else [])
    ]


def _place(device: Device) -> PlaceShown:
    return PlaceShown(
        farm=device.farm,
        enclosure=device.enclosure,
        names=NamesShown(farm=device.farm_name or "", enclosure=device.enclosure_name or ""),
        state=device.place_state.value,
        arrival=device.arrival,
    )


def _claim(device: Device) -> ClaimShown | None:
    """What the device claims. An empty claim is none: it does not know where it is."""
    claim = device.claim
    if claim is None or not claim.enclosure:
        return None
    return ClaimShown(
        enclosure=claim.enclosure,
        name=claim.enclosure_name,
        farm=claim.farm,
        farm_name=claim.farm_name,
        via=claim.via.value,
        at=claim.at,
    )


def _registration(registration: Registration, profile: Profile) -> RegistrationShown:
    return RegistrationShown(
        id=registration.id,
        version=registration.version,
        lifetime_s=int(registration.lifetime.total_seconds()),
        binding=registration.binding,
        queue_mode=registration.queue_mode,
        secure=registration.secure,
        address=registration.address,
        registered_at=registration.registered_at,
        updated_at=registration.updated_at,
        expires_at=registration.expires_at,
        awake_until=registration.awake_until(profile.awake_window),
    )


def _vital(device: Device, paths: Sequence[str], values: Mapping[tuple[str, str], LastValue]) -> VitalShown | None:
    for path in paths:
        known = values.get((device.id, path))
        if known is not None and isinstance(known.value, int | float | str):
            return VitalShown(value=known.value, at=known.time)
    return None


def _flags(
    health: DeviceHealth | None, registration: Registration | None, profile: Profile, now: datetime
) -> FlagsShown:
    is_stale = health is not None and health.is_stale
    if health is not None and health.last_heard_at is not None:
        return FlagsShown(asleep=health.is_asleep, stale=is_stale)
    # Health has not come to it yet: what the registration says.
    is_asleep = (
        registration is not None and registration.is_current and not registration.is_awake(profile.awake_window, now)
    )
    return FlagsShown(asleep=is_asleep, stale=is_stale)
