"""From what a device sent to rows that can be charted: when a reading was taken, and what kind of value it is."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from shoal.events.device import ReadingsReported, Scalar
from shoal.storage.tables import milliseconds

# A device's clock may run ahead of ours by this much before we go by our own.
AHEAD_MAX: Final = timedelta(minutes=5)
# Buffered readings come late; older ones than this come from a clock that was never set.
BEHIND_MAX: Final = timedelta(days=31)
# Longest text kept of a reading: error texts and versions are short, and a log has its own way.
TEXT_CHARACTERS_MAX: Final = 1_000


def is_cut(value: Scalar) -> bool:
    """Whether a kept value is only the beginning of what the device said.

    A text that fills its room exactly is counted as cut: better that a whole one is read anew than that a piece of one is
    written back as the whole.
    """
    return isinstance(value, str) and len(value) >= TEXT_CHARACTERS_MAX


class Sample(msgspec.Struct, frozen=True):
    """One reading with the moment it counts for. The exact value is in `raw`; `value` is what a chart can draw.

    `is_device_time`: the moment is by the device's own clock, not when the reading came. `kind` is that of the reading.
    """

    device: str
    path: str
    time: datetime
    value: float | None
    text: str | None
    raw: Scalar
    is_device_time: bool = False
    kind: str | None = None


def samples(event: ReadingsReported) -> Iterator[Sample]:
    """The readings of an event that can be attributed to a device; empty values say nothing and are left out."""
    if event.device is None:
        return
    for reading in event.readings:
        if reading.value is None:
            continue
        time = taken_at(reading.time, event.time)
        is_own = time != event.time
        if isinstance(reading.value, str):
            text = reading.value[:TEXT_CHARACTERS_MAX]
            yield Sample(event.device, reading.path, time, None, text, text, is_own, reading.kind)
        else:
            number = float(reading.value)
            yield Sample(event.device, reading.path, time, number, None, reading.value, is_own, reading.kind)


def taken_at(device_time_s: float | None, received_at: datetime) -> datetime:
    """When a reading was taken: by the device's clock if that can be right, else when it came.

    Devices without a clock count from 1970 or from their last boot; both are far outside what can be right.
    """
    if device_time_s is None:
        return received_at
    earliest, latest = received_at - BEHIND_MAX, received_at + AHEAD_MAX
    if not earliest.timestamp() <= device_time_s <= latest.timestamp():
        return received_at
    return datetime.fromtimestamp(device_time_s, UTC)


def newest(all_samples: Iterable[Sample]) -> list[Sample]:
    """One sample for each device and path: the latest; of equal times the one that came last."""
    last: dict[tuple[str, str], Sample] = {}
    for sample in all_samples:
        known = last.get((sample.device, sample.path))
        if known is None or sample.time >= known.time:
            last[sample.device, sample.path] = sample
    return list(last.values())


def distinct(all_samples: Iterable[Sample]) -> list[Sample]:
    """One sample for each device, path and millisecond: a chart cannot show two."""
    return list({(sample.device, sample.path, milliseconds(sample.time)): sample for sample in all_samples}.values())
