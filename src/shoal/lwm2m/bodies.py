"""What a server asks and is answered, as Python has it and as the core takes and gives it: JSON with bytes in base64.

What is read of a time is Unix seconds, of an object link the text `3:0`; whole numbers go from -2^63 to 2^64-1.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from shoal.errors import Rejected
from shoal.lwm2m.dataplane import Answer
from shoal.lwm2m.objects import Objects
from shoal.lwm2m.path import Path
from shoal.lwm2m.value import Link, Scalar, encoded

# What can be written: a value, or values by their ids (of resource instances, or of an instance's resources).
Value: TypeAlias = Scalar | Mapping[int, Scalar] | Mapping[str, Scalar]
Resources: TypeAlias = Mapping[int, Value] | Mapping[str, Value]


# Types that JSON has no form of its own for, as definitions call them.
_KINDS: Final[Mapping[type, str]] = {bytes: "opaque", Link: "objlnk", datetime: "time"}

# What codes mean, for devices that refuse without a word (RFC 7252 §5.9, RFC 8132 §3.4).
_CODES: Final[Mapping[str, str]] = {
    "4.00": "it does not fit",
    "4.01": "not authorized",
    "4.02": "an option that it does not know",
    "4.03": "not allowed",
    "4.04": "it is not there",
    "4.05": "that cannot be done with it",
    "4.06": "not in this content format",
    "4.08": "a part of the body is missing",
    "4.09": "it contradicts what is there",
    "4.12": "not in its present state",
    "4.13": "too large",
    "4.15": "it does not know this content format",
    "4.22": "it cannot be processed",
    "5.00": "the device failed",
    "5.01": "it does not know how",
    "5.03": "not now",
}
_OUTCOMES: Final[Mapping[str, str]] = {
    "unregistered": "no such device is registered",
    "timed_out": "no answer in time",
    "expired": "it was not awake in time",
    "too_many": "too many requests wait for it",
    "cancelled": "somebody took the request back",
}


def words_of(answer: Answer) -> str:
    """What became of a request, in words, where nobody else had any."""
    return _CODES.get(answer.code, "refused") if answer.code else _OUTCOMES.get(answer.outcome, answer.outcome)


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
        Rejected: no value of LwM2M, or bytes for what is not opaque.
    """
    return {
        str(number): json_of(Path.parse(f"{instance}/{number}"), value, objects) for number, value in values.items()
    }


def json_of(path: Path, value: Value, objects: Objects) -> Any:
    """A value, or values by their ids, as JSON.

    Raises:
        Rejected: no value of LwM2M, or bytes for what is not opaque.
    """
    if isinstance(value, Mapping):
        return {str(number): to_json(path, one, objects) for number, one in value.items()}
    return to_json(path, value, objects)


def to_json(path: Path, value: Scalar, objects: Objects) -> Any:
    """One value as JSON; with its type where no definition has one: `{"opaque": "AAEC"}`.

    Raises:
        Rejected: no value of LwM2M; bytes for what is defined as something else than opaque.
    """
    defined = objects.resource_at(path)
    kind = _KINDS.get(type(value)) if defined is None else None
    if isinstance(value, bytes):
        if defined is not None and defined.type != "opaque":
            raise Rejected(str(path), "bytes are for resources that are opaque")
        said: Any = base64.b64encode(value).decode("ascii")
    else:
        try:
            said = json.loads(encoded(value))
        except Rejected as rejected:
            raise Rejected(str(path), rejected.reason) from rejected
    return said if kind is None else {kind: said}


def by_path(content: Iterable[Mapping[str, Any]]) -> dict[str, Scalar]:
    """The values of an answer of the core, by path."""
    return {str(item["path"]): _from_json(item["value"], str(item.get("type", ""))) for item in content}


def failures(failed: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Why paths could not be served, in words: `4.04 no such resource`."""
    return {str(one["path"]): " ".join(part for part in (one["code"], one["detail"]) if part) for one in failed}


def _from_json(value: Scalar, kind: str) -> Scalar:
    return base64.b64decode(value) if kind == "opaque" and isinstance(value, str) else value
