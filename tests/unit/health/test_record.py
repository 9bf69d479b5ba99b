"""The health record: what we expect of a device, and what it survives."""

from datetime import UTC, datetime, timedelta

import msgspec

from shoal.health.coverage import Quantity
from shoal.health.record import AWAKE_WINDOW, HealthRecord, Presence, with_profile
from tests.harness.voices import Voice

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def record(**more: object) -> HealthRecord:
    return msgspec.structs.replace(HealthRecord(device="dev-1", tenant="ten-1", judged_at=NOON), **more)


def test_before_the_inventory_says_more_we_expect_what_its_kind_of_device_usually_does() -> None:
    asleep = record(presence=Presence(queue_mode=True, lifetime_s=7_200)).expectation
    awake = record(presence=Presence(lifetime_s=300)).expectation

    assert (asleep.report_every, asleep.grace) == (30 * MINUTE, 12 * MINUTE)
    assert (awake.report_every, awake.grace) == (MINUTE, timedelta(seconds=247))


def test_the_profile_of_the_inventory_holds_and_an_older_one_does_not() -> None:
    voice = Voice()
    newer = with_profile(record(), voice.profiled(NOON, report_every_s=5, grace_s=15, samples=2, battery_warning=40))
    after = with_profile(newer, voice.profiled(NOON - MINUTE, report_every_s=900))

    assert after == newer
    assert (after.expectation.report_every, after.expectation.grace) == (timedelta(seconds=5), timedelta(seconds=15))
    assert (after.kind, after.samples, after.battery_warning) == ("camera", 2, 40)


def test_a_grace_of_nothing_is_not_the_usual_grace() -> None:
    assert record(grace_s=0.0).expectation.grace == timedelta()


def test_a_camera_watches_the_water_with_its_lens_alone() -> None:
    objects = ("3", "3303", "26242")

    assert record(kind="camera", objects=objects).measures == {Quantity.VIDEO}
    assert record(objects=("3", "3303"), described=(Quantity.OXYGEN,)).measures == {
        Quantity.TEMPERATURE,
        Quantity.OXYGEN,
    }


def test_only_a_device_that_sleeps_is_awake_until_some_moment() -> None:
    assert record(presence=Presence(heard_at=NOON)).awake_until is None
    assert record(presence=Presence(queue_mode=True)).awake_until is None
    assert record(presence=Presence(queue_mode=True, heard_at=NOON)).awake_until == NOON + AWAKE_WINDOW


def test_a_record_survives_the_database() -> None:
    voice = Voice()
    full = with_profile(record(presence=Presence(heard_at=NOON)), voice.profiled(NOON))

    assert msgspec.json.decode(msgspec.json.encode(full), type=HealthRecord) == full
