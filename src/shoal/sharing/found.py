"""What a device shows of its servers and of what they may: its objects 1 and 2, as it registered and answered them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from shoal.errors import Rejected
from shoal.lwm2m.path import Path
from shoal.sharing.rights import Target

SERVERS: Final = "/1"
CONTROLS: Final = "/2"
# Security and OSCORE are shown to no server, and object 2 has no rights in itself: its owner decides (Core 1.1 §8.1).
_UNCONTROLLED: Final = frozenset({0, 2, 21})
# OMA LwM2M Core 1.1 §E.2, §E.3: short server id; object id, instance id, access control list, owner.
_SHORT_ID, _OBJECT, _INSTANCE, _ACL, _OWNER = 0, 0, 1, 2, 3
_ID_MAX: Final = 65_535  # 16 bit, whatever it is the id of
_RIGHTS_MAX: Final = 31  # five bits


class Shape(msgspec.Struct, frozen=True):
    """The instances of object 1 that a device registered, and all instances whose rights can be told apart."""

    servers: tuple[int, ...]
    targets: tuple[Target, ...]


class Control(msgspec.Struct, frozen=True):
    """One instance of object 2: whose rights it tells, who may change it, and what servers may, by short id."""

    number: int
    target: Target
    owner: int
    acl: dict[int, int]


class _Item(msgspec.Struct, frozen=True):
    path: str
    value: Any = None


class _Read(msgspec.Struct, frozen=True):
    content: tuple[_Item, ...] = ()


def shape_of(objects: Iterable[tuple[str, str | None]]) -> Shape | None:
    """The shape of a device that several servers share and that says so; None for all others."""
    paths = _parsed(path for path, _ in objects)
    instances = sorted({Target(one.object, one.instance) for one in paths if one.instance is not None})
    servers = tuple(one.instance for one in instances if one.object == 1)
    if len(servers) < 2 or not any(one.object == 2 for one in paths):
        return None
    return Shape(servers, tuple(one for one in instances if one.object not in _UNCONTROLLED))


def short_ids_of(body: bytes) -> dict[int, int]:
    """The short ids in an answer about object 1, by instance."""
    return {
        path.instance: value
        for path, value in _numbers(body)
        if path.object == 1 and path.instance is not None and path.resource == _SHORT_ID and 0 < value < _ID_MAX
    }


def own_short_id(short_ids: Mapping[int, int], expected: int) -> int | None:
    """Which of the servers that a device shows us we are; None when that cannot be told.

    A device that guards its objects shows each server its own alone; one that does not shows all, and then we are the
    one whose id we give out.
    """
    if len(short_ids) == 1:
        return next(iter(short_ids.values()))
    return expected if expected in short_ids.values() else None


def controls_of(body: bytes) -> tuple[Control, ...]:
    """What an answer about object 2 says, by instance. Those without a target or an owner say nothing."""
    parts: dict[int, dict[int, int]] = {}
    acls: dict[int, dict[int, int]] = {}
    for path, value in _numbers(body):
        if path.object != 2 or path.instance is None or path.resource is None:
            continue
        if path.resource == _ACL and path.resource_instance is not None:
            acls.setdefault(path.instance, {})[path.resource_instance] = value & _RIGHTS_MAX
        elif path.resource_instance is None and value <= _ID_MAX:
            parts.setdefault(path.instance, {})[path.resource] = value
    found: dict[Target, Control] = {}
    for number, said in sorted(parts.items()):
        if {_OBJECT, _INSTANCE, _OWNER} <= said.keys():
            target = Target(said[_OBJECT], said[_INSTANCE])
            # Of two about the same the first counts, as for a client that looks for one.
            found.setdefault(target, Control(number, target, said[_OWNER], acls.get(number, {})))
    return tuple(found.values())


def _numbers(body: bytes) -> Iterable[tuple[Path, int]]:
    """Every whole number from 0 on in an answer, with its path: a device may say anything."""
    try:
        read = msgspec.json.decode(body, type=_Read)
    except msgspec.DecodeError:
        return
    for item in read.content:
        if isinstance(item.value, int) and not isinstance(item.value, bool) and item.value >= 0:
            for path in _parsed([item.path]):
                yield path, item.value


def _parsed(raw: Iterable[str]) -> list[Path]:
    found = []
    for text in raw:
        try:
            found.append(Path.parse(text))
        except Rejected:
            continue
    return found
