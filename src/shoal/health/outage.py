"""Our own outages, seen in a partition of the stream: times in which nobody's word could reach us."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from shoal.health.silence import Pause

# Gateways write a heartbeat every 5 s; two missed ones are no hiccup of the machine. Longer, and a short restart of ours
# would make devices late that report every few seconds.
PAUSE_AFTER: Final = timedelta(seconds=10)
# How far the stored hearing may lag behind: a third of the writes that heartbeats would cause. After a crash it makes
# our outage look this much longer than it was, which only gives devices more time.
KEPT_EVERY: Final = timedelta(seconds=15)
# Pauses kept for a partition. A deadline reaches back hours, and 16 outages in that time are one outage.
PAUSES_MAX: Final = 16


class PartitionHearing(msgspec.Struct, frozen=True, kw_only=True):
    """What a partition has heard: until when, whether gateways write heartbeats to it, and the gaps."""

    heard_at: datetime | None = None
    has_heartbeats: bool = False
    pauses: tuple[Pause, ...] = ()


def after_record(hearing: PartitionHearing, at: datetime, *, is_heartbeat: bool) -> PartitionHearing:
    """The hearing after one more record that a gateway wrote to the partition.

    Only heartbeats make a gap mean something: without them, quiet devices look the same as deaf ears.
    """
    last = hearing.heard_at
    has_heartbeats = hearing.has_heartbeats or is_heartbeat
    if last is not None and at <= last:
        # All records of one commit have the same time, and a heartbeat is often among them.
        return msgspec.structs.replace(hearing, has_heartbeats=has_heartbeats)
    pauses = hearing.pauses
    if last is not None and hearing.has_heartbeats and at - last > PAUSE_AFTER:
        pauses = (*pauses, Pause(last, at))[-PAUSES_MAX:]
    return PartitionHearing(heard_at=at, has_heartbeats=has_heartbeats, pauses=pauses)


def heard_further(kept: PartitionHearing, remembered: PartitionHearing | None) -> PartitionHearing:
    """What is stored, with what was heard since and not written. What is stored may be newer: another worker's."""
    if remembered is None or remembered.heard_at is None:
        return kept
    if kept.heard_at is not None and kept.heard_at >= remembered.heard_at:
        return kept
    return msgspec.structs.replace(
        kept, heard_at=remembered.heard_at, has_heartbeats=kept.has_heartbeats or remembered.has_heartbeats
    )


def is_worth_keeping(kept: PartitionHearing, now: PartitionHearing) -> bool:
    """Whether the hearing has to be written down, when nothing else of its partition is."""
    if (kept.has_heartbeats, kept.pauses) != (now.has_heartbeats, now.pauses):
        return True
    if kept.heard_at is None or now.heard_at is None:
        return kept.heard_at != now.heard_at
    return now.heard_at - kept.heard_at >= KEPT_EVERY
