"""Believable water, batteries and pictures: pure functions of the time, so that a restart goes on where it was.

The shapes are those of a Norwegian fjord in autumn: semidiurnal tide (12.42 h), a day's light, slow weather. Amplitudes
are ours, chosen to look right on a chart; they are no model of a real place.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

TIDE: Final = timedelta(hours=12, minutes=25)
DAY: Final = timedelta(hours=24)
WEATHER: Final = timedelta(days=6)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where something hangs in the water: `phase` (0..1) makes neighbours similar but not equal."""

    phase: float
    depth_m: float


def temperature_c(spot: Spot, at: datetime) -> float:
    """Water temperature in degrees Celsius."""
    value = 9.2 - 0.08 * spot.depth_m
    value += 0.35 * _wave(at, TIDE, spot.phase) + 0.25 * _wave(at, DAY, 0.62) + 0.8 * _wave(at, WEATHER, 0.1)
    return round(value + 0.03 * _ripple(at, spot), 2)


def oxygen_mg_l(spot: Spot, at: datetime) -> float:
    """Dissolved oxygen in milligrams per litre: less at night, when algae rest, and in warmer water."""
    value = 9.1 - 0.12 * (temperature_c(spot, at) - 9.0)
    value += 0.55 * _wave(at, DAY, 0.45) + 0.2 * _wave(at, TIDE, spot.phase + 0.2)
    return round(value + 0.06 * _ripple(at, spot), 2)


def salinity_psu(spot: Spot, at: datetime) -> float:
    """Salinity in practical salinity units: fresher on the ebb."""
    value = 32.6 + 0.15 * spot.depth_m / 5
    return round(value + 0.4 * _wave(at, TIDE, spot.phase) + 0.02 * _ripple(at, spot), 2)


def frames_per_second(spot: Spot, at: datetime) -> float:
    """What a camera of nominal 25 frames per second manages."""
    return round(24.7 + 0.25 * _ripple(at, spot), 1)


def detections_per_hour(spot: Spot, at: datetime) -> float:
    """Fish that the recognition model sees in an hour: few at night."""
    daylight = max(0.0, _wave(at, DAY, 0.75))
    return round(140 + 2600 * daylight + 30 * (1 + _ripple(at, spot)), 0)


def signal_dbm(spot: Spot, at: datetime) -> int:
    """Received signal power in dBm; boats and rain move it."""
    return round(-88 - 10 * spot.phase + 3 * _ripple(at, spot) + 2 * _wave(at, TIDE, spot.phase))


def battery_percent(full_since: datetime, at: datetime, drain_per_day: float, level_full: float = 100.0) -> int:
    """Charge of a battery that was full, or changed, at `full_since`."""
    drained = drain_per_day * (at - full_since) / DAY
    return max(0, round(level_full - drained))


def battery_mv(percent: int) -> int:
    """Voltage of a lithium thionyl chloride cell: flat, then a knee below 15 percent."""
    knee = min(percent, 15) / 15
    return round(2900 + 500 * knee + 2.0 * percent)


def _wave(at: datetime, period: timedelta, phase: float) -> float:
    return math.sin(2 * math.pi * (at.timestamp() / period.total_seconds() + phase))


def _ripple(at: datetime, spot: Spot) -> float:
    """Noise within -1..1 that is the same for the same moment."""
    t = at.timestamp() + 977 * spot.phase
    return (math.sin(t / 7.3) + math.sin(t / 17.9 + 1.3) + math.sin(t / 43.1 + 2.1)) / 3
