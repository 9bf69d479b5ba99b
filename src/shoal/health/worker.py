"""Reads what devices and campaigns said, folds it into health records, fires their timers, tells what changed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from shoal import metrics, tracing
from shoal.clock import Clock, SystemClock
from shoal.events.campaign import UpdateChanged, VersionEvent
from shoal.events.codec import AnyEvent
from shoal.events.condition import AnyConditionEvent, ConditionEvent
from shoal.events.device import (
    CommandChanged,
    DeviceEvent,
    DeviceRemoved,
    Heartbeat,
    PlaceChanged,
    ProfileChanged,
    SecurityEvent,
)
from shoal.events.topics import CAMPAIGN, DEVICE, Topic
from shoal.health import store
from shoal.health.intake import HealthInput
from shoal.health.judge import Judgement, on_event, on_timer
from shoal.health.outage import PartitionHearing, after_record, heard_further, is_worth_keeping
from shoal.health.record import HealthRecord
from shoal.storage import directory
from shoal.storage.database import Transaction
from shoal.stream.worker import Batch

# What others write on the device topic: no sign that a gateway was there to hear a device.
_NOT_BY_A_GATEWAY = CommandChanged | DeviceRemoved | PlaceChanged | ProfileChanged


class Cause(StrEnum):
    """What made us judge a device anew."""

    DATAGRAM = "datagram"
    TIMER = "timer"


class HealthHandler:
    """The health worker: one handler for `stream.worker.Worker`."""

    group: Final = "health"
    topics: Final[Sequence[Topic]] = (DEVICE, CAMPAIGN)
    timed: Final[Sequence[Topic]] = (DEVICE,)

    def __init__(self, clock: Clock | None = None) -> None:
        """`clock` only tells how long we took; what is due is judged by the watermark."""
        self._clock = clock or SystemClock()
        self._remembered: dict[int, PartitionHearing] = {}

    async def handle(self, tx: Transaction, batch: Batch) -> None:
        """Folds a batch; then, for what devices say, fires what is due at the watermark."""
        events = [event for _, event in batch.events]
        named = await _named(tx, events)
        known = await store.load(tx, {device for device, _ in named}) if named else {}
        # A device is judged by what its own partition heard, wherever an event about it comes from.
        hearings = await store.load_hearings(tx, {partition for _, partition in known.values()} | {batch.partition})
        if batch.topic is not DEVICE:
            await _Pass(tx, known, hearings, None, self._clock).fold(named)
            return
        hearings[batch.partition] = await self._listen(tx, batch, hearings[batch.partition], is_kept=bool(named))
        work = _Pass(tx, known, hearings, batch.partition, self._clock)
        await work.fold(named)
        await work.fire(batch)

    async def _listen(
        self, tx: Transaction, batch: Batch, kept: PartitionHearing, *, is_kept: bool
    ) -> PartitionHearing:
        """What the partition has heard after this batch. What is not worth a write is remembered here until it is."""
        before = heard_further(kept, self._remembered.get(batch.partition))
        hearing = _heard(before, batch)
        if (is_kept and hearing != kept) or is_worth_keeping(kept, hearing):
            await store.save_hearing(tx, batch.partition, hearing)
        if hearing.pauses == kept.pauses:
            # A pause may still be lost with its transaction: it must be found again when the batch is repeated.
            self._remembered[batch.partition] = hearing
        return hearing


async def _named(tx: Transaction, events: Iterable[AnyEvent]) -> list[tuple[str, HealthInput]]:
    """Events with the device that they are about. Refused handshakes are about the owner of the identity."""
    inputs = [event for event in events if isinstance(event, DeviceEvent | UpdateChanged | VersionEvent)]
    identities = {
        event.identity
        for event in inputs
        if isinstance(event, SecurityEvent) and event.device is None and event.identity
    }
    owners = await directory.devices_of(tx, identities) if identities else {}
    named: list[tuple[str, HealthInput]] = []
    for event in inputs:
        device = event.device
        if device is None and isinstance(event, SecurityEvent) and event.identity:
            device = owners.get(event.identity)
        if device is not None:
            named.append((device, event))
    return named


class _Pass:
    """The records of one pass: loaded, folded, written."""

    def __init__(
        self,
        tx: Transaction,
        known: dict[str, tuple[HealthRecord, int]],
        hearings: Mapping[int, PartitionHearing],
        partition: int | None,
        clock: Clock,
    ) -> None:
        self._tx = tx
        self._known = known
        self._stored = frozenset(known)
        self._hearings = hearings
        self._partition = partition
        self._clock = clock

    async def fold(self, named: Iterable[tuple[str, HealthInput]]) -> None:
        touched: set[str] = set()
        for device, event in named:
            record, partition = self._known.get(device, (None, self._partition))
            if partition is None:
                # An update of a device that was never told to health, or is deleted: nothing to keep it in.
                continue
            judgement = on_event(record, event, self._hearings[partition].pauses)
            self._take(device, judgement, partition, Cause.DATAGRAM, event.time, event.trace)
            touched.add(device)
        await self._write(touched)

    async def fire(self, batch: Batch) -> None:
        pauses = self._hearings[batch.partition].pauses
        due = await store.due(self._tx, batch.partition, batch.watermark)
        for record in due:
            judgement = on_timer(record, batch.watermark, pauses)
            self._take(record.device, judgement, batch.partition, Cause.TIMER, record.due_at or batch.watermark)
        await self._write({record.device for record in due})

    def _take(
        self,
        device: str,
        judgement: Judgement,
        partition: int,
        cause: Cause,
        since: datetime,
        parent: str | None = None,
    ) -> None:
        """`since` is when the cause was there: what is told of it shows how long it took to be told."""
        for event in judgement.events:
            self._tell(event, cause, since, parent)
        if judgement.record is None:
            self._known.pop(device, None)
        else:
            self._known[device] = (judgement.record, partition)

    def _tell(self, event: AnyConditionEvent, cause: Cause, since: datetime, parent: str | None) -> None:
        if isinstance(event, ConditionEvent):
            facts = {"condition": event.condition, "device": event.device, "cause": cause.value}
            trace = tracing.record(
                f"health {event.__struct_config__.tag}",
                start=since,
                kind="consumer",
                parent=parent,
                begins=True,
                facts=facts,
            )
            event = event if trace is None else msgspec.structs.replace(event, trace=trace)
            seconds = metrics.condition_seconds.labels(cause.value)
            self._tx.after_commit(lambda: seconds.observe((self._clock.now() - since).total_seconds()))
        self._tx.publish(event)

    async def _write(self, touched: Iterable[str]) -> None:
        devices = sorted(touched)
        await store.save(self._tx, [self._known[device] for device in devices if device in self._known])
        # Only what was there when we looked: a record that somebody else began meanwhile is none of ours.
        await store.forget(self._tx, [device for device in devices if device in self._stored - self._known.keys()])


def _heard(hearing: PartitionHearing, batch: Batch) -> PartitionHearing:
    for record, event in batch.events:
        if isinstance(event, _NOT_BY_A_GATEWAY):
            continue
        hearing = after_record(hearing, record.time, event if isinstance(event, Heartbeat) else None)
    return hearing
