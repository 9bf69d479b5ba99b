"""One entry of the audit log: who did what to which thing, from where, and what it was before."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from shoal.ids import TenantId

# An address of the API, without what stands behind the question mark.
PATH_CHARACTERS_MAX: Final = 200

_ID: Final = re.compile(r"[A-Za-z]{3}-[0-9A-Za-z]{8}")
_WORD: Final = re.compile(r"[a-z][a-z-]*")
_ACTIONS: Final = {"POST": "create", "PUT": "set", "PATCH": "change", "DELETE": "delete"}
# What is done to an object of a device, in the words of LwM2M; a POST to an object creates, one to a resource executes.
_ACTIONS_ON_OBJECTS: Final = {"PUT": "write", "PATCH": "write", "DELETE": "delete"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What an address and a method say of an act: which `action` on which `thing` of which `resource`."""

    action: str
    resource: str
    thing: str | None
    path: str


class Actor(Protocol):
    """Who did it: a person, a token, or what else may act on its own. `name` is what people are shown."""

    @property
    def tenant(self) -> TenantId: ...
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Somebody who is neither a person nor a token: a device that enrols, a shell of the machine."""

    tenant: TenantId
    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that was done. `before` and `after` hold what people edit of it, and never a secret."""

    id: int
    tenant: TenantId
    at: datetime
    by: str
    by_name: str
    address: str
    act: Act
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


def act_of(method: str, path: str) -> Act:
    """What a request to the API does; `path` begins behind the version (`/devices/dev-1:accept-claim`)."""
    bare, _, verb = path.partition(":")
    segments = [segment for segment in bare.split("/") if segment]
    things = [segment for segment in segments if _ID.fullmatch(segment)]
    words = [segment for segment in segments if _WORD.fullmatch(segment) and segment != "current"]
    resource = words[-1] if words else ""
    action = verb or _ACTIONS.get(method, method.lower())
    if resource == "objects":
        action = _ACTIONS_ON_OBJECTS.get(method) or ("execute" if _numbers(segments) >= 3 else "create")
    return Act(action=action, resource=resource, thing=things[-1] if things else None, path=path[:PATH_CHARACTERS_MAX])


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What of an edited thing is another now: the fields of `after` that are not as before, and what they were."""
    names = [name for name, value in after.items() if before.get(name) != value]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}


def _numbers(segments: list[str]) -> int:
    return sum(segment.isdecimal() for segment in segments)
