"""How long each part may take, for a camera on mains and for a probe that sleeps."""

from datetime import timedelta

from shoal.campaigns.facts import DeviceFacts
from shoal.campaigns.timers import Timers

CAMERA = DeviceFacts(device="dev-1", tenant="ten-1", lifetime_s=300, report_every_s=60)
PROBE = DeviceFacts(device="dev-2", tenant="ten-1", lifetime_s=7_200, report_every_s=1_800, queue_mode=True)


def test_the_defaults_of_a_mains_camera() -> None:
    timers = Timers.of(CAMERA, size=1_000)

    assert timers == Timers(
        patience=timedelta(hours=24),
        start=timedelta(minutes=5),
        stall=timedelta(minutes=10),
        download=timedelta(hours=1),
        install=timedelta(minutes=15),
        return_by=timedelta(minutes=15, seconds=300 + 247),
        soak=timedelta(minutes=30),
        poll=timedelta(minutes=1),
    )


def test_the_defaults_of_a_probe_that_sleeps() -> None:
    timers = Timers.of(PROBE, size=1_000)

    assert (timers.patience, timers.start, timers.stall) == (
        timedelta(hours=24),
        timedelta(hours=1),
        timedelta(minutes=90),
    )
    assert timers.return_by == timedelta(minutes=90, seconds=7_200 + 720)
    assert timers.soak == timedelta(minutes=90)


def test_a_device_of_which_nothing_is_known_counts_as_its_kind() -> None:
    unknown = DeviceFacts(device="dev-3", tenant="ten-1", lifetime_s=300)

    assert Timers.of(unknown, size=1_000) == Timers.of(CAMERA, size=1_000)


def test_a_large_file_over_a_slow_link_may_take_longer() -> None:
    assert Timers.of(CAMERA, size=64 * 1_024 * 1_024).download == timedelta(seconds=1_048_576)


def test_the_grace_of_the_profile_goes_before_ours() -> None:
    facts = DeviceFacts(device="dev-1", tenant="ten-1", lifetime_s=30, report_every_s=10, grace_s=10)

    assert Timers.of(facts, size=1).return_by == timedelta(seconds=150 + 30 + 10)


def test_the_pauses_between_downloads_grow_and_then_stay() -> None:
    timers = Timers.of(CAMERA, size=1)

    assert [timers.retry_after(attempt) for attempt in range(6)] == [
        timedelta(),
        timedelta(minutes=15),
        timedelta(hours=1),
        timedelta(hours=4),
        timedelta(hours=4),
        timedelta(hours=4),
    ]
