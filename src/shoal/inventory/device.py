"""A device: a sensor or camera that we manage, and what we say about it."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from shoal.access.decision import Place
from shoal.errors import Rejected
from shoal.ids import DeviceId, EnclosureId, FarmId, TenantId
from shoal.inventory.claim import Arrival, PlaceState, Via
from shoal.inventory.presence import Registration
from shoal.inventory.profile import BATTERY_SENSOR, MAINS_CAMERA, ProfileId

# What the core keeps of an endpoint name; the longest in the field are URNs of about 60 (LwM2M Core 1.1 §7.3.1).
ENDPOINT_BYTES_MAX: Final = 128


class Kind(StrEnum):
    """What a device is to a farmer."""

    SENSOR = "sensor"
    CAMERA = "camera"


class Security(StrEnum):
    """How a device proves who it is. `none` is for labs, and shown as insecure."""

    PSK = "psk"
    X509 = "x509"
    NONE = "none"


# The profile of a device for which nobody chose one. A sensor may sleep, and a profile that expects it to harms no other.
PROFILE_OF_KIND: Final = {Kind.SENSOR: BATTERY_SENSOR, Kind.CAMERA: MAINS_CAMERA}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Where the device says it is. Names are set when the enclosure is one of the tenant's own."""

    enclosure: str
    via: Via
    at: datetime
    enclosure_name: str | None = None
    farm: FarmId | None = None
    farm_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device as the inventory knows it. `version` rises with each change that a person made or has to know."""

    id: DeviceId
    tenant: TenantId
    farm: FarmId | None
    farm_name: str | None
    enclosure: EnclosureId | None
    enclosure_name: str | None
    endpoint: str
    name: str
    kind: Kind
    security: Security
    profile: ProfileId
    place_state: PlaceState
    arrival: Arrival | None = None
    claim: Claim | None
    registration: Registration | None
    created_at: datetime
    version: int

    @property
    def place(self) -> Place:
        """Where the inventory says it is."""
        return Place(tenant=self.tenant, farm=self.farm, enclosure=self.enclosure, device=self.id)


def parse_endpoint(raw: str) -> str:
    """The name a device registers under, exactly as it will send it.

    Raises:
        Rejected: empty, longer than 128 bytes, or with characters that cannot be seen.
    """
    size = len(raw.encode("utf-8", "surrogatepass"))
    if not raw or size > ENDPOINT_BYTES_MAX:
        raise Rejected("endpoint", f"{size} bytes, expected 1 to {ENDPOINT_BYTES_MAX}")
    if raw != raw.strip() or any(unicodedata.category(character) in {"Cc", "Cf", "Cs"} for character in raw):
        raise Rejected("endpoint", "holds characters that cannot be seen")
    return raw


def parse_device_kind(raw: str) -> Kind:
    """Sensor or camera.

    Raises:
        Rejected: neither.
    """
    try:
        return Kind(raw)
    except ValueError as error:
        raise Rejected("kind", "neither sensor nor camera") from error


def parse_security(raw: str) -> Security:
    """`psk`, `x509` or `none`.

    Raises:
        Rejected: none of them.
    """
    try:
        return Security(raw)
    except ValueError as error:
        raise Rejected("security", "neither psk nor x509 nor none") from error
