"""What is wrong with a device, from its record alone."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.events.severity import Severity
from shoal.health.record import Battery, BatteryLevel, Drift, HealthRecord, PlaceDispute, Presence, Update
from shoal.health.rules import (
    BATTERY_DEADBAND_PERCENT,
    BATTERY_LEVELS_MAX,
    ERROR_SEVERITIES,
    charged,
    findings,
    next_battery,
    next_change,
)
from shoal.health.silence import Pause, late_at, silent_at
from shoal.health.vitals import ERROR_CODE_MAX, Vitals

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def record(*, judged: float = 0, heard: bool = True, **more: object) -> HealthRecord:
    """A camera that reports every 5 s with a lifetime of 30 s and a grace of 15 s, last heard at noon."""
    presence = Presence(heard_at=NOON if heard else None, registration="reg-1", registered_at=NOON, lifetime_s=30)
    well = HealthRecord(
        device="dev-1",
        tenant="ten-1",
        enclosure="enc-1",
        judged_at=NOON + seconds(judged),
        report_every_s=5,
        grace_s=15,
        presence=presence,
    )
    return msgspec.structs.replace(well, **more)


def asleep(record: HealthRecord) -> HealthRecord:
    return msgspec.structs.replace(record, presence=msgspec.structs.replace(record.presence, queue_mode=True))


# -- late and silent ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("judged", "condition"), [(14.999, None), (15, "late:"), (44.999, "late:"), (45, "silent:"), (9_999, "silent:")]
)
def test_a_camera_is_late_then_silent_and_never_both(judged: float, condition: str | None) -> None:
    assert list(findings(record(judged=judged))) == ([condition] if condition else [])


def test_a_sleeper_has_two_reports_and_the_grace() -> None:
    assert list(findings(asleep(record(judged=24.9)))) == []
    assert list(findings(asleep(record(judged=25)))) == ["late:"]
    assert list(findings(asleep(record(judged=45)))) == ["silent:"]


def test_silence_is_graver_than_lateness_and_both_began_with_the_last_word() -> None:
    late, silent = findings(record(judged=20))["late:"], findings(record(judged=50))["silent:"]

    assert (late.severity, silent.severity) == (Severity.WARNING, Severity.HIGH)
    assert late.since == silent.since == NOON
    assert (late.onset, silent.onset) == (NOON + seconds(15), NOON + seconds(45))


def test_a_device_that_was_never_heard_is_new_not_silent() -> None:
    assert findings(record(judged=9_999, heard=False)) == {}
    assert next_change(record(judged=9_999, heard=False)) is None


def test_an_outage_of_ours_moves_both_deadlines() -> None:
    pauses = [Pause(NOON + seconds(10), NOON + seconds(610))]

    assert findings(record(judged=629), pauses) == {}
    assert list(findings(record(judged=630), pauses)) == ["late:"]
    assert list(findings(record(judged=660), pauses)) == ["silent:"]


@given(judged=st.floats(0, 3_600), outage=st.none() | st.tuples(st.floats(-60, 3_000), st.floats(11, 600)))
def test_time_alone_changes_what_holds_only_at_the_moments_that_were_announced(
    judged: float, outage: tuple[float, float] | None
) -> None:
    pauses = [Pause(NOON + seconds(outage[0]), NOON + seconds(sum(outage)))] if outage else []
    now = record(judged=judged)

    at = next_change(now, pauses)

    before = set(findings(now, pauses))
    if at is None:
        assert before == {"silent:"}
        return
    assert at > now.judged_at
    just_before = msgspec.structs.replace(now, judged_at=max(now.judged_at, at - timedelta(microseconds=1)))
    assert set(findings(just_before, pauses)) == before
    assert set(findings(msgspec.structs.replace(now, judged_at=at), pauses)) != before


@given(st.floats(0, 3_600), st.booleans())
def test_deadlines_and_findings_agree(judged: float, sleeps: bool) -> None:
    now = asleep(record(judged=judged)) if sleeps else record(judged=judged)
    late, silent = late_at(now.expectation, NOON), silent_at(now.expectation, NOON)
    assert late is not None
    assert silent is not None

    assert ("silent:" in findings(now)) == (now.judged_at >= silent)
    assert ("late:" in findings(now)) == (late <= now.judged_at < silent)


# -- deregistered, updating --------------------------------------------------------------------------------------------


def test_who_said_goodbye_is_not_silent_but_is_missed_after_a_while() -> None:
    gone = record(judged=9_999)
    gone = msgspec.structs.replace(gone, presence=msgspec.structs.replace(gone.presence, deregistered_at=NOON))

    [found] = findings(gone).values()
    [sleeper] = findings(asleep(gone)).values()

    assert (found.condition, found.severity, found.onset) == ("deregistered", Severity.WARNING, NOON)
    assert (found.on_delay, sleeper.on_delay) == (seconds(25), seconds(2.5))
    assert next_change(gone) is None


def update(state: str, *, reason: str = "", deadline: float | None = 300) -> Update:
    return Update(
        update="upd-1",
        name="fish-count",
        version="2.2.0",
        state=state,
        reason=reason,
        since=NOON,
        deadline=None if deadline is None else NOON + seconds(deadline),
    )


def test_a_device_that_installs_may_be_away_until_its_deadline() -> None:
    away = record(judged=299, update=update("installing"))
    lost = record(judged=300, update=update("installing"))

    assert findings(away) == {}
    assert next_change(away) == NOON + seconds(300)
    assert findings(lost)["silent:"].verdict.cause == "lost_in_update"


@pytest.mark.parametrize("state", ["downloading", "confirmed"])
def test_in_other_states_of_an_update_it_must_be_heard(state: str) -> None:
    assert list(findings(record(judged=50, update=update(state)))) == ["silent:"]


@pytest.mark.parametrize(
    ("state", "severity", "says"),
    [
        ("failed", Severity.WARNING, "The update to fish-count 2.2.0 failed: bad digest."),
        ("rolled_back", Severity.WARNING, "The update to fish-count 2.2.0 was rolled back by the device: bad digest."),
        ("needs_attention", Severity.HIGH, "The update to fish-count 2.2.0 needs a person: bad digest."),
    ],
)
def test_an_update_that_failed_holds_until_the_next_success(state: str, severity: Severity, says: str) -> None:
    [found] = findings(record(failed_update=update(state, reason="bad digest"))).values()

    assert (found.condition, found.severity, found.verdict.says) == ("update_failed", severity, says)
    assert found.verdict.cause == f"update_{state}"


def test_a_version_that_no_update_of_ours_brought_holds_until_it_is_gone() -> None:
    drift = Drift(kind="model", name="fish-count", version="2.1.0", reported="2.0.3", since=NOON)

    [found] = findings(record(drifts={"model": drift})).values()

    assert (found.key, found.severity) == ("version_drift:model", Severity.WARNING)
    assert found.verdict.says == (
        "It runs the model fish-count 2.0.3 instead of 2.1.0, and no update of ours did that."
    )
    assert findings(record()) == {}


# -- batteries ---------------------------------------------------------------------------------------------------------


def drained(*percents: float) -> Battery:
    battery = Battery()
    for number, percent in enumerate(percents):
        battery = next_battery(battery, BatteryLevel(NOON + seconds(number), percent), record())
    return battery


@pytest.mark.parametrize(
    ("percents", "severity"),
    [
        ((25, 25), None),
        ((25, 26, 25, 25), None),
        ((25, 25, 25), Severity.WARNING),
        ((10, 10), None),
        ((10, 10, 10), Severity.HIGH),
        ((20, 9, 9), Severity.WARNING),
        ((25, 25, 25, 32.9), Severity.WARNING),
        ((25, 25, 25, 33), None),
        ((10, 10, 10, 17.9), Severity.HIGH),
        ((10, 10, 10, 18), Severity.WARNING),
        ((10, 10, 10, 33), None),
        ((10, 10, 10, 18, 26), Severity.WARNING),
    ],
)
def test_a_battery_is_low_after_three_readings_and_well_above_the_deadband(
    percents: tuple[float, ...], severity: Severity | None
) -> None:
    assert drained(*percents).severity is severity


def test_it_is_low_since_the_reading_that_made_it_so() -> None:
    assert drained(25, 25, 25, 24, 9, 9, 9).since == NOON + seconds(2)
    assert drained(25, 25, 25, 90).since is None


@given(st.lists(st.floats(0, 100), max_size=60))
def test_a_battery_changes_its_mind_only_across_the_deadband(percents: list[float]) -> None:
    battery, lows = Battery(), 0
    for number, percent in enumerate(percents):
        before = battery.severity
        battery = next_battery(battery, BatteryLevel(NOON + seconds(number), percent), record())
        lows = lows + 1 if percent <= record().battery_warning else 0
        if before is None and battery.severity is not None:
            assert lows >= record().samples
        if before is not None and battery.severity is None:
            assert percent >= record().battery_warning + BATTERY_DEADBAND_PERCENT
        assert (battery.severity is None) == (battery.since is None)
        assert len(battery.levels) <= BATTERY_LEVELS_MAX
        assert battery.levels[-1].percent == percent


def test_equal_levels_in_a_row_are_kept_as_their_first_and_last() -> None:
    battery = drained(50, 50, 50, 50, 49, 49, 49)

    assert [(level.at - NOON, level.percent) for level in battery.levels] == [
        (seconds(0), 50),
        (seconds(3), 50),
        (seconds(4), 49),
        (seconds(6), 49),
    ]


def test_each_battery_is_found_with_its_evidence_newest_first() -> None:
    both = record(batteries={"": drained(9, 8, 7), "3411/0": drained(20, 20, 20), "3411/1": drained(90)})

    found = findings(both)

    assert {key: finding.severity for key, finding in found.items()} == {
        "battery_low:": Severity.HIGH,
        "battery_low:3411/0": Severity.WARNING,
    }
    assert found["battery_low:"].verdict.says == "Battery at 7 %, 10 % or less in 3 readings."
    assert [fact.says for fact in found["battery_low:"].verdict.evidence] == [
        "Battery at 7 %.",
        "Battery at 8 %.",
        "Battery at 9 %.",
    ]


def test_a_battery_that_is_charging_or_not_there_is_not_low() -> None:
    assert findings(record(batteries={"": charged(drained(5, 5, 5))})) == {}
    assert findings(record(batteries={"": drained(5, 5, 5)}, vitals=Vitals(has_battery=False))) == {}


# -- error codes and place ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", range(1, ERROR_CODE_MAX + 1))
@pytest.mark.parametrize("sleeps", [True, False])
def test_every_error_code_is_one_condition(code: int, sleeps: bool) -> None:
    faulty = record(vitals=Vitals(at=NOON, error_codes=(code,)), codes_since={str(code): NOON})
    faulty = asleep(faulty) if sleeps else faulty

    [found] = findings(faulty).values()

    if code == 2 and not sleeps:
        assert (found.condition, found.instance, found.severity) == ("supply_lost", "", Severity.HIGH)
        assert (found.on_delay, found.off_delay) == (seconds(2.5), seconds(5))
    else:
        assert (found.condition, found.instance) == ("error_code", str(code))
        assert found.severity is ERROR_SEVERITIES.get(code, Severity.WARNING)
        assert (found.on_delay, found.off_delay) == (seconds(0), seconds(0))


@pytest.mark.parametrize(
    ("state", "severity", "says"),
    [
        ("mismatch", Severity.WARNING, "It says it is in enc-9, but it is listed in enc-1."),
        ("unknown", Severity.WARNING, "It says it is in enc-9, which does not exist."),
        ("foreign", Severity.HIGH, "It says it is in enc-9, which is not yours. Its readings are kept apart."),
    ],
)
def test_a_dispute_about_the_place_is_a_condition(state: str, severity: Severity, says: str) -> None:
    disputed = record(dispute=PlaceDispute(state=state, claimed="enc-9", since=NOON))

    [found] = findings(disputed).values()

    assert (found.condition, found.severity, found.verdict.says) == ("place_mismatch", severity, says)


def test_a_device_without_enclosure_is_listed_in_none() -> None:
    disputed = record(dispute=PlaceDispute(state="mismatch", claimed="enc-9", since=NOON), enclosure=None)

    assert findings(disputed)["place_mismatch:"].verdict.says.endswith("listed in no enclosure.")
