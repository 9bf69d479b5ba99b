"""What a server tells of its devices, as the core writes it: a line of JSON each."""

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
    """A value at a path, opaque ones in base64; `time` is the device's clock in Unix seconds, where it said one."""

    path: str
    value: bool | int | float | str | None
    time: float | None = None


class Reported(_Event, frozen=True, kw_only=True, tag="readings"):
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


ServerEvent: TypeAlias = (
    Registered | Updated | Heard | Deregistered | Expired | Reported | Observation | Refused | Downloaded | Security
)
_DECODER: Final[msgspec.json.Decoder[ServerEvent]] = msgspec.json.Decoder(ServerEvent)


def event_of(line: bytes) -> ServerEvent:
    """An event from its line."""
    return _DECODER.decode(line)
