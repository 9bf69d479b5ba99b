"""What is wrong with a device now: one function for each condition, asked of its health record.

Thresholds, delays and clear rules are engineering defaults (docs/architecture.md, health); all times come from the
device's profile and registration, so that a demonstration runs by the same rules as a farm.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from shoal.events.condition import Evidence, Verdict
from shoal.events.severity import Severity
from shoal.health.episode import Finding
from shoal.health.record import Battery, BatteryLevel, HealthRecord
from shoal.health.silence import Pause, late_at, silent_at
from shoal.health.verdict import ERROR_SUPPLY_OFF, STATES_AWAY, quiet_verdict

# Above the threshold by this much, a battery is well again: cold water makes a level dip and come back.
BATTERY_DEADBAND_PERCENT: Final = 8
# Levels kept for a trend. Equal ones in a row are kept as their first and last, so 16 reach back for weeks.
BATTERY_LEVELS_MAX: Final = 16
# De-registered for longer than a reboot or an update takes: half a report of a sleeper, five of a mains device.
DEREGISTERED_REPORTS_ASLEEP: Final = 0.5
DEREGISTERED_REPORTS_AWAKE: Final = 5

# Object 3 v1.2, resource 11. Codes 16 to 32 are the manufacturer's.
ERROR_WORDS: Final = {
    1: ("low_battery", "low battery power"),
    2: ("supply_off", "external power supply off"),
    3: ("gps_failure", "GPS failure"),
    4: ("weak_signal", "low received signal strength"),
    5: ("out_of_memory", "out of memory"),
    6: ("sms_failure", "SMS failure"),
    7: ("ip_failure", "IP connectivity failure"),
    8: ("peripheral_failure", "peripheral malfunction"),
}
ERROR_SEVERITIES: Final = {
    1: Severity.WARNING,
    2: Severity.INFORMATIONAL,
    3: Severity.INFORMATIONAL,
    4: Severity.WARNING,
    5: Severity.HIGH,
    6: Severity.INFORMATIONAL,
    7: Severity.WARNING,
    8: Severity.HIGH,
}
PLACE_SEVERITIES: Final = {
    "mismatch": Severity.WARNING,
    "unknown": Severity.WARNING,
    "foreign": Severity.HIGH,
}
UPDATE_SEVERITIES: Final = {
    "failed": Severity.WARNING,
    "rolled_back": Severity.WARNING,
    "needs_attention": Severity.HIGH,
}


def findings(record: HealthRecord, pauses: Sequence[Pause] = ()) -> dict[str, Finding]:
    """All conditions that hold at the moment up to which the device is judged, by their key."""
    every = (
        *_presence(record, pauses),
        *_batteries(record),
        *_error_codes(record),
        *_place(record),
        *_update(record),
        *_drifts(record),
    )
    return {finding.key: finding for finding in every}


def next_change(record: HealthRecord, pauses: Sequence[Pause] = ()) -> datetime | None:
    """When time alone may change what holds: the next deadline after the moment the device was judged at."""
    presence = record.presence
    if presence.heard_at is None or presence.deregistered_at is not None:
        return None
    deadlines = (
        late_at(record.expectation, presence.heard_at, pauses),
        silent_at(record.expectation, presence.heard_at, pauses),
        record.update.deadline if _is_away_for_update(record) and record.update else None,
    )
    return min((at for at in deadlines if at is not None and at > record.judged_at), default=None)


def _presence(record: HealthRecord, pauses: Sequence[Pause]) -> Iterator[Finding]:
    """At most one of deregistered, silent, late. A device that was never heard is new, not silent."""
    presence, now = record.presence, record.judged_at
    if presence.heard_at is None or _is_away_for_update(record):
        return
    if presence.deregistered_at is not None:
        yield _deregistered(record, presence.deregistered_at)
        return
    silent = silent_at(record.expectation, presence.heard_at, pauses)
    late = late_at(record.expectation, presence.heard_at, pauses)
    if silent is not None and now >= silent:
        condition, severity, onset = "silent", Severity.HIGH, silent
    elif late is not None and now >= late:
        condition, severity, onset = "late", Severity.WARNING, late
    else:
        return
    yield Finding(
        condition=condition,
        severity=severity,
        onset=onset,
        since=presence.heard_at,
        verdict=quiet_verdict(record, now, pauses),
    )


def _deregistered(record: HealthRecord, at: datetime) -> Finding:
    asleep = record.presence.queue_mode
    reports = DEREGISTERED_REPORTS_ASLEEP if asleep else DEREGISTERED_REPORTS_AWAKE
    return Finding(
        condition="deregistered",
        severity=Severity.WARNING,
        onset=at,
        since=at,
        verdict=Verdict(
            cause="deregistered",
            says="It said goodbye, nobody asked it to, and it has not come back.",
            evidence=[Evidence(at=at, says="De-registered.")],
        ),
        on_delay=record.expectation.report_every * reports,
    )


def _is_away_for_update(record: HealthRecord) -> bool:
    update = record.update
    if update is None or update.state not in STATES_AWAY or update.deadline is None:
        return False
    return record.judged_at < update.deadline


def _batteries(record: HealthRecord) -> Iterator[Finding]:
    for instance, battery in record.batteries.items():
        if battery.severity is None or battery.since is None or not record.vitals.has_battery:
            continue
        last = battery.levels[-1]
        threshold = record.battery_high if battery.severity is Severity.HIGH else record.battery_warning
        yield Finding(
            condition="battery_low",
            instance=instance,
            severity=battery.severity,
            onset=battery.since,
            since=battery.since,
            verdict=Verdict(
                cause="battery_low",
                says=f"Battery at {last.percent:.0f} %, {threshold:.0f} % or less in {record.samples} readings.",
                evidence=[
                    Evidence(at=level.at, says=f"Battery at {level.percent:.0f} %.")
                    for level in reversed(battery.levels[-5:])
                ],
            ),
        )


def next_battery(battery: Battery, level: BatteryLevel, record: HealthRecord) -> Battery:
    """The battery after one more reading: low after `samples` in a row, well again only above the deadband."""
    below_warning = battery.below_warning + 1 if level.percent <= record.battery_warning else 0
    below_high = battery.below_high + 1 if level.percent <= record.battery_high else 0
    severity = _battery_severity(battery, level.percent, below_warning, below_high, record)
    since = battery.since
    if severity is None:
        since = None
    elif since is None:
        since = level.at
    return Battery(
        levels=_with_level(battery.levels, level),
        below_warning=min(below_warning, record.samples),
        below_high=min(below_high, record.samples),
        severity=severity,
        since=since,
    )


def _battery_severity(
    battery: Battery, percent: float, below_warning: int, below_high: int, record: HealthRecord
) -> Severity | None:
    if below_high >= record.samples:
        return Severity.HIGH
    if battery.severity is Severity.HIGH and percent < record.battery_high + BATTERY_DEADBAND_PERCENT:
        return Severity.HIGH
    if below_warning >= record.samples:
        return Severity.WARNING
    if battery.severity is not None and percent < record.battery_warning + BATTERY_DEADBAND_PERCENT:
        return Severity.WARNING
    return None


def charged(battery: Battery) -> Battery:
    """The battery once the device says that it charges: whatever the level, it is being looked after."""
    return msgspec.structs.replace(battery, below_warning=0, below_high=0, severity=None, since=None)


def _with_level(levels: tuple[BatteryLevel, ...], level: BatteryLevel) -> tuple[BatteryLevel, ...]:
    is_run = len(levels) >= 2 and levels[-1].percent == levels[-2].percent == level.percent
    kept = levels[:-1] if is_run else levels
    return (*kept, level)[-BATTERY_LEVELS_MAX:]


def _error_codes(record: HealthRecord) -> Iterator[Finding]:
    for code in record.vitals.error_codes:
        since = record.codes_since.get(str(code))
        if since is None:
            continue
        cause, says = ERROR_WORDS.get(code, (f"error_{code}", f"error {code} of its manufacturer"))
        on_delay = off_delay = timedelta()
        condition, instance, severity = "error_code", str(code), ERROR_SEVERITIES.get(code, Severity.WARNING)
        if code == ERROR_SUPPLY_OFF and not record.presence.queue_mode:
            # A device that lives on mains power: the first sign of a farm's power loss, if it lasts.
            every = record.expectation.report_every
            condition, instance, severity = "supply_lost", "", Severity.HIGH
            on_delay, off_delay = every / 2, every
        yield Finding(
            condition=condition,
            instance=instance,
            severity=severity,
            onset=since,
            since=since,
            verdict=Verdict(
                cause=cause,
                says=f"It reports {says}.",
                evidence=[Evidence(at=since, says=f"Error code {code}: {says}.")],
            ),
            on_delay=on_delay,
            off_delay=off_delay,
        )


def _place(record: HealthRecord) -> Iterator[Finding]:
    dispute = record.dispute
    if dispute is None:
        return
    claimed = dispute.claimed_name or dispute.claimed or "nowhere"
    listed = dispute.enclosure_name or record.enclosure or "no enclosure"
    says = {
        "mismatch": f"It says it is in {claimed}, but it is listed in {listed}.",
        "unknown": f"It says it is in {claimed}, which does not exist.",
        "foreign": f"It says it is in {claimed}, which is not yours. Its readings are kept apart.",
    }.get(dispute.state, f"It says it is in {claimed}.")
    yield Finding(
        condition="place_mismatch",
        severity=PLACE_SEVERITIES.get(dispute.state, Severity.WARNING),
        onset=dispute.since,
        since=dispute.since,
        verdict=Verdict(
            cause=f"place_{dispute.state}", says=says, evidence=[Evidence(at=dispute.since, says=f"Claims {claimed}.")]
        ),
    )


def _update(record: HealthRecord) -> Iterator[Finding]:
    update = record.failed_update
    if update is None:
        return
    how = {
        "failed": "failed",
        "rolled_back": "was rolled back by the device",
        "needs_attention": "needs a person",
    }[update.state]
    because = f": {update.reason}" if update.reason else ""
    yield Finding(
        condition="update_failed",
        severity=UPDATE_SEVERITIES[update.state],
        onset=update.since,
        since=update.since,
        verdict=Verdict(
            cause=f"update_{update.state}",
            says=f"The update to {update.name} {update.version} {how}{because}.",
            evidence=[
                Evidence(at=update.since, says=f"Update {update.update} ended: {update.state.replace('_', ' ')}.")
            ],
        ),
    )


def _drifts(record: HealthRecord) -> Iterator[Finding]:
    for kind, drift in record.drifts.items():
        what = "firmware" if kind == "firmware" else f"the model {drift.name}"
        yield Finding(
            condition="version_drift",
            instance=kind,
            severity=Severity.WARNING,
            onset=drift.since,
            since=drift.since,
            verdict=Verdict(
                cause="version_drift",
                says=f"It runs {what} {drift.reported} instead of {drift.version}, and no update of ours did that.",
                evidence=[Evidence(at=drift.since, says=f"Reported {drift.reported}.")],
            ),
        )
