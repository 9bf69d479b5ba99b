"""Readings over time: mean and band as the API downsampled them, and where there are none."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Final, Literal, TypeAlias

from pydantic import BaseModel

from shoal.bff import heard

Range: TypeAlias = Literal["1h", "6h", "24h", "7d", "30d"]
RANGES: Final[dict[Range, timedelta]] = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
# One point per pixel is all a screen can show; a wide one has this many.
POINTS_MAX: Final = 2_000
# A reading may come half a period late, and a bucket may fall between two: more than this is a gap.
GAP_PERIODS: Final = 2.5
# LwM2M objects of the OMA registry that measure have their value in this resource (3300 and its kin).
SENSOR_VALUE: Final = 5700
# Its unit and what it is for, in its own words.
SENSOR_UNIT: Final = 5701
SENSOR_APPLICATION: Final = 5750
BATTERY_PATH: Final = "/3/0/9"
SIGNAL_PATH: Final = "/4/0/2"


class Series(BaseModel):
    """Something of a device that can be drawn."""

    path: str
    name: str
    unit: str
    value: float | None
    at: datetime | None


class PointShown(BaseModel):
    at: datetime
    mean: float
    min: float
    max: float
    count: int


class Gap(BaseModel):
    """No readings from here to there; `is_open` when it lasts until now."""

    begins_at: datetime
    ends_at: datetime
    is_open: bool


class ReadingsScreen(BaseModel):
    at: datetime
    path: str
    unit: str
    begins_at: datetime
    ends_at: datetime
    points: list[PointShown]
    gaps: list[Gap]


def series_of(objects: Sequence[heard.Object]) -> list[Series]:
    """What a device measures first, its battery and its radio after."""
    found = [(said, resource) for said in objects for instance in said.instances for resource in instance.resources]
    measured = [
        _sensor(said.name, instance) for said in objects for instance in said.instances if _of(instance, SENSOR_VALUE)
    ]
    vital = [
        _series(resource.name, resource)
        for path in (BATTERY_PATH, SIGNAL_PATH)
        for _, resource in found
        # A camera on mains has a battery resource, too; a chart of nothing helps nobody.
        if resource.path == path and resource.value is not None
    ]
    return [*measured, *vital]


def _sensor(object_name: str, instance: heard.Instance) -> Series:
    """What a sensor measures as it says so itself, where it does: a generic one has no other name and no other unit."""
    value, unit, application = (_of(instance, number) for number in (SENSOR_VALUE, SENSOR_UNIT, SENSOR_APPLICATION))
    assert value is not None  # noqa: S101  # the caller has looked
    series = _series(_text(application) or object_name, value)
    return series.model_copy(update={"unit": _text(unit) or series.unit})


def _of(instance: heard.Instance, number: int) -> heard.Resource | None:
    return next((resource for resource in instance.resources if resource.path.endswith(f"/{number}")), None)


def _text(resource: heard.Resource | None) -> str:
    return resource.value if resource is not None and isinstance(resource.value, str) else ""


def _series(name: str, resource: heard.Resource) -> Series:
    value = resource.value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Series(
        path=resource.path,
        name=name or resource.name or resource.path,
        unit=resource.units,
        value=float(value) if is_number else None,  # type: ignore[arg-type]
        at=resource.at,
    )


def readings_screen(at: datetime, span: Range, said: heard.Readings) -> ReadingsScreen:
    begins_at = at - RANGES[span]
    points = sorted((point for point in said.points if point.at >= begins_at), key=lambda point: point.at)
    return ReadingsScreen(
        at=at,
        path=said.path,
        unit=said.unit,
        begins_at=begins_at,
        ends_at=at,
        points=[
            PointShown(at=point.at, mean=point.mean, min=point.min, max=point.max, count=point.count)
            for point in points
        ],
        gaps=gaps([point.at for point in points], begins_at, at),
    )


def gaps(times: Sequence[datetime], begins_at: datetime, ends_at: datetime) -> list[Gap]:
    """Where readings are missing, judged by the usual distance between two of them."""
    if not times:
        return [Gap(begins_at=begins_at, ends_at=ends_at, is_open=True)]
    steps = [(after - before).total_seconds() for before, after in pairwise(times)]
    if not steps:
        return []
    longest = timedelta(seconds=median(steps) * GAP_PERIODS)
    found = [
        Gap(begins_at=before, ends_at=after, is_open=False)
        for before, after in pairwise(times)
        if after - before > longest
    ]
    if ends_at - times[-1] > longest:
        found.append(Gap(begins_at=times[-1], ends_at=ends_at, is_open=True))
    return found
