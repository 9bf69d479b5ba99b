"""The clock that tests own."""

from datetime import UTC, datetime, timedelta

from shoal.clock import FakeClock, SystemClock, truncate


def test_a_fake_clock_goes_on_only_when_told() -> None:
    clock = FakeClock(datetime(2026, 11, 1, 6, 0, tzinfo=UTC))

    assert clock.now() == clock.now()

    clock.advance(timedelta(minutes=4))

    assert clock.now() == datetime(2026, 11, 1, 6, 4, tzinfo=UTC)
    assert clock.monotonic_s() == 240.0


def test_the_system_clock_speaks_utc_in_whole_milliseconds() -> None:
    now = SystemClock().now()

    assert now.tzinfo is UTC
    assert now.microsecond % 1000 == 0


def test_truncating_never_rounds_up() -> None:
    assert truncate(datetime(2026, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC)).microsecond == 999_000
