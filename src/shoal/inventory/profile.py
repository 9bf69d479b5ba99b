"""What to expect of a device and what to ask of it, by the kind of device it is: the profiles."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NewType

import msgspec

from shoal.errors import Rejected
from shoal.ids import TenantId
from shoal.inventory.claim import ENCLOSURE_ANYWHERE

ProfileId = NewType("ProfileId", str)

# RFC 7252 §4.8.2: MAX_TRANSMIT_WAIT. As long as a request of ours may take, a device in queue mode has to listen.
AWAKE_WINDOW_S: Final = 93.0
# RFC 7252 §4.8: ACK_TIMEOUT.
ACK_TIMEOUT_S: Final = 2.0
# RFC 7252 §4.8: ACK_RANDOM_FACTOR and MAX_RETRANSMIT.
RANDOM_FACTOR: Final = 1.5
MAX_RETRANSMIT: Final = 4
# As the core has it: a wider spread says nothing any more about the link.
RANDOM_FACTOR_MAX: Final = 3.0
# As the core has it: each repetition doubles the wait, and all other requests to the device wait behind.
RETRANSMIT_MAX: Final = 8
ACK_TIMEOUT_MAX_S: Final = 60.0  # a satellite needs a part of it
# As many as the core keeps observations of one device without wildcards.
PATHS_MAX: Final = 64
# As many as the core reads after each Register.
READS_MAX: Final = 32
# A year: nobody waits longer for a report.
SECONDS_MAX: Final = 366 * 86_400.0


class Observe(msgspec.Struct, frozen=True):
    """One path to observe, `*` for every instance that the device registered, and the attributes (`pmin=10&pmax=60`)."""

    path: str
    attributes: str = ""


class ProfileSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a profile says. `grace_s` of None follows the lifetime of the registration.

    `ack_timeout_s`, `random_factor` and `max_retransmit` say how patiently a message to the device is repeated (RFC 7252
    §4.8). `samples` readings in a row below `battery_warning` or `battery_high` (percent) make a low battery.
    """

    report_every_s: float
    lifetime_s: int
    observe: tuple[Observe, ...] = ()
    read: tuple[str, ...] = ()
    grace_s: float | None = None
    awake_window_s: float = AWAKE_WINDOW_S
    ack_timeout_s: float = ACK_TIMEOUT_S
    random_factor: float = RANDOM_FACTOR
    max_retransmit: int = MAX_RETRANSMIT
    samples: int = 3
    battery_warning: float = 25
    battery_high: float = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Settings with a name, of one tenant. `key` names those that every tenant has from the start."""

    id: ProfileId
    tenant: TenantId
    key: str | None
    name: str
    settings: ProfileSettings
    created_at: datetime

    @property
    def awake_window(self) -> timedelta:
        return timedelta(seconds=self.settings.awake_window_s)


def check_settings(settings: ProfileSettings) -> ProfileSettings:
    """Settings that can be kept, with what we always observe: the enclosure that a device claims.

    Raises:
        Rejected: a number out of range, too many paths, a path that is none.
    """
    positive = {
        "report_every_s": settings.report_every_s,
        "awake_window_s": settings.awake_window_s,
        "ack_timeout_s": settings.ack_timeout_s,
        "samples": settings.samples,
    }
    for name, value in (*positive.items(), ("lifetime_s", settings.lifetime_s), ("grace_s", settings.grace_s or 0)):
        if not 0 <= value <= SECONDS_MAX or (name in positive and value == 0):
            raise Rejected(name, f"{value}, expected more than 0 and at most {SECONDS_MAX:.0f}")
    _check_transmission(settings)
    if not 0 <= settings.battery_high <= settings.battery_warning <= 100:
        raise Rejected("battery_high", "not between 0 and battery_warning, or that is above 100")
    if not any(intent.path == ENCLOSURE_ANYWHERE for intent in settings.observe):
        settings = msgspec.structs.replace(settings, observe=(*settings.observe, Observe(ENCLOSURE_ANYWHERE)))
    if len(settings.observe) > PATHS_MAX:
        raise Rejected("observe", f"more than {PATHS_MAX} paths")
    if len(settings.read) > READS_MAX:
        raise Rejected("read", f"more than {READS_MAX} paths")
    for path in (*(intent.path for intent in settings.observe), *settings.read):
        _check_path(path)
    return settings


def _check_transmission(settings: ProfileSettings) -> None:
    if not 1 <= settings.random_factor <= RANDOM_FACTOR_MAX:
        raise Rejected("random_factor", f"{settings.random_factor}, expected 1 to {RANDOM_FACTOR_MAX}")
    if not 0 <= settings.max_retransmit <= RETRANSMIT_MAX:
        raise Rejected("max_retransmit", f"{settings.max_retransmit}, expected 0 to {RETRANSMIT_MAX}")
    if settings.ack_timeout_s > ACK_TIMEOUT_MAX_S:
        raise Rejected("ack_timeout_s", f"{settings.ack_timeout_s}, expected at most {ACK_TIMEOUT_MAX_S}")


def _check_path(path: str) -> None:
    parts = path.split("/")
    is_path = parts[0] == "" and 2 <= len(parts) <= 5 and parts[1].isdecimal() and parts[1].isascii()
    # `*` stands for every instance, and for nothing else.
    is_instance = [position == 2 and part == "*" for position, part in enumerate(parts)]
    if not is_path or not all(
        is_any or (part.isascii() and part.isdecimal()) for is_any, part in zip(is_instance[2:], parts[2:], strict=True)
    ):
        raise Rejected("path", f"{path[:40]!r} is not like /3303/*/5700")


def _observing(report_every_s: int, *values: str) -> tuple[Observe, ...]:
    """How fast a value may be reported is the device's own matter (pmin of its Server object); how slowly is ours."""
    regular = tuple(Observe(path, f"pmax={report_every_s}") for path in (*values, "/3/0/9"))
    return (*regular, Observe("/3/0/11"), Observe("/5/0/3"), Observe("/5/0/5"), Observe(ENCLOSURE_ANYWHERE))


# Generic sensor (dissolved oxygen), temperature, conductivity (salinity).
_WATER: Final = ("/3300/*/5700", "/3303/*/5700", "/3327/*/5700")
# Frames per second and stream state of our Camera Health object.
_CAMERA: Final = ("/26242/*/0", "/26242/*/4")
# Units and application types: what a generic sensor measures stands nowhere else, and it never changes.
_DESCRIPTIONS: Final = ("/3300/*/5701", "/3300/*/5750", "/3303/*/5701", "/3327/*/5701")
# Read after each Register: the device itself, its radio, its firmware and model, what it measures.
_READ: Final = ("/3/0", "/4/0", "/5/0", *_DESCRIPTIONS)

BATTERY_SENSOR: Final = "battery-sensor"
MAINS_SENSOR: Final = "mains-sensor"
MAINS_CAMERA: Final = "mains-camera"
DEMO: Final = "demo"

# Every tenant starts with these (docs/architecture.md, health: profiles S and C, and two more).
BUILT_IN: Final[dict[str, tuple[str, ProfileSettings]]] = {
    BATTERY_SENSOR: (
        "Battery sensor",
        ProfileSettings(report_every_s=1_800, lifetime_s=7_200, observe=_observing(1_800, *_WATER), read=_READ),
    ),
    MAINS_SENSOR: (
        "Mains sensor",
        ProfileSettings(report_every_s=60, lifetime_s=300, observe=_observing(60, *_WATER), read=_READ),
    ),
    MAINS_CAMERA: (
        "Mains camera",
        ProfileSettings(report_every_s=60, lifetime_s=300, observe=_observing(60, *_CAMERA), read=_READ),
    ),
    # Minutes become seconds: for the demo farm, and for trying out what a profile does.
    DEMO: (
        "Demo",
        ProfileSettings(
            report_every_s=5,
            lifetime_s=30,
            grace_s=15,
            awake_window_s=2,
            observe=_observing(5, *_WATER, *_CAMERA),
            read=_READ,
        ),
    ),
}
