"""Reads what devices say and moves their updates on; fires the deadlines."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias, TypeGuard

from shoal.campaigns import store
from shoal.campaigns.conduct import Conductor
from shoal.campaigns.drift import noticed, overtaken, settled
from shoal.campaigns.facts import DeviceFacts, after_event, is_about_updates, new_facts
from shoal.campaigns.neighbours import Enqueue, FileServer
from shoal.campaigns.step import (
    CommandEnded,
    Happening,
    Progressed,
    Recovered,
    Reported,
    TimeIsUp,
    Worsened,
    removed,
    step,
)
from shoal.campaigns.update import Step, Update
from shoal.events.codec import AnyEvent
from shoal.events.condition import ConditionChanged, ConditionClosed, ConditionEvent, ConditionOpened
from shoal.events.device import (
    CommandChanged,
    DeviceDeregistered,
    DeviceRegistered,
    DeviceRemoved,
    DownloadProgressed,
    ProfileChanged,
    ReadingsReported,
    RegistrationExpired,
    RegistrationUpdated,
)
from shoal.events.topics import CONDITION, DEVICE, Topic
from shoal.storage.database import Transaction
from shoal.stream.worker import Batch

Relevant: TypeAlias = (
    CommandChanged
    | DeviceDeregistered
    | DeviceRegistered
    | DeviceRemoved
    | DownloadProgressed
    | ProfileChanged
    | ReadingsReported
    | RegistrationExpired
    | RegistrationUpdated
)
# States in which a command is over.
_ENDED: Final = frozenset({"answered", "refused", "timed_out", "expired", "cancelled"})


class CampaignHandler:
    """The campaigns worker: one handler for `stream.worker.Worker`."""

    group: Final = "campaigns"
    topics: Final[Sequence[Topic]] = (DEVICE, CONDITION)
    timed: Final[Sequence[Topic]] = (DEVICE,)

    def __init__(self, enqueue: Enqueue, server: FileServer) -> None:
        self._conductor = Conductor(enqueue, server)

    async def handle(self, tx: Transaction, batch: Batch) -> None:
        """Takes in what devices said and what health says of them, moves their updates, then fires what is due."""
        if batch.topic is CONDITION:
            await self._look_at_conditions(tx, batch)
            return
        events: list[Relevant] = [event for _, event in batch.events if _is_relevant(event)]
        devices = {event.device for event in events if event.device is not None}
        if devices:
            work = _Pass(self._conductor, tx, batch.partition)
            await work.load(devices)
            for event in events:
                await work.take(event)
            await work.write()
        due = await store.due(tx, batch.partition, batch.watermark)
        if due:
            work = _Pass(self._conductor, tx, batch.partition)
            await work.load({update.device for update in due})
            for update in due:
                await work.move(update.device, TimeIsUp(), batch.watermark)
            await work.write()

    async def _look_at_conditions(self, tx: Transaction, batch: Batch) -> None:
        """What is wrong with a device may be the fault of its update. Health keeps its events by farm."""
        events = [event for _, event in batch.events if isinstance(event, ConditionEvent)]
        work = _Pass(self._conductor, tx, batch.partition)
        await work.load({event.device for event in events})
        for event in events:
            await work.judge(event)


class _Pass:
    """Facts and running updates of the devices of one pass."""

    def __init__(self, conductor: Conductor, tx: Transaction, partition: int) -> None:
        self._conductor = conductor
        self._tx = tx
        self._partition = partition
        # That in which the events of a device come, whoever tells of it.
        self._partitions: dict[str, int] = {}
        self._facts: dict[str, DeviceFacts] = {}
        self._updates: dict[str, Update] = {}
        self._changed: set[str] = set()
        self._removed: set[str] = set()

    async def load(self, devices: set[str]) -> None:
        found = await store.load_facts(self._tx, devices)
        self._facts = {device: facts for device, (facts, _) in found.items()}
        self._partitions = {device: partition for device, (_, partition) in found.items()}
        self._updates = await store.running(self._tx, devices)

    async def take(self, event: Relevant) -> None:
        """One event: the facts first, then the update that they may move."""
        device = event.device
        if device is None:
            return
        if isinstance(event, DeviceRemoved):
            await self._forget(device, event.time)
            return
        self._partitions[device] = self._partition
        before = self._facts.get(device) or new_facts(event)
        if before is None:
            return
        facts = after_event(before, event)
        self._facts[device] = facts
        # When nothing runs only what is new is worth a write: devices say the same all day.
        if device in self._updates or _without_times(facts) != _without_times(before):
            self._changed.add(device)
            self._removed.discard(device)
        happening = _happening(event, self._updates.get(device))
        if happening is not None:
            await self.move(device, happening, event.time)
        self._notice(device)

    async def judge(self, event: ConditionEvent) -> None:
        """Something is wrong with a device, or is not any more: remembered, and told to its update."""
        condition = f"{event.condition}:{event.instance}"
        match event:
            case ConditionOpened() | ConditionChanged():
                await store.keep_condition(self._tx, event.device, condition, event.since)
                says = f"{event.verdict.says.rstrip('.')} ({event.severity})"
                await self.move(event.device, Worsened(condition, event.severity, says), event.time)
            case ConditionClosed():
                await store.close_condition(self._tx, event.device, condition)
                await self.move(event.device, Recovered(condition), event.time)

    def _notice(self, device: str) -> None:
        """What it says it runs may be something else than what we left it with."""
        facts, events = noticed(self._facts[device], self._updates.get(device))
        for event in events:
            self._tx.publish(event)
            self._changed.add(device)
        self._facts[device] = facts

    async def move(self, device: str, happening: Happening, at: datetime) -> None:
        """One step of the update of a device, if one runs."""
        before = self._updates.get(device)
        if before is None:
            return
        facts = self._facts.get(device) or DeviceFacts(device=device, tenant=before.tenant)
        moved = step(before, facts, happening, at)
        await self._keep(before, moved, facts, at)

    async def write(self) -> None:
        """Writes what devices said."""
        kept = [
            (self._facts[device], self._partitions.get(device, self._partition))
            for device in sorted(self._changed)
            if device in self._facts
        ]
        await store.save_facts(self._tx, kept)
        await store.forget_facts(self._tx, self._removed)

    async def _forget(self, device: str, at: datetime) -> None:
        facts = self._facts.pop(device, None)
        self._changed.discard(device)
        self._removed.add(device)
        before = self._updates.get(device)
        if before is not None:
            facts = facts or DeviceFacts(device=device, tenant=before.tenant)
            await self._keep(before, Step(removed(before, at)), facts, at)

    async def _keep(self, before: Update, moved: Step, facts: DeviceFacts, at: datetime) -> None:
        device = before.device
        partition = self._partitions.get(device, self._partition)
        update = await self._conductor.carry_out(self._tx, before, moved, facts, partition, at)
        known = settled(facts, before, update, at)
        if known is not facts and device in self._facts:
            for event in overtaken(facts, known):
                self._tx.publish(event)
            self._facts[device] = known
            self._changed.add(device)
        if update.state.is_end:
            # Another may have begun in the same moment: the one that undoes it.
            self._updates.pop(device, None)
            self._updates |= await store.running(self._tx, {device})
        else:
            self._updates[update.device] = update


def _is_relevant(event: AnyEvent) -> TypeGuard[Relevant]:
    if isinstance(event, ReadingsReported):
        return any(is_about_updates(reading.path) for reading in event.readings)
    return isinstance(event, Relevant)


def _happening(event: Relevant, update: Update | None) -> Happening | None:
    if update is None:
        return None
    if isinstance(event, DownloadProgressed):
        # The gateway may or may not write the slash in front.
        return Progressed(event.bytes) if event.path.lstrip("/") == update.path.lstrip("/") else None
    if isinstance(event, CommandChanged):
        if event.command not in update.commands or event.state not in _ENDED:
            return None
        return CommandEnded(event.command, event.state, event.code)
    return Reported()


def _without_times(facts: DeviceFacts) -> tuple[object, ...]:
    said = (facts.state, facts.result, facts.package_version, facts.firmware_version)
    return (
        *(one.value if one else None for one in said),
        facts.farm,
        facts.enclosure,
        facts.endpoint,
        facts.registration,
        facts.registered_at,
        facts.is_registered,
        facts.has_firmware_object,
        facts.lifetime_s,
        facts.binding,
        facts.queue_mode,
        facts.secure,
        facts.report_every_s,
        facts.grace_s,
        facts.battery_percent,
        facts.is_charging,
        facts.memory_free_kb,
        facts.delivery_method,
        facts.protocols,
    )
