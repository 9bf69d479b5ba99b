"""From what a device sent to rows that can be charted."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from shoal.events.device import Reading, ReadingsReported, Scalar
from shoal.history.readings import (
    AHEAD_MAX,
    BEHIND_MAX,
    TEXT_CHARACTERS_MAX,
    Sample,
    distinct,
    is_cut,
    newest,
    samples,
    taken_at,
)

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def report(*values: tuple[str, Scalar, float | None], device: str | None = "dev-1") -> ReadingsReported:
    readings = [Reading(path=path, value=value, time=time) for path, value, time in values]
    return ReadingsReported(id="r-1", time=NOON, device=device, via="send", readings=readings)


def sample(value: float, *, after: timedelta = timedelta(), path: str = "/3303/0/5700") -> Sample:
    return Sample("dev-1", path, NOON + after, value, None, value)


def test_numbers_can_be_drawn_and_texts_are_kept_as_they_are() -> None:
    taken = list(samples(report(("/3303/0/5700", 8.1, None), ("/3/0/3", "1.4", None), ("/3/0/6", True, None))))

    assert taken == [
        Sample("dev-1", "/3303/0/5700", NOON, 8.1, None, 8.1),
        Sample("dev-1", "/3/0/3", NOON, None, "1.4", "1.4"),
        Sample("dev-1", "/3/0/6", NOON, 1.0, None, True),
    ]


def test_what_json_does_not_tell_of_a_value_stays_with_it() -> None:
    readings = [
        Reading(path="/49000/0/3", value="AAEC", kind="opaque"),
        Reading(path="/49000/0/4", value=1_764_000_000, kind="time"),
        Reading(path="/49000/0/5", value="AAEC"),
    ]
    event = ReadingsReported(id="r-1", time=NOON, device="dev-1", via="send", readings=readings)

    assert [(one.raw, one.kind) for one in samples(event)] == [
        ("AAEC", "opaque"),
        (1_764_000_000, "time"),
        ("AAEC", None),
    ]


def test_what_says_nothing_or_comes_from_nobody_is_left_out() -> None:
    assert list(samples(report(("/3303/0/5700", None, None)))) == []
    assert list(samples(report(("/3303/0/5700", 8.1, None), device=None))) == []


def test_whose_clock_a_moment_is_by_is_kept() -> None:
    hour_ago, never_set = (NOON - timedelta(hours=1)).timestamp(), 12.0
    report_ = report(("/1/0/1", 1, hour_ago), ("/1/0/2", 2, None), ("/1/0/3", 3, never_set))

    assert [(one.path, one.is_device_time) for one in samples(report_)] == [
        ("/1/0/1", True),
        ("/1/0/2", False),
        ("/1/0/3", False),
    ]


def test_a_text_has_a_bound() -> None:
    [taken] = samples(report(("/3/0/3", "x" * 5_000, None)))

    assert taken.text == taken.raw == "x" * TEXT_CHARACTERS_MAX


def test_of_a_text_that_fills_its_room_only_the_beginning_is_known() -> None:
    longer, shorter = samples(report(("/3/0/3", "x" * 5_000, None), ("/3/0/2", "x" * (TEXT_CHARACTERS_MAX - 1), None)))

    assert is_cut(longer.raw)
    assert not is_cut(shorter.raw)
    assert not is_cut(10**TEXT_CHARACTERS_MAX)


@pytest.mark.parametrize(
    ("device_time", "taken"),
    [
        (None, NOON),
        (NOON - timedelta(hours=5), NOON - timedelta(hours=5)),
        (NOON + AHEAD_MAX, NOON + AHEAD_MAX),
        (NOON + AHEAD_MAX + timedelta(seconds=1), NOON),
        (NOON - BEHIND_MAX, NOON - BEHIND_MAX),
        (NOON - BEHIND_MAX - timedelta(seconds=1), NOON),
        (datetime(1970, 1, 1, 0, 3, tzinfo=UTC), NOON),
    ],
)
def test_the_clock_of_a_device_counts_when_it_can_be_right(device_time: datetime | None, taken: datetime) -> None:
    assert taken_at(device_time.timestamp() if device_time else None, NOON) == taken


@pytest.mark.parametrize("absurd", [1e300, -1e300, 1e18])
def test_no_number_of_a_device_breaks_the_clock(absurd: float) -> None:
    assert taken_at(absurd, NOON) == NOON


def test_the_newest_of_each_path_wins_and_of_equal_times_the_last() -> None:
    other = sample(1, path="/3327/0/5700")
    late, early, twin = sample(3, after=MILLISECOND), sample(2), msgspec.structs.replace(sample(4, after=MILLISECOND))

    assert newest([late, early, other, twin]) == [twin, other]


def test_a_chart_cannot_show_two_readings_of_one_millisecond() -> None:
    same = sample(2, after=MILLISECOND / 2)

    assert distinct([sample(1), same, sample(3, after=MILLISECOND)]) == [same, sample(3, after=MILLISECOND)]
