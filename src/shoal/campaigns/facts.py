"""What a device last said that matters for an update, and when."""

from datetime import datetime
from typing import Final

import msgspec

from shoal.campaigns.artifact import ArtifactKind
from shoal.events.device import (
    AnyDeviceEvent,
    CommandChanged,
    DeviceDeregistered,
    DeviceRegistered,
    ProfileChanged,
    Reading,
    ReadingsReported,
    RegistrationExpired,
    RegistrationUpdated,
)

# Object 5 (Firmware Update) and what a preflight looks at: battery, its status, free memory, firmware version.
STATE: Final = "/5/0/3"
RESULT: Final = "/5/0/5"
PACKAGE_VERSION: Final = "/5/0/7"
FIRMWARE_VERSION: Final = "/3/0/3"
PROTOCOLS: Final = "/5/0/8"
DELIVERY_METHOD: Final = "/5/0/9"
# Object 5 defines six protocols; a device must not decide how much we keep.
PROTOCOLS_MAX: Final = 8  # more of them are not listened to
_PATHS: Final = frozenset(
    {STATE, RESULT, PACKAGE_VERSION, FIRMWARE_VERSION, DELIVERY_METHOD, "/3/0/9", "/3/0/20", "/3/0/10"}
)


class Said(msgspec.Struct, frozen=True):
    """A value with the time we heard it."""

    value: int | float | str
    at: datetime


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """The version that a device reported when our last update of it was over. `drifted` is another that it reports now."""

    update: str
    artifact: str
    name: str
    version: str
    at: datetime
    drifted: str | None = None


class DeviceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One device, as far as updates are concerned. None: it never said."""

    device: str
    tenant: str
    farm: str | None = None
    enclosure: str | None = None
    endpoint: str = ""
    registration: str | None = None
    registered_at: datetime | None = None
    is_registered: bool = False
    has_firmware_object: bool | None = None
    lifetime_s: int = 86_400
    binding: str = "U"
    queue_mode: bool = False
    secure: bool = False
    address: str | None = None
    report_every_s: float | None = None
    grace_s: float | None = None
    state: Said | None = None
    result: Said | None = None
    package_version: Said | None = None
    firmware_version: Said | None = None
    battery_percent: float | None = None
    is_charging: bool = False
    memory_free_kb: float | None = None
    delivery_method: int | None = None
    protocols: tuple[int, ...] = ()
    # By the kind of artifact.
    settled: dict[str, Settled] = {}

    def version_of(self, kind: ArtifactKind) -> Said | None:
        """The version that it reports of its firmware or its model."""
        return self.package_version if kind is ArtifactKind.MODEL else self.firmware_version


def is_about_updates(path: str) -> bool:
    """Whether a reading of this path changes what we know."""
    return path in _PATHS or path.startswith(f"{PROTOCOLS}/")


def new_facts(event: AnyDeviceEvent) -> DeviceFacts | None:
    """What the first event of a device tells; None when it does not say whose device it is, or does not come of the
    device: commands are cancelled when it is gone already.
    """
    if event.device is None or event.tenant is None or isinstance(event, CommandChanged):
        return None
    return DeviceFacts(device=event.device, tenant=event.tenant)


def after_event(facts: DeviceFacts, event: AnyDeviceEvent) -> DeviceFacts:
    """The facts after an event; older news than what is known changes nothing."""
    if event.tenant is not None:
        facts = msgspec.structs.replace(
            facts, farm=event.farm, enclosure=event.enclosure, endpoint=event.endpoint or facts.endpoint
        )
    match event:
        case ProfileChanged():
            return msgspec.structs.replace(facts, report_every_s=event.report_every_s, grace_s=event.grace_s)
        case DeviceRegistered():
            return _registered(facts, event)
        case RegistrationUpdated():
            return _updated(facts, event)
        case DeviceDeregistered() | RegistrationExpired():
            is_current = event.registration == facts.registration
            return msgspec.structs.replace(facts, is_registered=False) if is_current else facts
        case ReadingsReported():
            for reading in event.readings:
                facts = _read(facts, reading, event.time)
            return _protocols(facts, event)
    return facts


def _registered(facts: DeviceFacts, event: DeviceRegistered) -> DeviceFacts:
    if facts.registered_at is not None and event.time <= facts.registered_at:
        return facts
    return msgspec.structs.replace(
        facts,
        registration=event.registration,
        registered_at=event.time,
        is_registered=True,
        has_firmware_object=_has_firmware_object(event.objects),
        lifetime_s=event.lifetime_s,
        binding=event.binding,
        queue_mode=event.queue_mode,
        secure=event.secure,
        address=event.address,
    )


def _updated(facts: DeviceFacts, event: RegistrationUpdated) -> DeviceFacts:
    if event.registration != facts.registration:
        return facts
    if event.objects is not None:
        facts = msgspec.structs.replace(facts, has_firmware_object=_has_firmware_object(event.objects))
    return msgspec.structs.replace(
        facts,
        is_registered=True,
        lifetime_s=facts.lifetime_s if event.lifetime_s is None else event.lifetime_s,
        binding=facts.binding if event.binding is None else event.binding,
        queue_mode=facts.queue_mode if event.queue_mode is None else event.queue_mode,
        address=facts.address if event.address is None else event.address,
    )


def _has_firmware_object(objects: list[tuple[str, str | None]]) -> bool:
    return any(path == "/5" or path.startswith("/5/") for path, _ in objects)


def _read(facts: DeviceFacts, reading: Reading, at: datetime) -> DeviceFacts:
    match reading.path, reading.value:
        case _, bool() | None:
            return facts
        case "/5/0/3", int(number):
            return _said(facts, "state", number, at)
        case "/5/0/5", int(number):
            return _said(facts, "result", number, at)
        case "/5/0/7", str(text):
            return _said(facts, "package_version", text, at)
        case "/3/0/3", str(text):
            return _said(facts, "firmware_version", text, at)
        case "/5/0/9", int(number):
            return msgspec.structs.replace(facts, delivery_method=number)
        case "/3/0/9", int(number) | float(number):
            return msgspec.structs.replace(facts, battery_percent=number)
        case "/3/0/20", int(number):
            return msgspec.structs.replace(facts, is_charging=number in {1, 2})
        case "/3/0/10", int(number) | float(number):
            return msgspec.structs.replace(facts, memory_free_kb=number)
    return facts


def _protocols(facts: DeviceFacts, event: ReadingsReported) -> DeviceFacts:
    """The protocols it can pull by: a report of them is all of them."""
    numbers = [
        reading.value
        for reading in event.readings
        if reading.path.startswith(f"{PROTOCOLS}/") and type(reading.value) is int
    ]
    if not numbers:
        return facts
    return msgspec.structs.replace(facts, protocols=tuple(sorted(set(numbers)))[:PROTOCOLS_MAX])


def _said(facts: DeviceFacts, name: str, value: int | str, at: datetime) -> DeviceFacts:
    known: Said | None = getattr(facts, name)
    if known is not None and at < known.at:
        return facts
    return msgspec.structs.replace(facts, **{name: Said(value, at)})
