"""The tree of a device: what it registered, named by the definitions, with what it said last."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, JsonValue

from shoal.api.commands import nested
from shoal.history.store import LastValue
from shoal.inventory.device import Device
from shoal.lwm2m.objects import Object, Objects, Resource
from shoal.lwm2m.path import Path

# Resources shown of one device: the largest real trees have some hundreds, and a page with more is not read.
RESOURCES_MAX: Final = 5_000

# The one word of the registry that is two.
_WORDS: Final = {"unsigned integer": "unsigned"}
# Classes of object ids in the registry of OMA: its own, of other standards bodies, and from here on of companies.
_OMA_MAX: Final = 2_047
_EXTERNAL_MAX: Final = 10_240
# What a value of the device is called where no definition says.
_TYPES: Final = {bool: "boolean", int: "integer", float: "float", str: "string"}
# SenML's name (RFC 8428 §12.1) for what everybody writes otherwise.
_UNITS: Final = {"/100": "%"}


class ResourceDefined(BaseModel):
    """`operations` are any of R, W, E. Without a definition, the type is that of the value that the device told."""

    name: str
    type: str
    operations: str
    multiple: bool
    mandatory: bool
    units: str
    range: str


class ResourceOfObject(ResourceDefined):
    resource: int


class ResourceShown(ResourceDefined):
    """`observed`: the device is asked to report it by itself. `clock` is whose time `at` is: `device` or `server`.

    `is_cut`: of the value, or of one of its instances, only the beginning is kept; a read of the device tells the whole.
    """

    path: str
    value: JsonValue
    is_cut: bool
    at: datetime | None
    clock: Literal["device", "server"] | None
    observed: bool


class InstanceShown(BaseModel):
    instance: int
    resources: list[ResourceShown]


class ObjectShown(BaseModel):
    """`resources` are those of the definition, so that an instance can be made; none where there is no definition."""

    object: int
    name: str
    urn: str
    version: str
    multiple: bool
    mandatory: bool
    resources: list[ResourceOfObject]
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
    device: Device, observed: Collection[Path], values: Sequence[LastValue], objects: Objects
) -> list[ObjectShown]:
    """The objects of a device by number. Without a definition an object has only what the device said of it."""
    if device.registration is None:
        return []
    said = [(Path.parse(path), version) for path, version in device.registration.objects if path not in {"", "/"}]
    known = _by_resource(values)
    left = RESOURCES_MAX
    meanings = Meanings(objects, device)
    shown: list[ObjectShown] = []
    for number in sorted({path.object for path, _ in said}):
        inside = sorted({path.instance for path, _ in said if path.object == number and path.instance is not None})
        instances = []
        for instance in inside:
            resources = _resources(Path(number, instance), known, observed, meanings)[:left]
            left -= len(resources)
            instances.append(InstanceShown(instance=instance, resources=resources))
        defined = meanings.definition(number)
        shown.append(
            ObjectShown(
                object=number,
                name=defined.name if defined else "",
                urn=_urn(number, meanings.version(number)),
                version=meanings.version(number),
                multiple=defined.multiple if defined else True,
                mandatory=defined.mandatory if defined else False,
                resources=[
                    ResourceOfObject(resource=resource.id, **_defined(resource).model_dump())
                    for resource in (defined.resources if defined else ())
                ],
                instances=instances,
            )
        )
    return shown


def last_known(values: Iterable[LastValue], path: Path) -> list[LastValue]:
    """What the device said last at a path or beneath it."""
    return [value for value in values if path.contains(Path.parse(value.path))]


def told_type(value: LastValue) -> str:
    """What kind of value the device told, in a word: all that we know where no definition says."""
    return value.kind or _TYPES.get(type(value.value), "")


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
    instance: Path, known: Mapping[Path, list[LastValue]], observed: Collection[Path], meanings: Meanings
) -> list[ResourceShown]:
    """All that the definition names, and what the device said beyond it."""
    defined = meanings.definition(instance.object)
    named = {resource.id: resource for resource in defined.resources} if defined else {}
    beyond = {path.resource for path in known if instance.contains(path) and path.resource is not None}
    shown = []
    for number in sorted({*named, *beyond}):
        path = Path(instance.object, instance.instance, number)
        said = known.get(path, [])
        newest = max(said, key=lambda one: one.time, default=None)
        resource = _defined(named[number]) if number in named else _undefined(path, said, defined is None)
        shown.append(
            ResourceShown(
                **resource.model_dump(),
                path=str(path),
                value=nested(str(path), [{"path": one.path, "value": one.value} for one in said]) if said else None,
                is_cut=any(one.is_cut for one in said),
                at=newest.time if newest else None,
                clock=None if newest is None else "device" if newest.is_device_time else "server",
                observed=any(each.contains(path) for each in observed),
            )
        )
    return shown


def _defined(resource: Resource) -> ResourceDefined:
    return ResourceDefined(
        name=resource.name,
        type=word_of(resource.type or ""),
        operations=resource.operations,
        multiple=resource.multiple,
        mandatory=resource.mandatory,
        units=unit_of(resource.units or ""),
        range=resource.range or "",
    )


def _undefined(path: Path, said: Sequence[LastValue], is_of_unknown: bool) -> ResourceDefined:
    """What nobody defined: all that we know is what the device told. It may be read; and written, where nothing at all is
    known of the object: only the device knows what it takes."""
    return ResourceDefined(
        name="",
        type=next((told_type(one) for one in said), ""),
        operations="RW" if is_of_unknown else "R",
        multiple=any(Path.parse(one.path) != path for one in said),
        mandatory=False,
        units="",
        range="",
    )


def _urn(number: int, version: str) -> str:
    """The name of an object in the world: by OMA, by another body, or by a company. Version 1.0 is not said."""
    of = "oma" if number <= _OMA_MAX else "ext" if number <= _EXTERNAL_MAX else "x"
    return f"urn:oma:lwm2m:{of}:{number}" + ("" if version in {"", "1.0"} else f":{version}")
