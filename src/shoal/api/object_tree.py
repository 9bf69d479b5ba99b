"""The tree of a device: what it registered, named by the definitions, with what it said last."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from pydantic import BaseModel, JsonValue

from shoal.api.commands import nested
from shoal.history.store import LastValue
from shoal.inventory.device import Device
from shoal.inventory.profile import ProfileSettings
from shoal.lwm2m.objects import Object, Objects
from shoal.lwm2m.path import Path

# Resources shown of one device: the largest real trees have some hundreds, and a page with more is not read.
RESOURCES_MAX: Final = 5_000

# The one word of the registry that is two.
_WORDS: Final = {"unsigned integer": "unsigned"}
# SenML's name (RFC 8428 §12.1) for what everybody writes otherwise.
_UNITS: Final = {"/100": "%"}


class ResourceShown(BaseModel):
    """`operations` are any of R, W, E. `observed`: the device is asked to report it by itself."""

    path: str
    name: str
    type: str
    operations: str
    multiple: bool
    units: str
    range: str
    value: JsonValue
    at: datetime | None
    observed: bool


class InstanceShown(BaseModel):
    instance: int
    resources: list[ResourceShown]


class ObjectShown(BaseModel):
    object: int
    name: str
    version: str
    instances: list[InstanceShown]


# Objects of the enabler itself, whose version is the enabler's where a device does not say one; any other without one is
# of version 1.0 (OMA LwM2M Core 1.1 §7.2.2).
_OF_THE_ENABLER: Final = range(8)


class Meanings:
    """What the values of one device mean: by the versions of its objects that it registered."""

    def __init__(self, objects: Objects, device: Device) -> None:
        self._objects = objects
        said = device.registration.objects if device.registration else ()
        self._versions = {Path.parse(path).object: version for path, version in said if version and path != "/"}

    def version(self, number: int) -> str:
        """The version that the device registered of an object; nothing where it said none."""
        return self._versions.get(number, "")

    def definition(self, number: int) -> Object | None:
        """What is defined of an object."""
        return self._objects.definition(number, self._meant(number))

    def type_of(self, path: Path | str) -> str:
        """What kind of value stands at a path, in a word; nothing where no definition tells."""
        parsed = path if isinstance(path, Path) else Path.parse(path)
        found = self._objects.resource_at(parsed, self._meant(parsed.object))
        return word_of(found.type or "") if found else ""

    def units_of(self, path: Path) -> str:
        """The unit of the values at a path, as the registry writes it."""
        found = self._objects.resource_at(path, self._meant(path.object))
        return unit_of(found.units or "") if found else ""

    def _meant(self, number: int) -> str | None:
        return self._versions.get(number) or (None if number in _OF_THE_ENABLER else "1.0")


def tree_of(
    device: Device, settings: ProfileSettings, values: Sequence[LastValue], objects: Objects
) -> list[ObjectShown]:
    """The objects of a device by number. Without a definition an object has only what the device said of it."""
    if device.registration is None:
        return []
    said = [(Path.parse(path), version) for path, version in device.registration.objects if path not in {"", "/"}]
    known = _by_resource(values)
    intents = [intent.path for intent in settings.observe]
    left = RESOURCES_MAX
    meanings = Meanings(objects, device)
    shown: list[ObjectShown] = []
    for number in sorted({path.object for path, _ in said}):
        inside = sorted({path.instance for path, _ in said if path.object == number and path.instance is not None})
        instances = []
        for instance in inside:
            resources = _resources(Path(number, instance), known, intents, meanings)[:left]
            left -= len(resources)
            instances.append(InstanceShown(instance=instance, resources=resources))
        defined = meanings.definition(number)
        shown.append(
            ObjectShown(
                object=number,
                name=defined.name if defined else "",
                version=meanings.version(number),
                instances=instances,
            )
        )
    return shown


def last_known(values: Iterable[LastValue], path: Path) -> list[LastValue]:
    """What the device said last at a path or beneath it."""
    return [value for value in values if path.contains(Path.parse(value.path))]


def unit_of(units: str) -> str:
    """A unit as callers are told it."""
    return _UNITS.get(units, units)


def word_of(type_: str) -> str:
    """A type as callers are told it."""
    return _WORDS.get(type_, type_)


def _by_resource(values: Sequence[LastValue]) -> Mapping[Path, list[LastValue]]:
    known: dict[Path, list[LastValue]] = {}
    for value in values:
        path = Path.parse(value.path)
        if path.resource is not None:
            known.setdefault(Path(path.object, path.instance, path.resource), []).append(value)
    return known


def _resources(
    instance: Path, known: Mapping[Path, list[LastValue]], intents: Sequence[str], meanings: Meanings
) -> list[ResourceShown]:
    """All that the definition names, and what the device said beyond it."""
    defined = meanings.definition(instance.object)
    named = {resource.id: resource for resource in defined.resources} if defined else {}
    beyond = {path.resource for path in known if instance.contains(path) and path.resource is not None}
    shown = []
    for number in sorted({*named, *beyond}):
        path, resource = Path(instance.object, instance.instance, number), named.get(number)
        said = known.get(path, [])
        shown.append(
            ResourceShown(
                path=str(path),
                name=resource.name if resource else "",
                type=meanings.type_of(path),
                operations=resource.operations if resource else "R",
                multiple=resource.multiple if resource else any(Path.parse(one.path) != path for one in said),
                units=meanings.units_of(path),
                range=(resource.range or "") if resource else "",
                value=nested(str(path), [{"path": one.path, "value": one.value} for one in said]) if said else None,
                at=max((one.time for one in said), default=None),
                observed=any(_covers(intent, path) for intent in intents),
            )
        )
    return shown


def _covers(intent: str, path: Path) -> bool:
    """Whether an intent of a profile, `*` for any instance, is about this path or what is above it."""
    asked = intent.strip("/").split("/")
    return len(asked) <= len(path.identifiers) and all(
        said in {"*", str(number)} for said, number in zip(asked, path.identifiers, strict=False)
    )
