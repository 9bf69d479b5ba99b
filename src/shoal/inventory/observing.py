"""What a device is to report by itself: what its profile says, and what people said of this one device.

What is wanted and what the device does are kept apart and shown side by side, so that a difference is seen.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from shoal.errors import Rejected
from shoal.inventory.claim import ENCLOSURE_ANYWHERE
from shoal.inventory.presence import Registration
from shoal.inventory.profile import PATHS_MAX, ProfileSettings
from shoal.lwm2m.path import Path

# What an attribute may be set to; whole numbers are seconds, or how many values are kept, in 32 bit.
Attributes: TypeAlias = Mapping[str, float | bool]

# OMA LwM2M Core 1.1 §5.1.2 and 1.2 §7.3, in the order in which they are written.
_OF_VALUES: Final = frozenset({"gt", "lt", "st"})
_TRUTHS: Final = frozenset({"edge", "con"})
ATTRIBUTES: Final = ("pmin", "pmax", "gt", "lt", "st", "epmin", "epmax", "edge", "con", "hqmax")
# RFC 7252 §5.9.2.5: a registered instance may still lack the resource.
_NOT_FOUND: Final = "4.04"
_WHOLE_MAX: Final = 2**32 - 1


class Origin(StrEnum):
    """Who wants it: the profile of the device, or somebody who said so of this device."""

    PROFILE = "profile"
    DEVICE = "device"


class State(StrEnum):
    """How it stands with one path. `waiting`: not asked yet, or not answered; `absent`: the device has no such path.

    `off`: somebody does not want it; `unwanted`: the device reports it all the same.
    """

    ESTABLISHED = "established"
    REFUSED = "refused"
    LOST = "lost"
    WAITING = "waiting"
    ABSENT = "absent"
    OFF = "off"
    UNWANTED = "unwanted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What somebody said of one path of one device: to report it, with these attributes (a query), or not to."""

    path: Path
    is_wanted: bool
    attributes: str
    by: str
    at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the device said last about one path: `established`, `refused` or `lost`, and the attributes that it took."""

    state: State
    code: str | None
    attributes: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One path: what is wanted, and what the device does. `intent` is there when somebody said something of it."""

    path: Path
    origin: Origin | None
    attributes: str
    state: State
    standing: Standing | None
    intent: Intent | None

    @property
    def is_wanted(self) -> bool:
        return self.state not in {State.OFF, State.UNWANTED}

    @property
    def has_drifted(self) -> bool:
        """Whether the device does something else than what is wanted, and will not come to it by itself."""
        if self.state is State.ESTABLISHED:
            taken = self.standing.attributes if self.standing else ""
            return attributes_of(taken) != attributes_of(self.attributes)
        if self.state is State.ABSENT:
            # A profile is for many models: what one of them does not have is no fault.
            return self.origin is Origin.DEVICE
        return self.state in {State.REFUSED, State.LOST, State.UNWANTED}


def parse_attributes(said: Attributes, path: Path) -> str:
    """Attributes as the query that sets them, in a fixed order.

    Raises:
        Rejected: a name or value that cannot be one, or two that contradict each other.
    """
    for name in said:
        if name not in ATTRIBUTES:
            raise Rejected(name[:40], f"no attribute; there are {', '.join(ATTRIBUTES)}")
    written = [f"{name}={_text(name, said[name], path)}" for name in ATTRIBUTES if name in said]
    if "lt" in said and "gt" in said and said["lt"] + 2 * said.get("st", 0) >= said["gt"]:
        raise Rejected("gt", "has to be more than lt and twice st")
    if "epmin" in said and "epmax" in said and said["epmin"] >= said["epmax"]:
        raise Rejected("epmax", "has to be more than epmin")
    return "&".join(written)


def attributes_of(query: str) -> dict[str, float | bool]:
    """The attributes that a query sets."""
    pairs = (part.partition("=") for part in query.split("&"))
    read = {name: _value(name, value) for name, _, value in pairs if name in ATTRIBUTES}
    return {name: value for name, value in read.items() if value is not None}


def check_path(path: Path, *, is_wanted: bool) -> None:
    """Nothing when a path may be switched on, or off.

    Raises:
        Rejected: no server sees it, or we cannot do without it.
    """
    if path.object == 0:
        raise Rejected("path", "the Security object is not shown to servers")
    if not is_wanted and _tells_place(path):
        raise Rejected("path", "is where the device says in which enclosure it hangs: that is always observed")


def wanted_of(settings: ProfileSettings, intents: Sequence[Intent]) -> tuple[list[tuple[str, str]], list[str]]:
    """What the gateway is to observe, with attributes, and what it is to leave out.

    What somebody said of this device goes before what its profile says. Where both are more than a device can hold,
    the last of the profile are left out; `check_room` refuses such an intent before.
    """
    own = [(str(intent.path), intent.attributes) for intent in intents if intent.is_wanted]
    named = {path for path, _ in own}
    general = [(wish.path, wish.attributes) for wish in settings.observe if wish.path not in named]
    return (own + general)[:PATHS_MAX], [str(intent.path) for intent in intents if not intent.is_wanted]


def check_room(settings: ProfileSettings, intents: Sequence[Intent]) -> None:
    """Nothing when a device can hold all of it.

    Raises:
        Rejected: it is too much.
    """
    own = {str(intent.path) for intent in intents if intent.is_wanted}
    count = len(own) + sum(wish.path not in own for wish in settings.observe)
    if count > PATHS_MAX or len(intents) > PATHS_MAX:
        raise Rejected("observations", f"more than {PATHS_MAX} of one device, its profile's among them")


def observations(
    settings: ProfileSettings,
    intents: Sequence[Intent],
    standings: Mapping[Path, Standing],
    registration: Registration | None,
) -> list[Observation]:
    """Every path that is wanted, was switched off, or is reported all the same; in the order of the paths."""
    is_here = registration is not None and registration.is_current
    known = standings if is_here else {}
    said = [Path.parse(path) for path, _ in registration.objects if path not in {"", "/"}] if registration else []
    by_path = {intent.path: intent for intent in intents}
    found: dict[Path, Observation] = {}
    for intent in intents:
        # One that never registered might have any path.
        is_there = registration is None or _has(said, intent.path)
        found[intent.path] = _one(intent.path, Origin.DEVICE, intent.attributes, known, intent, is_there)
    for wish in settings.observe:
        for path in expand(wish.path, said):
            if path not in by_path and path not in found:
                found[path] = _one(path, Origin.PROFILE, wish.attributes, known, None, True)
    for path in known.keys() - found.keys():
        if known[path].state is State.ESTABLISHED:
            found[path] = Observation(
                path=path, origin=None, attributes="", state=State.UNWANTED, standing=known[path], intent=None
            )
    return [found[path] for path in sorted(found, key=lambda path: path.identifiers)]


def expand(pattern: str, registered: Iterable[Path]) -> list[Path]:
    """The paths that a pattern of a profile, `*` for any instance, means on a device that registered these."""
    parts = pattern.strip("/").split("/")
    said = list(registered)
    if len(parts) < 2 or parts[1] != "*":
        path = Path.parse(pattern)
        return [path] if _has(said, path) else []
    instances = sorted({one.instance for one in said if one.object == int(parts[0]) and one.instance is not None})
    return [Path.parse("/".join([parts[0], str(instance), *parts[2:]])) for instance in instances]


def _one(
    path: Path,
    origin: Origin,
    attributes: str,
    standings: Mapping[Path, Standing],
    intent: Intent | None,
    is_there: bool,
) -> Observation:
    standing = standings.get(path)
    is_established = standing is not None and standing.state is State.ESTABLISHED
    if intent is not None and not intent.is_wanted:
        state = State.UNWANTED if is_established else State.OFF
    elif standing is not None:
        is_missing = standing.state is State.REFUSED and standing.code == _NOT_FOUND
        state = State.ABSENT if is_missing else standing.state
    else:
        state = State.WAITING if is_there else State.ABSENT
    return Observation(path=path, origin=origin, attributes=attributes, state=state, standing=standing, intent=intent)


def _has(registered: Sequence[Path], path: Path) -> bool:
    """Whether a device that registered these can have that path, as the gateway sees it."""
    return any(one.contains(path) or path.contains(one) for one in registered)


def _tells_place(path: Path) -> bool:
    parts = ENCLOSURE_ANYWHERE.strip("/").split("/")
    return len(parts) == len(path.identifiers) and all(
        said in {"*", str(number)} for said, number in zip(parts, path.identifiers, strict=True)
    )


def _text(name: str, value: float | bool, path: Path) -> str:
    if name in _TRUTHS:
        if value not in {0, 1}:
            raise Rejected(name, "neither true nor false")
        return str(int(value))
    if isinstance(value, bool) or not math.isfinite(value):
        raise Rejected(name, "not a number")
    if name in _OF_VALUES:
        if path.resource is None:
            raise Rejected(name, "is about the value of a resource, not of an object or an instance")
        if name == "st" and value <= 0:
            raise Rejected(name, "has to be more than 0")
        return repr(int(value)) if float(value).is_integer() else repr(float(value))
    if not float(value).is_integer() or not 0 <= value <= _WHOLE_MAX:
        raise Rejected(name, f"not a whole number from 0 to {_WHOLE_MAX}")
    return str(int(value))


def _value(name: str, text: str) -> float | bool | None:
    """What stands for an attribute; None where that is nothing: a profile keeps what was typed."""
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    if name in _TRUTHS:
        return value == 1
    return int(value) if value.is_integer() else value
