"""What ids mean: `/3/0/9` is the battery level, a whole number of percent that a server may read.

The definitions are the OMA registry's and our own. The Rust core carries them, so that both sides of the border, and an
installed wheel, always agree.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Literal, TypeAlias

import msgspec

from shoal._core import object_definitions
from shoal.lwm2m.path import Path

ValueType: TypeAlias = Literal[
    "string", "integer", "unsigned integer", "float", "boolean", "opaque", "time", "objlnk", "corelnk"
]


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """A resource as its object defines it. `operations` are the letters of what a server may do: R, W, E or none.

    `type` is None for what can only be executed. `units` and `range` are in the words of the registry.
    """

    id: int
    name: str
    operations: str
    type: ValueType | None
    units: str | None
    range: str | None
    multiple: bool
    mandatory: bool

    @property
    def is_readable(self) -> bool:
        """Whether a server may read it."""
        return "R" in self.operations

    @property
    def is_writable(self) -> bool:
        """Whether a server may write it."""
        return "W" in self.operations

    @property
    def is_executable(self) -> bool:
        """Whether a server may execute it."""
        return "E" in self.operations


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """The newest version of an object that this build knows; resources in the order of their ids."""

    id: int
    name: str
    version: str
    multiple: bool
    mandatory: bool
    resources: tuple[Resource, ...]

    def resource(self, resource_id: int) -> Resource | None:
        """The resource of that id."""
        return next((resource for resource in self.resources if resource.id == resource_id), None)


@cache
def objects() -> Mapping[int, Object]:
    """Every object, by its id."""
    listed = msgspec.json.decode(object_definitions(), type=list[Object])
    return MappingProxyType({definition.id: definition for definition in listed})


def definition(object_id: int) -> Object | None:
    """The object of that id; None when nobody registered it, or after this build."""
    return objects().get(object_id)


def resource_at(path: Path | str) -> Resource | None:
    """What stands at a path of a resource or of one of its instances; None above, and where nothing is defined."""
    parsed = path if isinstance(path, Path) else Path.parse(path)
    found = definition(parsed.object)
    return None if found is None or parsed.resource is None else found.resource(parsed.resource)
