"""Is it here: the registration of a device, as its events on the stream made it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias

from shoal.events.device import (
    AnyDeviceEvent,
    CommandChanged,
    DeviceAwake,
    DeviceDeregistered,
    DeviceRegistered,
    DeviceRemoved,
    Heartbeat,
    PlaceChanged,
    ProfileChanged,
    RegistrationExpired,
    RegistrationUpdated,
    SecurityEvent,
)

Objects: TypeAlias = tuple[tuple[str, str | None], ...]

# What the inventory or a command tells of a device is not a sign of life; a refused handshake may be somebody else's.
_NOT_HEARD: Final = (
    CommandChanged,
    DeviceRemoved,
    Heartbeat,
    PlaceChanged,
    ProfileChanged,
    RegistrationExpired,
    SecurityEvent,
)


class EndedBy(StrEnum):
    """How a registration ended."""

    DEREGISTERED = "deregistered"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The span from Register until De-register or expiry. A lifetime of zero never ends: `expires_at` is None."""

    id: str
    version: str
    lifetime: timedelta
    binding: str
    queue_mode: bool
    secure: bool
    address: str
    objects: Objects
    registered_at: datetime
    updated_at: datetime
    last_heard_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None = None
    ended_by: EndedBy | None = None

    @property
    def is_current(self) -> bool:
        """Whether the device counts as registered."""
        return self.ended_at is None

    def awake_until(self, window: timedelta) -> datetime | None:
        """Until when a device in queue mode listens; None for one that always does."""
        return self.last_heard_at + window if self.queue_mode else None

    def is_awake(self, window: timedelta, now: datetime) -> bool:
        """Whether a request would reach the device now, as far as we know."""
        until = self.awake_until(window)
        return self.is_current and (until is None or now < until)


def on_event(registration: Registration | None, event: AnyDeviceEvent) -> Registration | None:
    """The registration after an event. Events that come twice or too late change nothing."""
    match event:
        case DeviceRegistered():
            return _registered(registration, event)
        case _ if registration is None:
            return None
        case RegistrationUpdated(registration=id_) if id_ == registration.id:
            return _heard(_updated(registration, event), event.time)
        case DeviceAwake(registration=id_) if id_ == registration.id:
            expires_at = registration.expires_at
            if event.expires_at is not None and expires_at is not None:
                expires_at = max(expires_at, datetime.fromtimestamp(event.expires_at, UTC))
            return _heard(replace(registration, expires_at=expires_at), event.time)
        case DeviceDeregistered(registration=id_) if id_ == registration.id:
            return _ended(_heard(registration, event.time), event.time, EndedBy.DEREGISTERED)
        case RegistrationExpired(registration=id_) if id_ == registration.id:
            return _ended(registration, event.time, EndedBy.EXPIRED)
        case RegistrationUpdated() | DeviceAwake() | DeviceDeregistered():
            # About a registration that is not the current one: another partition may tell of it late.
            return registration
        case _ if isinstance(event, _NOT_HEARD):
            return registration
        case _:
            return _heard(registration, event.time)


def _registered(before: Registration | None, event: DeviceRegistered) -> Registration:
    if before is not None and (before.id == event.registration or before.registered_at > event.time):
        return before
    lifetime = timedelta(seconds=event.lifetime_s)
    return Registration(
        id=event.registration,
        version=event.version,
        lifetime=lifetime,
        binding=event.binding,
        queue_mode=event.queue_mode,
        secure=event.secure,
        address=event.address,
        objects=_pairs(event.objects),
        registered_at=event.time,
        updated_at=event.time,
        last_heard_at=event.time if before is None else max(event.time, before.last_heard_at),
        expires_at=_expiry(event.time, lifetime),
    )


def _updated(registration: Registration, event: RegistrationUpdated) -> Registration:
    lifetime = registration.lifetime if event.lifetime_s is None else timedelta(seconds=event.lifetime_s)
    return replace(
        registration,
        lifetime=lifetime,
        binding=registration.binding if event.binding is None else event.binding,
        queue_mode=registration.queue_mode if event.queue_mode is None else event.queue_mode,
        address=registration.address if event.address is None else event.address,
        objects=registration.objects if event.objects is None else _pairs(event.objects),
        updated_at=max(registration.updated_at, event.time),
        expires_at=_expiry(max(registration.updated_at, event.time), lifetime),
    )


def _heard(registration: Registration, at: datetime) -> Registration:
    return replace(registration, last_heard_at=max(registration.last_heard_at, at))


def _ended(registration: Registration, at: datetime, by: EndedBy) -> Registration:
    return registration if registration.ended_at else replace(registration, ended_at=at, ended_by=by)


def _expiry(since: datetime, lifetime: timedelta) -> datetime | None:
    return since + lifetime if lifetime else None


def _pairs(objects: Sequence[tuple[str, str | None]]) -> Objects:
    return tuple((path, version) for path, version in objects)
