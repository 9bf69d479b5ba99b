"""Objects of LwM2M as Python classes: what a device has, typed, and checked against the definitions.

    class Thermometer(lwm2m.Object, id=3303):
        value: float = lwm2m.resource(5700)
        units: str = lwm2m.resource(5701, default="Cel")

        @lwm2m.measured(5700)
        def measure(self) -> float: ...

        @lwm2m.execute(5605)
        def reset(self) -> None: ...

    device.add(Thermometer())

An attribute is the resource: setting it tells observers, and what a server writes is in it. The definitions know what a
server may do with it, and of which type it is; that the class says the same is checked when it is made.
"""

import types
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, NamedTuple, Self, TypeVar, cast, get_args, get_origin, get_type_hints, overload

from shoal.errors import Rejected
from shoal.lwm2m.device import Device
from shoal.lwm2m.objects import Objects, Resource, known_objects
from shoal.lwm2m.owner import Asked, Refusal, result_of
from shoal.lwm2m.path import IDENTIFIER_MAX, Path
from shoal.lwm2m.value import Link, Scalar, typed

# Which Python type the values of a declared type have (OMA LwM2M Core 1.1, appendix C).
PYTHON_TYPES: Final[Mapping[str, type[object]]] = {
    "string": str,
    "integer": int,
    "unsigned integer": int,
    "float": float,
    "boolean": bool,
    "opaque": bytes,
    "time": datetime,
    "objlnk": Link,
    "corelnk": str,
}

_T = TypeVar("_T")
_Method = TypeVar("_Method", bound=Callable[..., object])


class _Missing:
    """No value was given."""


_MISSING: Final = _Missing()


class _Field(NamedTuple):
    """A resource of a class: its id, the type of one value, whether there are several, and what it begins with."""

    id: int
    kind: type[object]
    is_multiple: bool
    is_list: bool
    default: object


class _Role(NamedTuple):
    """What a method is for."""

    word: str
    resource: int
    every: timedelta | None = None


@overload
def resource(id: int) -> Any: ...  # typed by the annotation, as dataclasses do
@overload
def resource(id: int, *, default: _T) -> _T: ...
def resource(id: int, *, default: object = _MISSING) -> object:  # noqa: A002  # the specification's word
    """A resource of an object class. Without a default it is there once it is set, or given to the constructor.

    A resource that may have several values is annotated `dict[int, T]`, by their ids, or `list[T]`, numbered from 0.
    """
    return _Declared(id, default)


class _Declared:
    """The descriptor behind an attribute."""

    def __init__(self, identifier: int, default: object) -> None:
        self.identifier = identifier
        self.default = default
        self.field: _Field | None = None

    def __get__(self, instance: "Object | None", owner: type[object]) -> object:
        if instance is None or self.field is None:
            return self
        return instance._shown(self.field)  # noqa: SLF001  # the object is the descriptor's other half

    def __set__(self, instance: "Object", value: object) -> None:
        if self.field is not None:
            instance._set(self.field, value)  # noqa: SLF001

    def __delete__(self, instance: "Object") -> None:
        instance._unset(self.identifier)  # noqa: SLF001


def execute(resource_id: int) -> Callable[[_Method], _Method]:
    """The method runs after a server executed the resource; it may take the arguments, a mapping by digit."""
    return _marked(_Role("execute", resource_id))


def written(resource_id: int) -> Callable[[_Method], _Method]:
    """The method is told the value after a server wrote the resource."""
    return _marked(_Role("written", resource_id))


def check(resource_id: int) -> Callable[[_Method], _Method]:
    """The method is asked before a server writes the resource (with the value) or executes it (with the arguments).

    It raises `Refusal` to refuse; the server waits for it.
    """
    return _marked(_Role("check", resource_id))


def measured(resource_id: int, every: timedelta | None = None) -> Callable[[_Method], _Method]:
    """The method measures the value when a server reads or observes it, when it is sent, and every `epmax`.

    Observers hear of a change between that when the value is measured again: with `every` that happens by itself.
    """
    return _marked(_Role("measured", resource_id, every))


def _marked(role: _Role) -> Callable[[_Method], _Method]:
    def mark(method: _Method) -> _Method:
        roles: list[_Role] = getattr(method, "__lwm2m__", [])
        method.__lwm2m__ = [*roles, role]  # type: ignore[attr-defined]  # a mark for the class that the method is of
        return method

    return mark


class Object:
    """An instance of an object. Subclasses say which: `class Thermometer(Object, id=3303)`.

    `instance` is its id; values of resources are given by the names of their attributes. An object of your own is
    checked against its definition when the class says where that is: `objects=load_objects(...)`.
    """

    object_id: ClassVar[int]
    _objects: ClassVar[Objects | None] = None
    _fields: ClassVar[Mapping[str, _Field]]
    _roles: ClassVar[tuple[tuple[str, _Role], ...]]

    def __init_subclass__(
        cls,
        *,
        id: int | None = None,  # noqa: A002
        objects: Objects | None = None,
        **others: object,
    ) -> None:
        super().__init_subclass__(**others)
        if objects is not None:
            cls._objects = objects
        if id is not None:
            cls.object_id = id
        if not hasattr(cls, "object_id") or not 0 <= cls.object_id <= IDENTIFIER_MAX:
            raise TypeError(f"{cls.__name__}: say which object it is, such as `id=3303`")
        hints = get_type_hints(cls)
        fields: dict[str, _Field] = {}
        roles: list[tuple[str, _Role]] = []
        for name in dir(cls):
            found = next(vars(base)[name] for base in cls.__mro__ if name in vars(base))
            if isinstance(found, _Declared):
                found.field = fields[name] = _field(cls, name, found, hints)
            roles.extend((name, role) for role in getattr(found, "__lwm2m__", ()))
        cls._fields = types.MappingProxyType(fields)
        cls._roles = tuple(roles)
        for name, role in roles:
            _check_role(cls, name, role)

    def __init__(self, instance: int = 0, **values: object) -> None:
        self._path = Path(self.object_id, instance)
        self._values: dict[int, dict[int | None, Scalar]] = {}
        self._device: Device | None = None
        unknown = values.keys() - self._fields.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        for name, one in self._fields.items():
            begins = values.get(name, one.default)
            if not isinstance(begins, _Missing):
                self._set(one, begins)

    @classmethod
    def _definitions(cls) -> Objects:
        return known_objects() if cls._objects is None else cls._objects

    @property
    def path(self) -> str:
        """Where it is: `/3303/0`."""
        return str(self._path)

    def created(self) -> None:
        """Called when a server made this instance, before it hears of it: raise `Refusal` to refuse."""

    def deleted(self) -> None:
        """Called after a server deleted this instance."""

    def _shown(self, field: _Field) -> object:
        if field.id not in self._values:
            raise AttributeError(f"{self.path}/{field.id} has no value")
        several = self._values[field.id]
        return _in_order(field, several) if field.is_multiple else several[None]

    def _set(self, field: _Field, value: object) -> None:
        several = _several(field, value)
        for key in self._values.get(field.id, {}).keys() - several.keys():
            self._tell_unset(_at(self.path, field.id, key))
        if self._device is not None:
            for key, one in several.items():
                self._device.set(_at(self.path, field.id, key), one)
        self._values[field.id] = several

    def _unset(self, resource_id: int) -> None:
        if self._values.pop(resource_id, None) is not None:
            self._tell_unset(f"{self.path}/{resource_id}")

    def _tell_unset(self, path: str) -> None:
        if self._device is not None:
            self._device.unset(path)

    def attach(self, device: Device) -> Self:
        """Puts the object into the tree of a device; `device.add` does it."""
        if self._device is not None:
            raise Rejected(self.path, "it is in a device already")
        self._device = device
        for resource_id, several in self._values.items():
            for key, one in several.items():
                device.set(_at(self.path, resource_id, key), one)
        device.on_value(self.path, self._take)
        device.on_removed(self.path, self._lose)
        for name, role in self._roles:
            self._play(device, role, getattr(self, name))
        return self

    @classmethod
    def made_by_servers(cls, device: Device) -> None:
        """Lets servers make instances of this class in a device.

        One that misses what its definition calls mandatory is refused with 4.00, and so is a value of the wrong type.
        """

        async def make(path: str, values: Mapping[str, Scalar]) -> None:
            new = cls(Path.parse(path).instance or 0, **_given(cls, values))
            missing = _missing(new)
            if missing:
                raise Refusal("4.00", f"missing: {', '.join(missing)}")
            new.attach(device)
            try:
                new.created()
            except Refusal:
                device.take_back(path)
                raise

        device.makes(cls.object_id, make)

    def _play(self, device: Device, role: _Role, method: Callable[..., object]) -> None:
        at = f"{self.path}/{role.resource}"
        field = next((one for one in self._fields.values() if one.id == role.resource), None)
        match role.word:
            case "execute":
                device.on_execute(at, lambda _, arguments: _run(method, arguments))
            case "written":
                device.on_write(at, lambda _, __: _run(method, self._shown(cast("_Field", field))))
            case "check":
                device.check(at, lambda asked: self._judge(asked, field, method))
            case "measured":
                device.source(at, lambda: self._measured(cast("_Field", field), method))
                if role.every is not None:
                    device.measure_every(at, role.every)

    async def _judge(self, asked: Asked, field: _Field | None, method: Callable[..., object]) -> None:
        if asked.operation == "execute":
            await _called(method, asked.values)
        elif asked.operation == "write" and field is not None:
            several = dict(self._values.get(field.id, {})) if field.is_multiple else {}
            for path, value in asked.values.items():
                at = Path.parse(path)
                if (at.object, at.instance, at.resource) == (self.object_id, self._path.instance, field.id):
                    several[at.resource_instance] = _one(field, value)
            shown = several[None] if not field.is_multiple else _in_order(field, several)
            await _called(method, shown)

    async def _measured(self, field: _Field, method: Callable[..., object]) -> Scalar:
        value = _one(field, cast("Scalar", await _called(method)))
        self._values[field.id] = {None: value}
        return value

    def _take(self, path: str, value: Scalar) -> None:
        """A server wrote a value."""
        at = Path.parse(path)
        for field in self._fields.values():
            if field.id == at.resource and field.is_multiple == (at.resource_instance is not None):
                self._values.setdefault(field.id, {})[at.resource_instance] = _one(field, value)

    def _lose(self, path: Path) -> None:
        """A server deleted something, or replaced what was around it."""
        if path == self._path:
            self._device = None
            self.deleted()
        elif self._path.contains(path) and path.resource is not None:
            several = self._values.get(path.resource, {})
            several.pop(path.resource_instance, None)
            if not several:
                self._values.pop(path.resource, None)


def _given(cls: type[Object], values: Mapping[str, Scalar]) -> dict[str, Any]:
    """What a server gave for a new instance, by the names of the attributes."""
    paths = {Path.parse(path): value for path, value in values.items()}
    given: dict[str, Any] = {}
    for name, field in cls._fields.items():
        several = {at.resource_instance: _one(field, value) for at, value in paths.items() if at.resource == field.id}
        if several:
            given[name] = _in_order(field, several) if field.is_multiple else several.get(None)
    return given


def _missing(new: Object) -> list[str]:
    """What every instance has by its definition, and this one has not."""
    defined = new._definitions().definition(new.object_id)  # noqa: SLF001  # its own
    has = new._values.keys() | {role.resource for _, role in new._roles}  # noqa: SLF001  # its own
    wanted = () if defined is None else defined.resources
    return [one.name for one in wanted if one.mandatory and one.is_readable and one.id not in has]


def _at(path: str, resource_id: int, key: int | None) -> str:
    return f"{path}/{resource_id}" if key is None else f"{path}/{resource_id}/{key}"


def _in_order(field: _Field, several: Mapping[int | None, Scalar]) -> object:
    in_order = sorted((key, value) for key, value in several.items() if key is not None)
    return [value for _, value in in_order] if field.is_list else dict(in_order)


def _one(field: _Field, value: Scalar) -> Scalar:
    try:
        return typed(value, field.kind)
    except Rejected as rejected:
        raise Rejected(str(field.id), rejected.reason) from rejected


def _several(field: _Field, value: object) -> dict[int | None, Scalar]:
    """What an attribute is set to, by the ids of the values; one value has none."""
    if not field.is_multiple:
        return {None: _one(field, cast("Scalar", value))}
    if isinstance(value, list):
        return {key: _one(field, one) for key, one in enumerate(value)}
    if not isinstance(value, dict):
        raise Rejected(str(field.id), "has several values: give a list, or a dict by their ids")
    return {int(key): _one(field, one) for key, one in value.items()}


async def _called(method: Callable[..., object], *given: object) -> object:
    """What a method says, at once or after a while; one that takes no arguments gets none."""
    takes = method.__code__.co_argcount - 1 if isinstance(method, types.MethodType) else len(given)
    return await result_of(method(*given[:takes]))


async def _run(method: Callable[..., object], *given: object) -> None:
    await _called(method, *given)


def _field(cls: type[Object], name: str, declared: _Declared, hints: Mapping[str, object]) -> _Field:
    """What an attribute is, checked against the definition of its object."""
    where = f"{cls.__name__}.{name}"
    if name not in hints:
        raise TypeError(f"{where}: say its type, such as `{name}: float`")
    hint = hints[name]
    origin, inner = get_origin(hint), get_args(hint)
    is_multiple = origin in {list, dict}
    kind = cast("type[object]", inner[-1] if is_multiple else hint)
    defined = _defined(cls, where, declared.identifier)
    if kind not in PYTHON_TYPES.values():
        raise TypeError(f"{where}: {hint} is no type of LwM2M")
    if defined is not None and defined.type is not None:
        if PYTHON_TYPES[defined.type] is not kind:
            raise TypeError(f"{where}: {defined.name} is {PYTHON_TYPES[defined.type].__name__}, not {kind.__name__}")
        if defined.multiple != is_multiple:
            raise TypeError(f"{where}: {defined.name} has {'several values' if defined.multiple else 'one value'}")
    elif defined is not None:
        raise TypeError(f"{where}: {defined.name} can only be executed")
    return _Field(declared.identifier, kind, is_multiple, origin is list, declared.default)


def _defined(cls: type[Object], where: str, resource_id: int) -> Resource | None:
    """The definition of a resource; None when nobody defined the object, which then is as the class says."""
    found = cls._definitions().definition(cls.object_id)  # its own
    if found is None:
        return None
    defined = found.resource(resource_id)
    if defined is None:
        raise TypeError(f"{where}: {found.name} (object {found.id}) has no resource {resource_id}")
    return defined


def _check_role(cls: type[Object], name: str, role: _Role) -> None:
    where = f"{cls.__name__}.{name}"
    defined = _defined(cls, where, role.resource)
    is_declared = any(field.id == role.resource for field in cls._fields.values())
    can_be_executed = defined is not None and defined.is_executable
    if role.word == "execute" and not can_be_executed:
        raise TypeError(f"{where}: resource {role.resource} of object {cls.object_id} is not defined as executable")
    if role.word in {"written", "measured"} and not is_declared:
        raise TypeError(f"{where}: no attribute is resource {role.resource}")
    if role.word == "check" and not (is_declared or can_be_executed):
        raise TypeError(f"{where}: nobody can write or execute resource {role.resource}")
