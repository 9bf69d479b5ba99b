"""Silence with a cause: the first that holds wins, and what was ruled out is said."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from shoal.health.record import Battery, BatteryLevel, HealthRecord, Presence, Refusals, Update
from shoal.health.silence import Pause
from shoal.health.verdict import quiet_verdict, slope_per_day, words
from shoal.health.vitals import Vitals

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

OUTAGE = [Pause(NOON + MINUTE, NOON + 5 * MINUTE)]
UPDATE = Update(
    update="upd-1",
    name="firmware",
    version="2.0",
    state="installing",
    reason="",
    since=NOON + MINUTE,
    deadline=NOON + 30 * MINUTE,
)
REFUSALS = Refusals(reason="bad_key", count=3, first_at=NOON + MINUTE, last_at=NOON + 2 * MINUTE, address="10.0.0.7")
EMPTY = {"": Battery(levels=(BatteryLevel(NOON - MINUTE, 4),))}
SUPPLY = Vitals(at=NOON, error_codes=(2,))


def record(*, sleeps: bool = False, **more: object) -> HealthRecord:
    presence = Presence(heard_at=NOON, registered_at=NOON - DAY, lifetime_s=3_600, queue_mode=sleeps)
    known = HealthRecord(device="dev-1", tenant="ten-1", judged_at=NOON, report_every_s=600, presence=presence)
    return msgspec.structs.replace(known, **more)


@pytest.mark.parametrize(
    ("known", "pauses", "cause", "ruled_out"),
    [
        (record(update=UPDATE, refusals=REFUSALS), OUTAGE, "our_outage", 0),
        (record(update=UPDATE, refusals=REFUSALS), (), "updating", 1),
        (record(refusals=REFUSALS, batteries=EMPTY), (), "handshake_refused", 2),
        (record(batteries=EMPTY, vitals=SUPPLY), (), "battery_empty", 3),
        (record(vitals=SUPPLY, sleeps=True), (), "supply_lost", 4),
        (record(sleeps=True), (), "asleep_as_planned", 5),
        (record(), (), "unknown", 7),
    ],
)
def test_the_first_cause_that_holds_wins(known: HealthRecord, pauses: list[Pause], cause: str, ruled_out: int) -> None:
    verdict = quiet_verdict(known, NOON + 6 * MINUTE, pauses)

    assert verdict.cause == cause
    assert len(verdict.ruled_out) == ruled_out
    assert verdict.says


def test_evidence_is_newest_first_and_tells_the_last_words_whatever_the_cause() -> None:
    verdict = quiet_verdict(record(refusals=REFUSALS), NOON + 6 * MINUTE)

    assert verdict.says == "It tries to connect and is refused (bad key), 3 times since it was last heard."
    assert [fact.says for fact in verdict.evidence] == [
        "Handshake refused: bad key, 3 times, from 10.0.0.7.",
        "Refused for the first time.",
        "Last heard.",
        "Registered with a lifetime of 1 h.",
    ]


def test_our_outage_is_the_cause_only_until_devices_had_time_to_come_back() -> None:
    grace = record().expectation.grace

    assert quiet_verdict(record(), OUTAGE[0].until + grace - MINUTE, OUTAGE).cause == "our_outage"
    assert quiet_verdict(record(), OUTAGE[0].until + grace, OUTAGE).cause == "unknown"
    heard_since = record(presence=Presence(heard_at=OUTAGE[0].until + MINUTE))
    assert quiet_verdict(heard_since, OUTAGE[0].until + 2 * MINUTE, OUTAGE).cause == "unknown"


def test_after_its_deadline_an_update_has_lost_the_device() -> None:
    assert quiet_verdict(record(update=UPDATE), NOON + 30 * MINUTE).cause == "lost_in_update"


def test_a_battery_that_was_running_out_counts_as_empty_when_its_slope_says_so() -> None:
    levels = tuple(BatteryLevel(NOON - 4 * DAY + n * DAY, 14.0 - n) for n in range(4))
    running_out = record(batteries={"": Battery(levels=levels[:-1])}, battery_high=12)

    assert slope_per_day(levels) == pytest.approx(-1)
    assert quiet_verdict(running_out, NOON + 3 * DAY).cause == "unknown"
    assert quiet_verdict(running_out, NOON + 15 * DAY).cause == "battery_empty"


def test_a_slope_needs_a_span_of_time() -> None:
    assert slope_per_day([]) == 0
    assert slope_per_day([BatteryLevel(NOON, 50)]) == 0
    assert slope_per_day([BatteryLevel(NOON, 50), BatteryLevel(NOON, 40)]) == 0


@pytest.mark.parametrize(("minutes", "says"), [(11, "1 of 6"), (25, "2 of 6"), (600, "6 of 6")])
def test_a_sleeper_missed_k_of_n_wake_ups(minutes: int, says: str) -> None:
    verdict = quiet_verdict(record(sleeps=True), NOON + minutes * MINUTE)

    assert verdict.cause == "missed_wake_up"
    assert says in verdict.says


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (45, "45 s"),
        (247, "4 min 7 s"),
        (7_920, "2 h 12 min"),
        (86_400 * 3, "3 d"),
        (3_661, "1 h 1 min"),
    ],
)
def test_spans_are_said_in_two_units_at_most(seconds: int, said: str) -> None:
    assert words(timedelta(seconds=seconds)) == said
