"""The demo's water is believable, and the same after a restart."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shoal.demo.world import (
    Spot,
    battery_mv,
    battery_percent,
    detections_per_hour,
    frames_per_second,
    oxygen_mg_l,
    salinity_psu,
    signal_dbm,
    temperature_c,
)

START = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)

spots = st.builds(Spot, phase=st.floats(0, 1), depth_m=st.floats(0, 30))
moments = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # made aware


@given(spots, moments)
def test_values_stay_within_what_such_water_shows(spot: Spot, at: datetime) -> None:
    assert 3 < temperature_c(spot, at) < 12
    assert 7 < oxygen_mg_l(spot, at) < 11
    assert 31 < salinity_psu(spot, at) < 35
    assert 24 < frames_per_second(spot, at) <= 25
    assert 0 <= detections_per_hour(spot, at) < 3000
    assert -110 < signal_dbm(spot, at) < -75


@given(spots, moments)
def test_water_changes_slowly(spot: Spot, at: datetime) -> None:
    assert abs(temperature_c(spot, at) - temperature_c(spot, at + timedelta(seconds=5))) < 0.1


def test_the_same_moment_gives_the_same_value() -> None:
    assert temperature_c(Spot(0.3, 5), START) == temperature_c(Spot(0.3, 5), START)


def test_a_battery_drains_evenly_and_not_below_empty() -> None:
    assert battery_percent(START, START, 10) == 100
    assert battery_percent(START, START + timedelta(days=5), 10) == 50
    assert battery_percent(START, START + timedelta(days=50), 10) == 0


def test_voltage_falls_steeply_only_at_the_end() -> None:
    assert battery_mv(100) - battery_mv(50) < battery_mv(15) - battery_mv(0)
