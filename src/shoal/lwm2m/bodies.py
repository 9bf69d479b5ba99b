"""What a server asks and is answered, as Python has it and as the core takes and gives it: JSON with bytes in base64.

What is read of a time is Unix seconds, of an object link the text `3:0`; whole numbers go from -2^63 to 2^64-1.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from shoal.errors import Rejected
from shoal.lwm2m.objects import Objects
from shoal.lwm2m.path import Path
from shoal.lwm2m.value import Scalar, encoded

# What can be written: a value, or values by their ids (of resource instances, or of an instance's resources).
Value: TypeAlias = Scalar | Mapping[int, Scalar] | Mapping[str, Scalar]
Resources: TypeAlias = Mapping[int, Value] | Mapping[str, Value]


class Values(dict[str, Scalar]):
    """What was read, by path. `failed` are the paths that could not be, with the device's code and words."""

    def __init__(self, values: Mapping[str, Scalar], failed: Mapping[str, str]) -> None:
        super().__init__(values)
        self.failed = dict(failed)


def to_write(path: Path, value: Value | Resources, objects: Objects) -> dict[str, Any]:
    """The body of a write: of a resource, of its instances, or of the resources of an object instance.

    Raises:
        Rejected: values by id for what has none, or bytes for what is not opaque.
    """
    if not isinstance(value, Mapping):
        return {"value": to_json(path, value, objects)}
    if path.resource is None:
        return {"resources": resources(path, value, objects)}
    return {"values": {str(number): json_of(path, one, objects) for number, one in value.items()}}


def resources(instance: Path, values: Resources, objects: Objects) -> dict[str, Any]:
    """The resources of an object instance, by id, for a write or a create.

    Raises:
        Rejected: bytes for what is not opaque.
    """
    return {
        str(number): json_of(Path.parse(f"{instance}/{number}"), value, objects) for number, value in values.items()
    }


def json_of(path: Path, value: Value, objects: Objects) -> Any:
    """A value, or values by their ids, as JSON.

    Raises:
        Rejected: bytes for what is not opaque.
    """
    if isinstance(value, Mapping):
        return {str(number): to_json(path, one, objects) for number, one in value.items()}
    return to_json(path, value, objects)


def to_json(path: Path, value: Scalar, objects: Objects) -> bool | int | float | str | None:
    """One value as JSON.

    Raises:
        Rejected: bytes for what is not opaque, or for what no definition says that it is; a time without a zone.
    """
    if not isinstance(value, bytes):
        return json.loads(encoded(value))  # type: ignore[no-any-return]  # of a value that is none of bytes
    defined = objects.resource_at(path)
    if defined is None or defined.type != "opaque":
        raise Rejected(str(path), "bytes are for resources that are opaque")
    return base64.b64encode(value).decode("ascii")


def by_path(content: Iterable[Mapping[str, Any]]) -> dict[str, Scalar]:
    """The values of an answer of the core, by path."""
    return {str(item["path"]): _from_json(item["value"], str(item.get("type", ""))) for item in content}


def failures(failed: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Why paths could not be served, in words: `4.04 no such resource`."""
    return {str(one["path"]): " ".join(part for part in (one["code"], one["detail"]) if part) for one in failed}


def _from_json(value: Scalar, kind: str) -> Scalar:
    return base64.b64decode(value) if kind == "opaque" and isinstance(value, str) else value
