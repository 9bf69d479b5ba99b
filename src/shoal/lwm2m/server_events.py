"""What a server tells of its devices, as the core writes it: a line of JSON each."""

import base64
from datetime import datetime
from typing import Final, TypeAlias

import msgspec


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    time: datetime
    endpoint: str = ""


class Registered(_Event, frozen=True, kw_only=True, tag="registered"):
    """A device registered. `objects` are the paths it has, `attributes` what it said beyond the standard's queries."""

    registration: str
    version: str
    lifetime_s: int
    binding: str
    queue_mode: bool
    secure: bool
    address: str
    objects: list[tuple[str, str | None]] = []
    attributes: dict[str, str] = {}


class Updated(_Event, frozen=True, kw_only=True, tag="updated"):
    """A registration changed; only what changed is set."""

    registration: str
    lifetime_s: int | None = None
    binding: str | None = None
    address: str | None = None
    objects: list[tuple[str, str | None]] | None = None


class Heard(_Event, frozen=True, kw_only=True, tag="awake"):
    """A device was heard, and nothing else came of it."""

    registration: str


class Deregistered(_Event, frozen=True, kw_only=True, tag="deregistered"):
    """A device said goodbye."""

    registration: str


class Expired(_Event, frozen=True, kw_only=True, tag="expired"):
    """A device was not heard within its lifetime and grace."""

    registration: str


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A value at a path; `time` is the device's clock in Unix seconds, where it said one.

    `kind` tells what Python does not: `opaque`, whose value is bytes; `objlnk`, text such as `3303:0` (`Link.parse`);
    `time`, Unix seconds. The payload told it, or else the definition: SenML has numbers and no times.
    """

    path: str
    value: bool | int | float | str | bytes | None
    kind: str | None = None
    time: float | None = None


class Reported(_Event, frozen=True, kw_only=True):
    """Readings of a device: `via` is send, notify or read."""

    via: str
    readings: list[Reading]


class Observation(_Event, frozen=True, kw_only=True, tag="observation"):
    """An observation was established, refused, lost or cancelled; one of several paths is told path by path.

    `drifted`: the device showed other `attributes` than those we set.
    """

    path: str
    state: str
    code: str | None = None
    attributes: str = ""


class Refused(_Event, frozen=True, kw_only=True, tag="refused"):
    """The server refused what a known device asked."""

    operation: str
    code: str
    reason: str
    detail: str = ""


class Downloaded(_Event, frozen=True, kw_only=True, tag="download"):
    """A device fetches a file: `bytes` of `size` so far. Told once a second at most, and at the end."""

    path: str
    bytes: int
    size: int


class Security(_Event, frozen=True, kw_only=True, tag="security"):
    """Somebody was not let in."""

    reason: str
    identity: str | None = None
    address: str | None = None
    count: int = 1


class _ReadingLine(msgspec.Struct, frozen=True, kw_only=True):
    """A reading as the core writes it: bytes are text in Base64."""

    path: str
    value: bool | int | float | str | None
    kind: str | None = None
    time: float | None = None

    def read(self) -> Reading:
        said = self.value
        value = base64.b64decode(said) if self.kind == "opaque" and isinstance(said, str) else said
        return Reading(path=self.path, value=value, kind=self.kind, time=self.time)


class _ReportedLine(_Event, frozen=True, kw_only=True, tag="readings"):
    via: str
    readings: list[_ReadingLine]

    def read(self) -> Reported:
        readings = [reading.read() for reading in self.readings]
        return Reported(time=self.time, endpoint=self.endpoint, via=self.via, readings=readings)


_Other: TypeAlias = (
    Registered | Updated | Heard | Deregistered | Expired | Observation | Refused | Downloaded | Security
)
ServerEvent: TypeAlias = _Other | Reported
_DECODER: Final[msgspec.json.Decoder[_Other | _ReportedLine]] = msgspec.json.Decoder(_Other | _ReportedLine)


def event_of(line: bytes) -> ServerEvent:
    """An event from its line."""
    told = _DECODER.decode(line)
    return told.read() if isinstance(told, _ReportedLine) else told
