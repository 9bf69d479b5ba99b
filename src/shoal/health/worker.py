"""Reads what devices and campaigns said, folds it into health records, fires their timers, tells what changed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from shoal.events.campaign import UpdateChanged, VersionEvent
from shoal.events.codec import AnyEvent
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
from shoal.storage.database import Transaction
from shoal.stream.worker import Batch

# What others write on the device topic: no sign that a gateway was there to hear a device.
_NOT_BY_A_GATEWAY = CommandChanged | DeviceRemoved | PlaceChanged | ProfileChanged


class HealthHandler:
    """The health worker: one handler for `stream.worker.Worker`."""

    group: Final = "health"
    topics: Final[Sequence[Topic]] = (DEVICE, CAMPAIGN)
    timed: Final[Sequence[Topic]] = (DEVICE,)

    def __init__(self) -> None:
        self._remembered: dict[int, PartitionHearing] = {}

    async def handle(self, tx: Transaction, batch: Batch) -> None:
        """Folds a batch; then, for what devices say, fires what is due at the watermark."""
        events = [event for _, event in batch.events]
        named = await _named(tx, events)
        known = await store.load(tx, {device for device, _ in named}) if named else {}
        # A device is judged by what its own partition heard, wherever an event about it comes from.
        hearings = await store.load_hearings(tx, {partition for _, partition in known.values()} | {batch.partition})
        if batch.topic is not DEVICE:
            await _Pass(tx, known, hearings, partition=None).fold(named)
            return
        hearings[batch.partition] = await self._listen(tx, batch, hearings[batch.partition], is_kept=bool(named))
        work = _Pass(tx, known, hearings, batch.partition)
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
    owners = await store.owners(tx, identities) if identities else {}
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
    ) -> None:
        self._tx = tx
        self._known = known
        self._stored = frozenset(known)
        self._hearings = hearings
        self._partition = partition

    async def fold(self, named: Iterable[tuple[str, HealthInput]]) -> None:
        touched: set[str] = set()
        for device, event in named:
            record, partition = self._known.get(device, (None, self._partition))
            if partition is None:
                # An update of a device that was never told to health, or is deleted: nothing to keep it in.
                continue
            self._take(device, on_event(record, event, self._hearings[partition].pauses), partition)
            touched.add(device)
        await self._write(touched)

    async def fire(self, batch: Batch) -> None:
        pauses = self._hearings[batch.partition].pauses
        due = await store.due(self._tx, batch.partition, batch.watermark)
        for record in due:
            self._take(record.device, on_timer(record, batch.watermark, pauses), batch.partition)
        await self._write({record.device for record in due})

    def _take(self, device: str, judgement: Judgement, partition: int) -> None:
        for event in judgement.events:
            self._tx.publish(event)
        if judgement.record is None:
            self._known.pop(device, None)
        else:
            self._known[device] = (judgement.record, partition)

    async def _write(self, touched: Iterable[str]) -> None:
        devices = sorted(touched)
        await store.save(self._tx, [self._known[device] for device in devices if device in self._known])
        # Only what was there when we looked: a record that somebody else began meanwhile is none of ours.
        await store.forget(self._tx, [device for device in devices if device in self._stored - self._known.keys()])


def _heard(hearing: PartitionHearing, batch: Batch) -> PartitionHearing:
    for record, event in batch.events:
        if isinstance(event, _NOT_BY_A_GATEWAY):
            continue
        hearing = after_record(hearing, record.time, is_heartbeat=isinstance(event, Heartbeat))
    return hearing
