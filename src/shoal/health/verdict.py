"""Silence with a cause: why a device is quiet, with the evidence, and what was ruled out.

The causes are asked in a fixed order and the first that holds wins (docs/architecture.md, health).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from shoal.events.condition import Evidence, Verdict
from shoal.health.record import BatteryLevel, HealthRecord
from shoal.health.silence import Pause, expected_by, wakes_missed, wakes_until_silent

# A battery that reported this little is taken for empty once the device says nothing any more.
BATTERY_EMPTY_PERCENT: Final = 5
# /3/0/11, code 2: external power supply off.
ERROR_SUPPLY_OFF: Final = 2
# States of an update in which the device is expected to be away for a while.
STATES_AWAY: Final = frozenset({"installing"})


def quiet_verdict(record: HealthRecord, now: datetime, pauses: Sequence[Pause] = ()) -> Verdict:
    """Why the device says nothing at `now`: the first cause that holds, or `unknown` with all that was checked."""
    quiet = _Quiet(record, now, pauses)
    ruled_out: list[str] = []
    for name, ask in _CAUSES:
        found = ask(quiet)
        if found is not None:
            cause, says, evidence = found
            facts = sorted([*evidence, *_last_words(record)], key=lambda fact: fact.at, reverse=True)
            return Verdict(cause=cause, says=says, evidence=facts, ruled_out=ruled_out)
        ruled_out.append(name)
    return Verdict(
        cause="unknown",
        says="No reason is known.",
        evidence=sorted(_last_words(record), key=lambda fact: fact.at, reverse=True),
        ruled_out=ruled_out,
    )


@dataclass(frozen=True, slots=True)
class _Quiet:
    """What every cause is asked about."""

    record: HealthRecord
    now: datetime
    pauses: Sequence[Pause]


# The stable word, the sentence, what speaks for it; None: this is not the cause.
_Found: TypeAlias = tuple[str, str, list[Evidence]] | None


def _our_outage(quiet: _Quiet) -> _Found:
    heard = quiet.record.presence.heard_at
    grace = quiet.record.expectation.grace
    for pause in reversed(quiet.pauses):
        if (heard is None or pause.until > heard) and quiet.now < pause.until + grace:
            says = f"We heard nobody for {words(pause.until - pause.since)}; devices find back within {words(grace)}."
            return "our_outage", says, [Evidence(at=pause.until, says="We hear devices again.")]
    return None


def _updating(quiet: _Quiet) -> _Found:
    update = quiet.record.update
    if update is None or update.state not in STATES_AWAY or update.deadline is None:
        return None
    what = f"{update.name} {update.version}"
    started = [Evidence(at=update.since, says=f"Began to install {what}.")]
    if quiet.now < update.deadline:
        return "updating", f"It is installing {what} and may be away until then.", started
    return "lost_in_update", f"It began to install {what} and did not come back.", started


def _handshake_refused(quiet: _Quiet) -> _Found:
    refusals = quiet.record.refusals
    if refusals is None:
        return None
    times = "once" if refusals.count == 1 else f"{refusals.count} times"
    reason = refusals.reason.replace("_", " ")
    says = f"It tries to connect and is refused ({reason}), {times} since it was last heard."
    origin = f", from {refusals.address}" if refusals.address else ""
    counted = f", {times}" if refusals.count > 1 else ""
    evidence = [Evidence(at=refusals.last_at, says=f"Handshake refused: {reason}{counted}{origin}.")]
    if refusals.count > 1:
        evidence.append(Evidence(at=refusals.first_at, says="Refused for the first time."))
    return "handshake_refused", says, evidence


def _battery_empty(quiet: _Quiet) -> _Found:
    for battery in quiet.record.batteries.values():
        if not battery.levels:
            continue
        last = battery.levels[-1]
        expected = last.percent + slope_per_day(battery.levels) * ((quiet.now - last.at) / timedelta(days=1))
        is_running_out = last.percent <= quiet.record.battery_high and expected <= 0
        if last.percent <= BATTERY_EMPTY_PERCENT or is_running_out:
            says = f"Its battery was at {last.percent:.0f} % when it was last read."
            return "battery_empty", says, [Evidence(at=last.at, says=f"Battery at {last.percent:.0f} %.")]
    return None


def _supply_lost(quiet: _Quiet) -> _Found:
    if ERROR_SUPPLY_OFF not in quiet.record.vitals.error_codes or quiet.record.vitals.at is None:
        return None
    since = quiet.record.codes_since.get(str(ERROR_SUPPLY_OFF), quiet.record.vitals.at)
    return "supply_lost", "It reported that its power supply is off.", [Evidence(at=since, says="Power supply off.")]


def _asleep(quiet: _Quiet) -> _Found:
    heard = quiet.record.presence.heard_at
    if heard is None or not quiet.record.presence.queue_mode:
        return None
    due = expected_by(quiet.record.expectation, heard)
    if quiet.now > due:
        return None
    return "asleep_as_planned", f"It sleeps; its next report is due in {words(due - quiet.now)}.", []


def _missed_wake_up(quiet: _Quiet) -> _Found:
    heard = quiet.record.presence.heard_at
    if heard is None or not quiet.record.presence.queue_mode:
        return None
    limit = wakes_until_silent(quiet.record.expectation)
    missed = min(wakes_missed(quiet.record.expectation, heard, quiet.now), limit)
    if missed == 0:
        return None
    return "missed_wake_up", f"It missed its wake-up, {missed} of {limit}; no reason is known.", []


_CAUSES: Final[tuple[tuple[str, Callable[[_Quiet], _Found]], ...]] = (
    ("our outage", _our_outage),
    ("updating", _updating),
    ("handshake refused", _handshake_refused),
    ("battery empty", _battery_empty),
    ("supply lost", _supply_lost),
    ("asleep as planned", _asleep),
    ("missed wake-up", _missed_wake_up),
)


def _last_words(record: HealthRecord) -> list[Evidence]:
    """What we know of the device whatever the cause: when it was heard, registered, how its battery was."""
    presence = record.presence
    facts = []
    if presence.heard_at is not None:
        facts.append(Evidence(at=presence.heard_at, says="Last heard."))
    if presence.registered_at is not None:
        lifetime = words(timedelta(seconds=presence.lifetime_s))
        facts.append(Evidence(at=presence.registered_at, says=f"Registered with a lifetime of {lifetime}."))
    if presence.expired_at is not None:
        facts.append(Evidence(at=presence.expired_at, says="Its registration ran out."))
    for battery in record.batteries.values():
        if battery.levels and battery.levels[-1].percent > BATTERY_EMPTY_PERCENT:
            last = battery.levels[-1]
            facts.append(Evidence(at=last.at, says=f"Battery at {last.percent:.0f} %."))
    return facts


def slope_per_day(levels: Sequence[BatteryLevel]) -> float:
    """Percent a day by least squares; 0 where there is no span of time to judge from."""
    if len(levels) < 2:
        return 0.0
    days = [(level.at - levels[0].at) / timedelta(days=1) for level in levels]
    mean_day = sum(days) / len(days)
    mean_percent = sum(level.percent for level in levels) / len(levels)
    spread = sum((day - mean_day) ** 2 for day in days)
    if spread == 0:
        return 0.0
    pairs = zip(days, levels, strict=True)
    return sum((day - mean_day) * (level.percent - mean_percent) for day, level in pairs) / spread


def words(span: timedelta) -> str:
    """A span of time as people say it: "45 s", "4 min 7 s", "2 h 12 min", "3 d"."""
    seconds = max(0, round(span.total_seconds()))
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = [
        f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")) if count
    ]
    return " ".join(parts[:2]) or "0 s"
