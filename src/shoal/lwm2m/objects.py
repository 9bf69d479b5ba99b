"""What ids mean: `/3/0/9` is the battery level, a whole number of percent that a server may read.

The definitions are the OMA registry's, our own, and those that a user brings (`load_objects`). The Rust core carries them,
so that both sides of the border, and an installed wheel, always agree.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path as FilePath
from typing import Final, Literal, TypeAlias

import msgspec

from shoal._core import ObjectDefinitions
from shoal.errors import Rejected, Unavailable
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
    """One version of an object; resources in the order of their ids."""

    id: int
    name: str
    version: str
    multiple: bool
    mandatory: bool
    resources: tuple[Resource, ...]

    def resource(self, resource_id: int) -> Resource | None:
        """The resource of that id."""
        return next((resource for resource in self.resources if resource.id == resource_id), None)


class Objects:
    """Every object that is known. `core` is how the Rust core has the same; by default what this build knows."""

    def __init__(self, core: ObjectDefinitions | None = None) -> None:
        self.core: Final = core or ObjectDefinitions()
        self._versions: dict[int, list[Object]] = {}
        for one in msgspec.json.decode(self.core.to_json(), type=list[Object]):
            self._versions.setdefault(one.id, []).append(one)

    def __iter__(self) -> Iterator[Object]:
        """The newest version of every object, by id."""
        return (versions[-1] for versions in self._versions.values())

    def definition(self, object_id: int, version: str | None = None) -> Object | None:
        """The object of that id; None when nobody registered it, or after this build.

        Of a version that nobody defined, and without one, the newest.
        """
        versions = self._versions.get(object_id)
        if versions is None:
            return None
        return next((one for one in versions if one.version == version), versions[-1])

    def resource_at(self, path: Path | str, version: str | None = None) -> Resource | None:
        """What stands at a path of a resource or of one of its instances; None above, and where nothing is defined.

        As that version of the object defines it, else the newest that has it.
        """
        parsed = path if isinstance(path, Path) else Path.parse(path)
        found = self.definition(parsed.object, version)
        if found is None or parsed.resource is None:
            return None
        newest_first = reversed(self._versions[parsed.object])
        having = (one.resource(parsed.resource) for one in (found, *newest_first))
        return next((resource for resource in having if resource is not None), None)


@cache
def known_objects() -> Objects:
    """The objects that this build knows: the OMA registry's and our own."""
    return Objects()


def load_objects(place: FilePath | str) -> Objects:
    """The objects that this build knows and those of an OMA XML file (`LWM2M.xml`), or of all `*.xml` in a folder.

    Give it to `Server` and `Device`: then the values of your own objects have their types on both sides.

    Raises:
        Rejected: a file is no definition; it names the file, the line and what is wrong there.
        Unavailable: a file cannot be read, or there is none.
    """
    place = FilePath(place)
    files = sorted(place.glob("*.xml")) if place.is_dir() else [place]
    if not files:
        raise Unavailable(str(place), "no *.xml is in it")
    core = ObjectDefinitions()
    for file in files:
        try:
            # Some files of the registry begin with a byte order mark.
            core = core.with_xml(file.read_text("utf-8-sig"))
        except OSError as error:
            raise Unavailable(str(file), error.strerror or "cannot be read") from error
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise Rejected(str(file), f"line {line}: not UTF-8") from error
        except ValueError as error:
            raise Rejected(str(file), str(error)) from error
    return Objects(core)


def definition(object_id: int, version: str | None = None) -> Object | None:
    """The object of that id as this build knows it; see `Objects.definition`."""
    return known_objects().definition(object_id, version)


def resource_at(path: Path | str, version: str | None = None) -> Resource | None:
    """What stands at a path as this build knows it; see `Objects.resource_at`."""
    return known_objects().resource_at(path, version)
