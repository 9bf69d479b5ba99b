"""What devices did and said: topic shoal.device.v1. Most of these are written by the Rust core, byte for byte."""

import ipaddress
from typing import Annotated, ClassVar, Final, TypeAlias

import msgspec

from shoal.events.envelope import Event, Moment
from shoal.events.topics import DEVICE, Topic

Scalar: TypeAlias = bool | int | float | str | None
NULL: Final = msgspec.Raw(b"null")
# Node numbers in one heartbeat. Whoever reads it keeps a time for each, in every partition; and so many gateways, each
# with a heartbeat every 5 s, are 200 records a second in each partition that say nothing of a device.
NODES_MAX: Final = 1_024
Node: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Nodes: TypeAlias = Annotated[list[Node], msgspec.Meta(min_length=1, max_length=NODES_MAX)]
# Why a device is refused that came by itself and that nobody has approved yet.
NOT_APPROVED: Final = "not_approved"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A value that a device sent, however it travelled. `time` is the device's own clock, Unix seconds.

    `kind` is there where JSON does not tell it: `opaque`, bytes in Base64; `objlnk`, text such as `3303:0`; `time`, Unix
    seconds. The payload told it, or else the definition: SenML has numbers and no times.
    """

    path: str
    value: Scalar
    kind: str | None = None
    time: float | None = None


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The enclosure a device says it is in, and where it said so: `option`, `query` or `object`."""

    enclosure: str
    via: str


class CertificateUsed(msgspec.Struct, frozen=True, kw_only=True):
    """The certificate that a device proved itself with: serial number and SHA-256 over DER in hexadecimal, Unix seconds."""

    fingerprint: str
    serial: str
    not_before: int
    not_after: int


class DeviceEvent(Event, frozen=True, kw_only=True):
    """An event about one device. The place is that of the inventory when the event was written.

    All of `device` to `endpoint` are empty for what we cannot attribute (an unknown identity, say).
    """

    topic: ClassVar[Topic] = DEVICE

    device: str | None = None
    tenant: str | None = None
    farm: str | None = None
    enclosure: str | None = None
    endpoint: str | None = None

    @property
    def key(self) -> str:
        return self.device or self.endpoint or self.id


class DeviceRegistered(DeviceEvent, frozen=True, kw_only=True, tag="registered"):
    """A device registered (OMA LwM2M Core 1.1 §6.2.1). `objects` are pairs of path and version.

    `credential` is what it proved itself with; empty in the clear.
    """

    registration: str
    version: str
    lifetime_s: int
    binding: str
    queue_mode: bool
    secure: bool
    address: str
    replaced: bool = False
    objects: list[tuple[str, str | None]] = []
    attributes: dict[str, str] = {}
    claim: Claim | None = None
    session: str | None = None
    credential: str | None = None
    certificate: CertificateUsed | None = None


class RegistrationUpdated(DeviceEvent, frozen=True, kw_only=True, tag="updated"):
    """A registration changed; only what changed is set."""

    registration: str
    lifetime_s: int | None = None
    binding: str | None = None
    queue_mode: bool | None = None
    address: str | None = None
    objects: list[tuple[str, str | None]] | None = None
    claim: Claim | None = None


class DeviceAwake(DeviceEvent, frozen=True, kw_only=True, tag="awake"):
    """The device was heard, and nothing else came of it; at most one every few seconds."""

    registration: str
    expires_at: int | None = None


class DeviceDeregistered(DeviceEvent, frozen=True, kw_only=True, tag="deregistered"):
    """The device said goodbye."""

    registration: str


class RegistrationExpired(DeviceEvent, frozen=True, kw_only=True, tag="expired"):
    """Lifetime and grace passed without an Update."""

    registration: str


class ReadingsReported(DeviceEvent, frozen=True, kw_only=True, tag="readings"):
    """Values from a device: `via` is send, notify or read; `path` the observed path of a notify, `paths` if several."""

    via: str
    readings: list[Reading]
    path: str | None = None
    paths: list[str] = []


class ObservationChanged(DeviceEvent, frozen=True, kw_only=True, tag="observation"):
    """An observation was established, refused, lost or cancelled; or the device shows other attributes (drifted)."""

    path: str
    state: str
    code: str | None = None
    attributes: str | None = None


class RequestRefused(DeviceEvent, frozen=True, kw_only=True, tag="refused"):
    """We refused what a known device asked: with which CoAP code, and why.

    `claim` is where a device says it is that wanted to register and waits for approval (`not_approved`).
    """

    operation: str
    code: str
    reason: str
    detail: str = ""
    address: str | None = None
    claim: Claim | None = None


class SecurityEvent(DeviceEvent, frozen=True, kw_only=True, tag="security"):
    """Somebody was not let in. Equal ones within a second are counted, not repeated.

    Of a stranger whose certificate a trust anchor issued, `anchor` and `tenant` say which and whose.
    """

    reason: str
    identity: str | None = None
    anchor: str | None = None
    certificate: CertificateUsed | None = None
    address: str | None = None
    count: int = 1


class BootstrapChanged(DeviceEvent, frozen=True, kw_only=True, tag="bootstrap"):
    """How far a device is that asks for an account at the bootstrap server.

    `state` is requested (`via` request or pack), then finished, refused (by the device: `path`, `code`, `detail`) or
    timed_out.
    """

    state: str
    via: str = "request"
    format: int | None = None
    secure: bool = False
    again: bool = False
    address: str | None = None
    session: str | None = None
    path: str | None = None
    code: str | None = None
    detail: str = ""


class DownloadProgressed(DeviceEvent, frozen=True, kw_only=True, tag="download"):
    """How much of a file a device has fetched from us."""

    path: str
    bytes: int
    size: int


class CommandChanged(DeviceEvent, frozen=True, kw_only=True, tag="command"):
    """A command was queued, sent, answered, refused, expired or cancelled; `paths` are those of a composite."""

    command: str
    operation: str
    path: str
    state: str
    by: str | None = None
    code: str | None = None
    detail: str = ""
    paths: list[str] = []
    # What the device answered, as JSON; null when it answered nothing. (msgspec cannot decode "Raw or None".)
    body: msgspec.Raw = NULL


class PlaceChanged(DeviceEvent, frozen=True, kw_only=True, tag="place"):
    """The inventory moved a device, or settled or opened a dispute about where it is.

    `state` is agreed, mismatch (another enclosure of the same tenant), unknown or foreign (quarantined). The names are
    those of the tenant's own enclosures.
    """

    state: str
    claimed: str | None = None
    claimed_name: str | None = None
    enclosure_name: str | None = None
    by: str | None = None


class ProfileChanged(DeviceEvent, frozen=True, kw_only=True, tag="profile"):
    """The inventory created a device, or gave it another profile: what health must expect of it from now on."""

    profile: str
    kind: str
    report_every_s: float
    grace_s: float | None
    awake_window_s: float
    created_at: Moment
    samples: int = 3
    battery_warning: float = 25
    battery_high: float = 10


class DeviceRemoved(DeviceEvent, frozen=True, kw_only=True, tag="removed"):
    """The device was deleted from the inventory: whoever keeps state for it forgets it."""


class Heartbeat(DeviceEvent, frozen=True, kw_only=True, tag="heartbeat"):
    """All of this partition up to `time` has been written by a gateway; what is missing was never heard.

    `nodes` are the node numbers that it speaks for, `of` all that have to be heard: only what each of them has told is
    complete. A gateway that takes over from another speaks for the numbers of both.
    """

    partition: int
    nodes: Nodes = msgspec.field(default_factory=lambda: [0])
    of: Nodes = msgspec.field(default_factory=lambda: [0])

    @property
    def key(self) -> str:
        return ""


AnyDeviceEvent: TypeAlias = (
    DeviceRegistered
    | RegistrationUpdated
    | DeviceAwake
    | DeviceDeregistered
    | RegistrationExpired
    | ReadingsReported
    | ObservationChanged
    | RequestRefused
    | SecurityEvent
    | BootstrapChanged
    | DownloadProgressed
    | CommandChanged
    | PlaceChanged
    | ProfileChanged
    | DeviceRemoved
    | Heartbeat
)


def host_of(address: str) -> str:
    """The address without its port, which is another one at every attempt."""
    bare = address.removeprefix("[").partition("]")[0] if address.startswith("[") else address
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(bare)
    except ValueError:
        return bare
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)
