"""What readings say about the device itself."""

from datetime import UTC, datetime, timedelta

import pytest

from shoal.events.device import Scalar
from shoal.health.vitals import Vitals, battery_levels, error_codes, updated
from tests.harness.voices import Voice

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def after(values: dict[str, Scalar], vitals: Vitals | None = None) -> Vitals:
    return updated(vitals or Vitals(), Voice().reported(NOON, values))


@pytest.mark.parametrize(
    ("path", "value", "field", "expected"),
    [
        ("/3/0/9", 87, "battery_percent", 87),
        ("/3/0/7/0", 3700, "voltage_mv", 3700),
        ("/3/0/7", 3700, "voltage_mv", 3700),
        ("/3/0/10", 512, "memory_free_kb", 512),
        ("/3/0/21", 4096, "memory_total_kb", 4096),
        ("/4/0/2", -101, "signal_dbm", -101),
        ("/3/0/3", "1.4.2", "firmware_version", "1.4.2"),
        ("/3/0/20", 1, "is_charging", True),
        ("/3/0/20", 0, "is_charging", False),
        ("/3/0/20", 5, "has_battery", False),
        ("/3/0/11/0", 2, "error_codes", (2,)),
    ],
)
def test_each_resource_of_the_device_is_a_vital(path: str, value: Scalar, field: str, expected: object) -> None:
    vitals = after({path: value})

    assert getattr(vitals, field) == expected
    assert vitals.at == NOON


@pytest.mark.parametrize(
    ("path", "value"),
    [("/3/0/9", 101), ("/3/0/9", -1), ("/3/0/9", "full"), ("/3/0/9", True), ("/3/0/9", None), ("/3303/0/5700", 8.1)],
)
def test_what_cannot_be_or_is_about_the_water_changes_nothing(path: str, value: Scalar) -> None:
    known = Vitals(at=NOON - timedelta(hours=1), battery_percent=50)

    assert after({path: value}, known) is known


def test_batteries_are_told_apart_and_nonsense_is_left_out() -> None:
    readings = (
        Voice()
        .reported(
            NOON,
            {"/3/0/9": 50, "/3411/0/1": 40.5, "/3411/12/1": 30, "/3411/0/3": 10, "/3411/1/1": 200, "/3411/2/1": "x"},
        )
        .readings
    )

    assert list(battery_levels(readings)) == [("", 50.0), ("3411/0", 40.5), ("3411/12", 30.0)]


@pytest.mark.parametrize(
    ("values", "path", "codes"),
    [
        ({"/3/0/11/0": 2, "/3/0/11/1": 8}, "/3/0/11", (2, 8)),
        ({"/3/0/11/0": 0}, "/3/0/11", ()),
        ({}, "/3/0/11", ()),
        ({"/3/0/9": 80}, "/3/0", ()),
        ({"/3/0/9": 80}, "/3/0/9", None),
        ({"/3/0/9": 80}, None, None),
        ({"/3/0/11/0": 5}, None, (5,)),
        ({"/3/0/11/0": 33, "/3/0/11/1": -1, "/3/0/11/2": "2", "/3/0/11/3": True, "/3/0/11/4": 2.0}, "/3/0/11", ()),
        ({"/3/0/110": 2}, "/3/0/110", None),
    ],
)
def test_an_error_that_is_over_is_missing_from_the_whole_list(
    values: dict[str, Scalar], path: str | None, codes: tuple[int, ...] | None
) -> None:
    assert error_codes(Voice().reported(NOON, values, path=path)) == codes


@pytest.mark.parametrize(("paths", "codes"), [(["/3/0/9", "/3/0/11"], ()), (["/3/0/9", "/3303/0"], None)])
def test_a_report_of_several_paths_is_about_errors_if_one_of_them_is(
    paths: list[str], codes: tuple[int, ...] | None
) -> None:
    assert error_codes(Voice().reported(NOON, {"/3/0/9": 80}, paths=paths)) == codes
