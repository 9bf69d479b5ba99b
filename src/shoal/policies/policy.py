"""A policy as people write it, and the door where it is parsed."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shoal.access.pattern import ALL, ITSELF, Pattern
from shoal.access.policy import OF_SERVERS, OTHER_SERVERS, Effect, Operation, Policy, Role, Who, WhoKind
from shoal.errors import Rejected
from shoal.ids import Prefix, parse_id
from shoal.lwm2m.short_id import parse_short_id

# As many rows as a person can keep an overview of; a decision takes as long with them as with ten.
POLICIES_MAX: Final = 1_000
# Objects of one device, most of which nobody names apart.
PATHS_MAX: Final = 32
# Why there is such a policy, in a sentence or two.
NOTE_CHARACTERS_MAX: Final = 300
# The kinds of devices that one policy can mean together.
DEVICE_KINDS: Final = ("sensor", "camera")

_ID_OF: Final = {WhoKind.USER: Prefix.USER, WhoKind.TOKEN: Prefix.TOKEN, WhoKind.DEVICE: Prefix.DEVICE}
PLACES: Final = (Prefix.TENANT, Prefix.FARM, Prefix.ENCLOSURE, Prefix.DEVICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPolicy:
    """A policy with who wrote it last, when and why. `version` rises with each change."""

    policy: Policy
    note: str
    changed_by: str
    changed_at: datetime
    version: int


def parse_who(kind: WhoKind, id_: str | None) -> Who:
    """Whom a policy names.

    Raises:
        Rejected: an id that does not fit the kind, a role or a kind of device that there is not.
    """
    said = (id_ or "").strip()
    match kind:
        case WhoKind.EVERYBODY:
            if said:
                raise Rejected("who", "everybody has no id")
            return Who(kind)
        case WhoKind.ROLE:
            if said not in set(Role):
                raise Rejected("who", "no such role", roles=", ".join(Role))
            return Who(kind, said)
        case WhoKind.DEVICES:
            if said and said not in DEVICE_KINDS:
                raise Rejected("who", "no such kind of device", kinds=", ".join(DEVICE_KINDS))
            return Who(kind, said)
        case WhoKind.SERVER:
            # Nothing is not taken for all: who forgets the number must not grant to everybody.
            return OTHER_SERVERS if said == OTHER_SERVERS.id else Who(kind, str(parse_short_id(said)))
        case _:
            return Who(kind, parse_id(said, _ID_OF[kind]))


def parse_place(raw: str | None, tenant: str) -> str:
    """The id of a place; the tenant's own when none is said.

    Raises:
        Rejected: not the id of a tenant, farm, enclosure or device, or another tenant's.
    """
    if raw is None or not raw.strip():
        return tenant
    for prefix in PLACES:
        if raw.strip().lower().startswith(f"{prefix.value}-"):
            place = parse_id(raw.strip(), prefix)
            if prefix is Prefix.TENANT and place != tenant:
                raise Rejected("place", "no such place")
            return place
    raise Rejected("place", "not the id of a farm, an enclosure or a device")


def parse_paths(raw: Sequence[str]) -> tuple[Pattern, ...]:
    """The paths, the widest alone when it is among them.

    Raises:
        Rejected: none, too many, or not of a form that a policy can have.
    """
    if not 1 <= len(raw) <= PATHS_MAX:
        raise Rejected("paths", f"{len(raw)}, expected 1 to {PATHS_MAX}")
    found = tuple(dict.fromkeys(Pattern.parse(path) for path in raw))
    return (ALL,) if ALL in found else found


def parse_operations(raw: Sequence[Operation], who: Who) -> frozenset[Operation]:
    """What is granted or denied.

    Raises:
        Rejected: none; or something that the one who is named never does.
    """
    found = frozenset(raw)
    if not found:
        raise Rejected("operations", "at least one is needed")
    if who.is_device and found != {Operation.WRITE}:
        raise Rejected("operations", "a device only reports: write is the one that means anything of it")
    if who.is_server and not found <= OF_SERVERS:
        reason = "of another server only read, write, execute, create and delete; observe and discover come with read"
        raise Rejected("operations", reason)
    return found


def parse_note(raw: str) -> str:
    """Why there is such a policy.

    Raises:
        Rejected: too long, or with control characters.
    """
    note = raw.strip()
    if len(note) > NOTE_CHARACTERS_MAX:
        raise Rejected("note", f"{len(note)} characters, expected at most {NOTE_CHARACTERS_MAX}")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in note):
        raise Rejected("note", "holds control characters")
    return note


def check_effect(effect: Effect, who: Who, paths: Sequence[Pattern]) -> None:
    """Raises Rejected for a policy that could never change anything."""
    if effect is Effect.ALLOW and who.is_device:
        raise Rejected("effect", "every device may report everything until a policy denies it")
    if who.is_server and all(path == ITSELF for path in paths):
        raise Rejected("paths", "another server sees objects of a device, never the device itself")
