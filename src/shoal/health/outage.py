"""Our own outages, seen in a partition of the stream: times in which nobody's word could reach us."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from shoal.events.device import Heartbeat
from shoal.health.silence import Pause
from shoal.stream.beats import Beats, spoken_at

# Gateways write a heartbeat every 5 s; two missed ones are no hiccup of the machine. Longer, and a short restart of ours
# would make devices late that report every few seconds.
PAUSE_AFTER: Final = timedelta(seconds=10)
# How far the stored hearing may lag behind: a third of the writes that heartbeats would cause. After a crash it makes
# our outage look this much longer than it was, which only gives devices more time.
KEPT_EVERY: Final = timedelta(seconds=15)
# Pauses kept for a partition. A deadline reaches back hours, and 16 outages in that time are one outage.
PAUSES_MAX: Final = 16


class PartitionHearing(msgspec.Struct, frozen=True, kw_only=True):
    """What a partition has heard: until when of all gateways, whether they write heartbeats to it, and the gaps.

    `heard_at` is that of the gateway which was not heard for longest, of those in `beats`.
    """

    heard_at: datetime | None = None
    has_heartbeats: bool = False
    pauses: tuple[Pause, ...] = ()
    beats: Beats = Beats()


def after_record(hearing: PartitionHearing, at: datetime, heartbeat: Heartbeat | None = None) -> PartitionHearing:
    """The hearing after one more record of a gateway, which the log took in at `at`; `heartbeat` if it is one.

    Only heartbeats make a gap mean something: without them, quiet devices look the same as deaf ears.
    """
    if heartbeat is None:
        # The only gateway is heard by whatever it writes. What one of several writes tells nothing of the others.
        return _heard_by_all(hearing, at, at) if hearing.beats.is_alone else hearing
    beats = hearing.beats.after(heartbeat, at)
    if beats.is_alone:
        after = _heard_by_all(hearing, at, at)
    else:
        after = _heard_by_all(hearing, beats.complete_until, spoken_at(heartbeat, at))
    return msgspec.structs.replace(after, has_heartbeats=True, beats=beats)


def _heard_by_all(hearing: PartitionHearing, until: datetime | None, at: datetime) -> PartitionHearing:
    """The hearing when, by a record of `at`, all gateways are known to have heard until then; None: one never was there.

    The gap of one of them is a pause for all devices of the partition: which of them were its own we do not know.
    """
    last = hearing.heard_at
    if last is None:
        # Nobody was waited for before.
        return msgspec.structs.replace(hearing, heard_at=at)
    if until is None or until <= last:
        # All records of one commit have the same time, and a heartbeat is often among them.
        return hearing
    pauses = hearing.pauses
    if hearing.has_heartbeats and at - last > PAUSE_AFTER:
        pauses = _with_pause(pauses, Pause(last, at))
    return msgspec.structs.replace(hearing, heard_at=until, pauses=pauses)


def _with_pause(pauses: tuple[Pause, ...], pause: Pause) -> tuple[Pause, ...]:
    """The newest pauses. Where those of two gateways overlap they are one, or devices would get the time twice."""
    if pauses and pauses[-1].until > pause.since:
        pause = Pause(pauses[-1].since, max(pauses[-1].until, pause.until))
        pauses = pauses[:-1]
    return (*pauses, pause)[-PAUSES_MAX:]


def heard_further(kept: PartitionHearing, remembered: PartitionHearing | None) -> PartitionHearing:
    """What is stored, with what was heard since and not written. What is stored may be newer: another worker's."""
    if remembered is None or remembered.heard_at is None:
        return kept
    return msgspec.structs.replace(
        kept,
        heard_at=max(kept.heard_at or remembered.heard_at, remembered.heard_at),
        has_heartbeats=kept.has_heartbeats or remembered.has_heartbeats,
        beats=kept.beats.joined(remembered.beats),
    )


def is_worth_keeping(kept: PartitionHearing, now: PartitionHearing) -> bool:
    """Whether the hearing has to be written down, when nothing else of its partition is."""
    if (kept.has_heartbeats, kept.pauses, kept.beats.of) != (now.has_heartbeats, now.pauses, now.beats.of):
        return True
    before, after = _newest_word(kept), _newest_word(now)
    if before is None or after is None:
        return before != after
    return after - before >= KEPT_EVERY


def _newest_word(hearing: PartitionHearing) -> datetime | None:
    """When anybody was heard last, whoever else is away."""
    return max((at for at in (hearing.heard_at, hearing.beats.at) if at is not None), default=None)
