"""The tree of a device: what it registered, named by the definitions, with what it said last."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from pydantic import BaseModel, JsonValue

from shoal.api.commands import nested
from shoal.history.store import LastValue
from shoal.inventory.device import Device
from shoal.inventory.profile import ProfileSettings
from shoal.lwm2m.objects import definition, resource_at
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


def tree_of(device: Device, settings: ProfileSettings, values: Sequence[LastValue]) -> list[ObjectShown]:
    """The objects of a device by number. Without a definition an object has only what the device said of it."""
    if device.registration is None:
        return []
    said = [(Path.parse(path), version) for path, version in device.registration.objects if path not in {"", "/"}]
    known = _by_resource(values)
    intents = [intent.path for intent in settings.observe]
    left = RESOURCES_MAX
    objects: list[ObjectShown] = []
    for number in sorted({path.object for path, _ in said}):
        inside = sorted({path.instance for path, _ in said if path.object == number and path.instance is not None})
        instances = []
        for instance in inside:
            resources = _resources(Path(number, instance), known, intents)[:left]
            left -= len(resources)
            instances.append(InstanceShown(instance=instance, resources=resources))
        defined = definition(number)
        version = next((version for path, version in said if path.object == number and version), "")
        objects.append(
            ObjectShown(object=number, name=defined.name if defined else "", version=version, instances=instances)
        )
    return objects


def last_known(values: Iterable[LastValue], path: Path) -> list[LastValue]:
    """What the device said last at a path or beneath it."""
    return [value for value in values if path.contains(Path.parse(value.path))]


def type_of(path: Path | str) -> str:
    """What kind of value stands at a path, in a word; nothing where no definition tells."""
    found = resource_at(path)
    return word_of(found.type or "") if found else ""


def units_of(path: Path) -> str:
    """The unit of the values at a path, as the registry writes it."""
    found = resource_at(path)
    return unit_of(found.units or "") if found else ""


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


def _resources(instance: Path, known: Mapping[Path, list[LastValue]], intents: Sequence[str]) -> list[ResourceShown]:
    """All that the definition names, and what the device said beyond it."""
    defined = definition(instance.object)
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
                type=type_of(path),
                operations=resource.operations if resource else "R",
                multiple=resource.multiple if resource else any(Path.parse(one.path) != path for one in said),
                units=units_of(path),
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
