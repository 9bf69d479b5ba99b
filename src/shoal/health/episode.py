"""One episode: a condition of a device from its onset to its end.

Short disturbances end in `pending` and nobody hears of them; short recoveries end in `clearing` and nobody hears of
those. What a person is told of is `active` (opened) and `closed`.
"""

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from shoal.events.condition import Verdict
from shoal.events.severity import Severity


class EpisodeState(StrEnum):
    """Where an episode is in its life."""

    NORMAL = "normal"
    PENDING = "pending"
    ACTIVE = "active"
    CLEARING = "clearing"
    CLOSED = "closed"


class Trigger(StrEnum):
    """What may happen to an episode."""

    HOLDS = "holds"
    IS_OVER = "is_over"
    DELAY_OVER = "delay_over"
    DEVICE_REMOVED = "device_removed"


TRANSITIONS: Final[dict[tuple[EpisodeState, Trigger], EpisodeState]] = {
    (EpisodeState.NORMAL, Trigger.HOLDS): EpisodeState.PENDING,
    (EpisodeState.PENDING, Trigger.DELAY_OVER): EpisodeState.ACTIVE,
    (EpisodeState.PENDING, Trigger.IS_OVER): EpisodeState.NORMAL,
    (EpisodeState.PENDING, Trigger.DEVICE_REMOVED): EpisodeState.NORMAL,
    (EpisodeState.ACTIVE, Trigger.IS_OVER): EpisodeState.CLEARING,
    (EpisodeState.ACTIVE, Trigger.DEVICE_REMOVED): EpisodeState.CLOSED,
    (EpisodeState.CLEARING, Trigger.HOLDS): EpisodeState.ACTIVE,
    (EpisodeState.CLEARING, Trigger.DELAY_OVER): EpisodeState.CLOSED,
    (EpisodeState.CLEARING, Trigger.DEVICE_REMOVED): EpisodeState.CLOSED,
}


def after(state: EpisodeState, trigger: Trigger) -> EpisodeState:
    """The state after a trigger; one that means nothing here changes nothing."""
    return TRANSITIONS.get((state, trigger), state)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A condition that holds now. `onset` is the same in every replay; `since` is what a person is told."""

    condition: str
    instance: str = ""
    severity: Severity
    onset: datetime
    since: datetime
    verdict: Verdict
    on_delay: timedelta = timedelta()
    off_delay: timedelta = timedelta()
    close_reason: str = "recovered"

    @property
    def key(self) -> str:
        return f"{self.condition}:{self.instance}"


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """An episode that is not over. `changed_at` is when it went into its state, `changes` how often it was told anew."""

    id: str
    condition: str
    instance: str
    severity: Severity
    onset: datetime
    since: datetime
    state: EpisodeState
    changed_at: datetime
    verdict: Verdict
    on_delay: timedelta
    off_delay: timedelta
    changes: int = 0

    @property
    def is_open(self) -> bool:
        """A person was told of it, or sees it: active, or active until a moment ago."""
        return self.state in {EpisodeState.ACTIVE, EpisodeState.CLEARING}

    @property
    def due_at(self) -> datetime | None:
        """When its delay is over."""
        match self.state:
            case EpisodeState.PENDING:
                return self.changed_at + self.on_delay
            case EpisodeState.CLEARING:
                return self.changed_at + self.off_delay
        return None


class Told(StrEnum):
    """What a step of an episode means to others."""

    NOTHING = "nothing"
    OPENED = "opened"
    CHANGED = "changed"
    CLOSED = "closed"


def begin(tenant: str, device: str, finding: Finding) -> Episode:
    """The episode that a finding starts, pending. Replays make the same id."""
    seed = f"{tenant}|{device}|{finding.key}|{finding.onset.timestamp():.3f}"
    return Episode(
        id="ep-" + hashlib.sha256(seed.encode()).hexdigest()[:20],
        condition=finding.condition,
        instance=finding.instance,
        severity=finding.severity,
        onset=finding.onset,
        since=finding.since,
        state=after(EpisodeState.NORMAL, Trigger.HOLDS),
        changed_at=finding.onset,
        verdict=finding.verdict,
        on_delay=finding.on_delay,
        off_delay=finding.off_delay,
    )


def follow(episode: Episode, finding: Finding | None, now: datetime) -> tuple[Episode, Told]:
    """The episode at `now`, given whether its condition still holds. Ends in `normal` or `closed`, never beyond."""
    state = after(episode.state, Trigger.HOLDS if finding else Trigger.IS_OVER)
    if state is not episode.state:
        episode = msgspec.structs.replace(episode, state=state, changed_at=now)
    told = Told.NOTHING
    if finding is not None:
        has_news = (finding.severity, finding.verdict.cause) != (episode.severity, episode.verdict.cause)
        if has_news or episode.state is EpisodeState.PENDING:
            episode = msgspec.structs.replace(episode, severity=finding.severity, verdict=finding.verdict)
        if has_news and episode.is_open:
            episode = msgspec.structs.replace(episode, changes=episode.changes + 1)
            told = Told.CHANGED
    if episode.due_at is not None and now >= episode.due_at:
        state = after(episode.state, Trigger.DELAY_OVER)
        episode = msgspec.structs.replace(episode, state=state, changed_at=now)
        told = Told.OPENED if state is EpisodeState.ACTIVE else Told.CLOSED
    return episode, told


def remove(episode: Episode, now: datetime) -> tuple[Episode, Told]:
    """The episode of a device that the inventory deleted."""
    state = after(episode.state, Trigger.DEVICE_REMOVED)
    told = Told.CLOSED if state is EpisodeState.CLOSED else Told.NOTHING
    return msgspec.structs.replace(episode, state=state, changed_at=now), told
