from datetime import UTC, datetime, timedelta

from shoal.bff import heard
from shoal.bff.screens import chart

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)


def every(minutes: int, count: int, begins: datetime) -> list[datetime]:
    return [begins + timedelta(minutes=minutes * index) for index in range(count)]


def readings(times: list[datetime]) -> heard.Readings:
    points = [heard.Point(at=at, mean=8.0, min=7.5, max=8.5) for at in times]
    return heard.Readings(path="/3300/0/5700", unit="mg/L", points=points)


def test_a_steady_line_has_no_gap() -> None:
    times = every(10, 36, NOW - timedelta(hours=6))

    assert chart.gaps(times, times[0], NOW) == []


def test_missing_readings_are_a_gap_judged_by_the_usual_distance() -> None:
    times = [*every(10, 6, NOW - timedelta(hours=3)), *every(10, 6, NOW - timedelta(hours=1))]

    (gap,) = chart.gaps(times, times[0], NOW)

    assert (gap.begins_at, gap.ends_at, gap.is_open) == (times[5], times[6], False)


def test_one_late_reading_is_no_gap() -> None:
    times = [*every(10, 6, NOW - timedelta(hours=2)), *every(10, 7, NOW - timedelta(minutes=50))]

    assert chart.gaps(times, times[0], NOW) == []


def test_a_gap_that_lasts_until_now_is_open() -> None:
    times = every(10, 6, NOW - timedelta(hours=3))

    (gap,) = chart.gaps(times, times[0], NOW)

    assert (gap.begins_at, gap.ends_at, gap.is_open) == (times[-1], NOW, True)


def test_without_any_reading_the_whole_range_is_a_gap() -> None:
    begins = NOW - timedelta(hours=6)

    (gap,) = chart.gaps([], begins, NOW)

    assert (gap.begins_at, gap.ends_at, gap.is_open) == (begins, NOW, True)


def test_points_are_in_order_and_inside_the_range() -> None:
    inside = every(10, 3, NOW - timedelta(hours=1))

    screen = chart.readings_screen(NOW, "6h", readings([*reversed(inside), NOW - timedelta(hours=7)]))

    assert [point.at for point in screen.points] == inside
    assert (screen.begins_at, screen.ends_at, screen.unit) == (NOW - timedelta(hours=6), NOW, "mg/L")


def test_a_device_shows_what_it_measures_before_its_battery_and_its_radio() -> None:
    def resource(path: str, value: object) -> dict[str, object]:
        return {"path": path, "name": path, "value": value}

    objects = [
        heard.Object.model_validate(
            {"object": number, "name": name, "instances": [{"instance": 0, "resources": resources}]}
        )
        for number, name, resources in (
            (3, "Device", [resource("/3/0/9", 71), resource("/3/0/3", "2.8.1")]),
            (4, "Connectivity", [resource("/4/0/2", -90)]),
            (3300, "Dissolved oxygen", [resource("/3300/0/5700", 8.4), resource("/3300/0/5601", 7.1)]),
        )
    ]

    series = chart.series_of(objects)

    assert [each.path for each in series] == ["/3300/0/5700", "/3/0/9", "/4/0/2"]
    assert series[0].name == "Dissolved oxygen"


def test_a_camera_on_mains_has_no_chart_of_its_battery() -> None:
    camera = heard.Object.model_validate(
        {"object": 3, "instances": [{"instance": 0, "resources": [{"path": "/3/0/9", "value": None}]}]}
    )

    assert chart.series_of([camera]) == []


def test_a_generic_sensor_is_called_what_it_says_that_it_measures() -> None:
    def resource(number: int, value: str | float | None) -> heard.Resource:
        return heard.Resource(path=f"/3300/0/{number}", name="Sensor Value", units="", value=value)

    told = [resource(5700, 32.3), resource(5701, "PSU"), resource(5750, "Salinity")]
    silent = [resource(5700, 32.3), resource(5701, None)]

    series = chart.series_of(
        [
            heard.Object(object=3300, name="Generic Sensor", instances=[heard.Instance(instance=0, resources=said)])
            for said in (told, silent)
        ]
    )

    assert [(one.name, one.unit, one.value) for one in series] == [
        ("Salinity", "PSU", 32.3),
        ("Generic Sensor", "", 32.3),
    ]
