"""Values as Python has them, and as they cross the border to the core: JSON, bytes as `{"opaque": "<hex>"}`."""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias

from shoal.errors import Rejected
from shoal.lwm2m.objects import Objects
from shoal.lwm2m.path import Path

# OMA LwM2M Core 1.1, appendix C: this pair of ids points nowhere.
NOWHERE: Final = 65_535


class Link(NamedTuple):
    """An object instance that another one points to (`objlnk`); `Link()` points nowhere."""

    object: int = NOWHERE
    instance: int = NOWHERE

    def __str__(self) -> str:
        return f"{self.object}:{self.instance}"

    @classmethod
    def parse(cls, text: str) -> "Link":
        """From `3303:0`.

        Raises:
            Rejected: not two ids of 16 bits with a colon between.
        """
        parts = text.split(":")
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() and int(part) <= NOWHERE for part in parts):
            raise Rejected("link", f"{text[:40]!r} is not like 3303:0")
        return cls(int(parts[0]), int(parts[1]))


# Types whose JSON is that of another type, as definitions call them.
_KINDS: Final[Mapping[type, str]] = {Link: "objlnk", datetime: "time"}

Scalar: TypeAlias = bool | int | float | str | bytes | datetime | Link | None


def encoded(value: Scalar) -> bytes:
    """The value as the core takes it.

    Raises:
        Rejected: no value of LwM2M: a time without a zone, NaN and infinities, whatever else Python has.
    """
    match value:
        case bytes():
            return json.dumps({"opaque": value.hex()}).encode()
        case Link():
            return json.dumps(str(value)).encode()
        case datetime():
            if value.tzinfo is None:
                raise Rejected("time", f"{value} has no time zone")
            return json.dumps(int(value.timestamp())).encode()
        case float() if not math.isfinite(value):
            raise Rejected("value", f"{value} is for reading only")
        case bool() | int() | float() | str() | None:
            return json.dumps(value).encode()
        case _:
            raise Rejected("value", f"a {type(value).__name__} is no value of LwM2M")


def encoded_at(path: str, value: Scalar, objects: Objects) -> bytes:
    """The value as the core takes it at a path; with its type where no definition has one: `{"objlnk": "3303:0"}`.

    Raises:
        Rejected: no value of LwM2M.
    """
    content, kind = encoded(value), _KINDS.get(type(value))
    if kind is None or objects.resource_at(path) is not None:
        return content
    return b'{"%s": %s}' % (kind.encode(), content)


def decoded(path: Path, value: object, objects: Objects) -> Scalar:
    """A value that the core told as JSON, read already. Bytes are bytes again, where `objects` say so; times stay
    seconds and links stay text: `typed` makes more of them.

    Raises:
        Rejected: no value.
    """
    if isinstance(value, dict) and isinstance(opaque := value.get("opaque"), str):
        return bytes.fromhex(opaque)
    if value is not None and not isinstance(value, bool | int | float | str):
        raise Rejected(str(path), "not a value")
    resource = objects.resource_at(path)
    if isinstance(value, str) and resource is not None and resource.type == "opaque":
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise Rejected(str(path), "not Base64") from error
    return value


def typed(value: Scalar, kind: type[object]) -> Scalar:
    """A value as somebody wants it who said `kind`: seconds as a time, text as a link, a whole number as a float.

    Raises:
        Rejected: it is none of that kind.
    """
    if kind is datetime and isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    if kind is Link and isinstance(value, str):
        return Link.parse(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    is_truth = isinstance(value, bool)
    if value is None or not isinstance(value, kind) or (is_truth and kind is not bool):
        raise Rejected("value", f"{value!r:.40} is no {kind.__name__}")
    return value
