"""The fold: a health record and what happened, in; the record after it and what others must know, out.

`on_event` takes what devices, the inventory and campaigns said; `on_timer` takes the time up to which our ingestion is
complete. Neither reads a clock. The same events a second time change nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from shoal.events.condition import (
    AnyConditionEvent,
    ConditionChanged,
    ConditionClosed,
    ConditionEvent,
    ConditionOpened,
    StatusChanged,
)
from shoal.events.device import DeviceRemoved
from shoal.health.episode import Episode, EpisodeState, Finding, Told, begin, follow, remove
from shoal.health.intake import HealthInput, new_record, written_down
from shoal.health.record import HealthRecord
from shoal.health.rules import findings, next_change
from shoal.health.silence import Pause
from shoal.health.status import status

replace = msgspec.structs.replace

# What our events can tell apart.
_TICK: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The record after a step (None: the device is gone) and what to tell, in order."""

    record: HealthRecord | None
    events: tuple[AnyConditionEvent, ...] = ()


def on_event(record: HealthRecord | None, event: HealthInput, pauses: Sequence[Pause] = ()) -> Judgement:
    """What an event changes. Only the inventory and a registration begin a record: the rest needs one."""
    record = record or new_record(event)
    if record is None:
        return Judgement(None)
    if isinstance(event, DeviceRemoved):
        return _removed(record, event)
    return _judged(written_down(record, event), event.time, pauses)


def on_timer(record: HealthRecord, watermark: datetime, pauses: Sequence[Pause] = ()) -> Judgement:
    """What time alone changes, up to the watermark."""
    record = replace(record, judged_at=max(record.judged_at, watermark))
    return _judged(record, record.judged_at, pauses)


def _judged(record: HealthRecord, at: datetime, pauses: Sequence[Pause]) -> Judgement:
    """Follows every episode by what holds now, and the status by the episodes."""
    events: list[AnyConditionEvent] = []
    found = findings(record, pauses)
    episodes, onsets = dict(record.episodes), dict(record.onsets)
    # What opens goes before what closes: "late" that becomes "silent" is at no moment well.
    for key in [*found, *(key for key in record.episodes if key not in found)]:
        finding, known = found.get(key), episodes.get(key)
        if known is None and finding is not None:
            finding = _with_fresh_onset(finding, onsets.get(key), record.judged_at)
            known = begin(record.tenant, record.device, finding)
        if known is None:
            continue
        # Delays run on the time up to which the device is judged. An event from elsewhere does not move that.
        now = max(record.judged_at, finding.onset if finding else at)
        episode, told = follow(known, finding, now)
        if told is not Told.NOTHING:
            events.append(_condition_event(record, episode, told, now, _why_closed(key, found)))
        if episode.state in {EpisodeState.NORMAL, EpisodeState.CLOSED}:
            episodes.pop(key, None)
            onsets[key] = episode.onset
        else:
            episodes[key] = episode
    record = replace(record, episodes=episodes, onsets=onsets)
    record, changed = _with_status(record, max(record.judged_at, at))
    return Judgement(replace(record, due_at=_due_at(record, pauses)), (*events, *changed))


def _with_fresh_onset(finding: Finding, last: datetime | None, now: datetime) -> Finding:
    """An onset that no earlier episode had, so that no episode ever opens twice.

    A profile that is changed to and fro can put the same deadline into the past again.
    """
    if last is None or finding.onset > last:
        return finding
    return replace(finding, onset=max(now, last + _TICK))


def _why_closed(key: str, found: dict[str, Finding]) -> str:
    return "became silent" if key == "late:" and "silent:" in found else "recovered"


def _with_status(record: HealthRecord, now: datetime) -> tuple[HealthRecord, tuple[StatusChanged, ...]]:
    is_open = [episode for episode in record.episodes.values() if episode.is_open]
    word, cause = status(was_heard=record.presence.heard_at is not None, conditions=is_open)
    if (word, cause) == (record.status, record.cause):
        return record, ()
    changed = StatusChanged(
        id=_event_id("status", record.device, word.value, str(cause), f"{now.timestamp():.3f}"),
        time=now,
        tenant=record.tenant,
        device=record.device,
        farm=record.farm,
        status=word.value,
        was=record.status.value,
        cause=cause,
    )
    since = now if word is not record.status else record.since
    return replace(record, status=word, cause=cause, since=since), (changed,)


def _due_at(record: HealthRecord, pauses: Sequence[Pause]) -> datetime | None:
    delays = (episode.due_at for episode in record.episodes.values())
    return min((at for at in (next_change(record, pauses), *delays) if at is not None), default=None)


def _removed(record: HealthRecord, event: DeviceRemoved) -> Judgement:
    events = []
    for known in record.episodes.values():
        episode, told = remove(known, event.time)
        if told is Told.CLOSED:
            events.append(_condition_event(record, episode, told, event.time, "removed"))
    return Judgement(None, tuple(events))


def _condition_event(
    record: HealthRecord, episode: Episode, told: Told, now: datetime, why: str
) -> ConditionOpened | ConditionChanged | ConditionClosed:
    name = {Told.CHANGED: f"changed-{episode.changes}"}.get(told, told.value)
    facts = msgspec.structs.asdict(
        ConditionEvent(
            id=f"{episode.id}-{name}",
            time=now,
            episode=episode.id,
            tenant=record.tenant,
            device=record.device,
            endpoint=record.endpoint,
            kind=record.kind,
            farm=record.farm,
            enclosure=record.enclosure,
            condition=episode.condition,
            instance=episode.instance,
            severity=episode.severity.value,
            since=episode.since,
            verdict=episode.verdict,
        )
    )
    if told is Told.OPENED:
        return ConditionOpened(**facts)
    if told is Told.CHANGED:
        return ConditionChanged(**facts, number=episode.changes)
    return ConditionClosed(**facts, closed_at=now, reason=why)


def _event_id(*parts: str) -> str:
    return f"{parts[0]}-" + hashlib.sha256("|".join(parts).encode()).hexdigest()[:20]
