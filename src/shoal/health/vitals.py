"""What readings say about the device itself: battery, supply, memory, radio, error codes.

Resource ids are those of the OMA registry: object 3 (Device), 4 (Connectivity Monitoring), 3411 (Battery).
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import msgspec

from shoal.events.device import Reading, ReadingsReported, Scalar

BATTERY_LEVEL: Final = "/3/0/9"
BATTERY_STATUS: Final = "/3/0/20"
VOLTAGE: Final = "/3/0/7"
MEMORY_FREE: Final = "/3/0/10"
MEMORY_TOTAL: Final = "/3/0/21"
FIRMWARE_VERSION: Final = "/3/0/3"
ERROR_CODES: Final = "/3/0/11"
SIGNAL: Final = "/4/0/2"
_BATTERY_OBJECT: Final = re.compile(r"/3411/(\d+)/1")

# /3/0/20: 1 charging, 2 charge complete; 5 not installed, so its level means nothing.
CHARGING: Final = frozenset({1, 2})
NOT_INSTALLED: Final = 5
# Object 3 v1.2 defines 0..32, 0 is "no error".
ERROR_CODE_MAX: Final = 32  # a number beyond it is no error code


class Vitals(msgspec.Struct, frozen=True, kw_only=True):
    """The newest value of each, as the device reported it. None: it never did."""

    at: datetime | None = None
    battery_percent: float | None = None
    is_charging: bool | None = None
    has_battery: bool = True
    voltage_mv: float | None = None
    memory_free_kb: float | None = None
    memory_total_kb: float | None = None
    signal_dbm: float | None = None
    firmware_version: str | None = None
    error_codes: tuple[int, ...] = ()


def updated(vitals: Vitals, event: ReadingsReported) -> Vitals:
    """The vitals after a report; the same object when it says nothing about the device itself."""
    news: dict[str, object] = {}
    for reading in event.readings:
        match reading.path, reading.value:
            case (path, str(text)) if path == FIRMWARE_VERSION:
                news["firmware_version"] = text
            case (path, bool() | str() | None):
                continue
            case (path, number):
                news |= _number(path, number)
    codes = error_codes(event)
    if codes is not None:
        news["error_codes"] = codes
    return msgspec.structs.replace(vitals, at=event.time, **news) if news else vitals


def _number(path: str, number: float) -> dict[str, object]:
    match path:
        case "/3/0/9":
            return {"battery_percent": number} if 0 <= number <= 100 else {}
        case "/3/0/20":
            return {"is_charging": number in CHARGING, "has_battery": number != NOT_INSTALLED}
        case "/3/0/7" | "/3/0/7/0":
            return {"voltage_mv": number}
        case "/3/0/10":
            return {"memory_free_kb": number}
        case "/3/0/21":
            return {"memory_total_kb": number}
        case "/4/0/2":
            return {"signal_dbm": number}
    return {}


def battery_levels(readings: Iterable[Reading]) -> Iterator[tuple[str, float]]:
    """Levels in percent with the battery they belong to: "" is the internal one, "3411/0" the first external."""
    for reading in readings:
        if isinstance(reading.value, bool | str | None) or not 0 <= reading.value <= 100:
            continue
        if reading.path == BATTERY_LEVEL:
            yield "", float(reading.value)
        elif match := _BATTERY_OBJECT.fullmatch(reading.path):
            yield f"3411/{match[1]}", float(reading.value)


def error_codes(event: ReadingsReported) -> tuple[int, ...] | None:
    """All error codes that the device has now, or None when the report is not about them.

    The resource has an instance for each error, and an error that is over is an instance that is gone. So a report is
    the whole list when it was asked for the resource or for what is above it.
    """
    below = [reading for reading in event.readings if _is_below(reading.path, ERROR_CODES)]
    observed = event.paths if event.path is None else [event.path]
    asked = any(_is_below(ERROR_CODES, path) for path in observed)
    if not below and not asked:
        return None
    codes = {code for reading in below if (code := _code(reading.value)) is not None}
    return tuple(sorted(codes))


def _code(value: Scalar) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value <= ERROR_CODE_MAX else None


def _is_below(path: str, above: str) -> bool:
    return path == above or path.startswith(above + "/")
