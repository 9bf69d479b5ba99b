"""Keeps object 2 of shared devices in step with policies: after each Register, and when policies or the device change.

What is asked goes through the queue of commands, so it waits until a device wakes, and how it ended comes back as an
event of the device. Policies change beside the stream: `PolicyWatch` looks for devices judged by older ones.
"""

import logging
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias, TypeGuard

import msgspec

from shoal.access.decision import Policies
from shoal.clock import Clock
from shoal.commands.command import Operation
from shoal.commands.queue import TIME_TO_LIVE_MAX
from shoal.commands.store import Commands
from shoal.errors import Rejected, Unavailable
from shoal.events.codec import AnyEvent
from shoal.events.device import (
    CommandChanged,
    DeviceDeregistered,
    DeviceRegistered,
    DeviceRemoved,
    PlaceChanged,
    RegistrationExpired,
    RegistrationUpdated,
)
from shoal.events.topics import DEVICE, Topic
from shoal.ids import CommandId, TenantId
from shoal.policies.store import AccessPolicies
from shoal.policies.tables import policy_versions
from shoal.sharing import store
from shoal.sharing.found import shape_of
from shoal.sharing.shared import Outcome, Shared, Step, ended, go_on, look, reconsider
from shoal.storage.database import Database, Transaction
from shoal.storage.poke import Poke
from shoal.stream.worker import Batch

log = logging.getLogger(__name__)

Relevant: TypeAlias = (
    CommandChanged
    | DeviceDeregistered
    | DeviceRegistered
    | DeviceRemoved
    | PlaceChanged
    | RegistrationExpired
    | RegistrationUpdated
)
# States of a command in which it is over.
_ENDS: Final = frozenset({"answered", "refused", "timed_out", "expired", "cancelled"})
# Devices that are judged anew in one transaction; the next follow at once.
DEVICES_PER_PASS_MAX: Final = 50
# A change of policies pokes; a poke may be lost.
LOOK_EVERY: Final = timedelta(seconds=5)


class Conductor:
    """The hands of a look: queues what a step asks, in the transaction in which the device is written."""

    def __init__(self, commands: Commands, policies: AccessPolicies, short_id: int) -> None:
        """`short_id` is the one that devices know us by where we gave it out."""
        self._commands = commands
        self._policies = policies
        self._short_id = short_id

    async def judging(self, tx: Transaction, tenant: str) -> tuple[int, Policies]:
        """The policies of a tenant with their number. One that rises between the two only makes for another look."""
        number = await self._policies.version(tx, TenantId(tenant))
        return number, await self._policies.inside(tx, TenantId(tenant))

    async def carry_out(self, tx: Transaction, step: Step, policies: Policies, at: datetime) -> Shared:
        """The device after a step, with the commands that it gave. What finds no room in the queue counts as unanswered."""
        while True:
            shared = await self._asked(tx, step, at)
            if shared.asked or not step.requests:
                return shared
            step = go_on(shared, policies, self._short_id, at)

    async def ended(self, tx: Transaction, shared: Shared, event: CommandChanged, policies: Policies) -> Shared:
        """The device after one of its commands is over."""
        asked, outcome = shared.asked[event.command], _outcome(event)
        heard = ended(
            shared, asked, outcome, code=event.code, detail=_said(event), body=bytes(event.body), at=event.time
        )
        return await self.carry_out(tx, go_on(heard, policies, self._short_id, event.time), policies, event.time)

    async def call_back(self, tx: Transaction, shared: Shared, commands: Collection[str]) -> None:
        """Calls back what did not leave yet; what did is answered to nobody."""
        for command in commands:
            try:
                await self._commands.cancel(tx, TenantId(shared.tenant), CommandId(command))
            except Rejected as error:
                log.info("sharing.not_called_back", extra={"command": command, "reason": error.reason})

    async def _asked(self, tx: Transaction, step: Step, at: datetime) -> Shared:
        await self.call_back(tx, step.shared, step.calls_back)
        shared = step.shared
        for request in step.requests:
            try:
                command = await self._commands.enqueue(
                    tx,
                    shared.place,
                    Operation(request.operation),
                    request.path,
                    body=None if request.body is None else msgspec.json.encode(request.body),
                    time_to_live=TIME_TO_LIVE_MAX,
                    by=None,
                    wait_for_wake=True,
                )
            except Rejected as error:
                shared = ended(
                    shared, request.asked, Outcome.UNANSWERED, code=None, detail=error.reason, body=b"", at=at
                )
            else:
                shared = msgspec.structs.replace(shared, asked={**shared.asked, command.id: request.asked})
        return shared


class SharingHandler:
    """Group `sharing` on the topic of devices."""

    group: str = "sharing"
    topics: Sequence[Topic] = (DEVICE,)
    timed: Sequence[Topic] = ()

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    async def handle(self, tx: Transaction, batch: Batch) -> None:
        """Folds the events of a batch, and takes the steps that follow from them."""
        events = [event for _, event in batch.events if _is_relevant(event)]
        before = await store.load(tx, {event.device for event in events if event.device}) if events else {}
        after: dict[str, Shared | None] = dict(before)
        judging: dict[str, tuple[int, Policies]] = {}
        for event in events:
            device, tenant = event.device, event.tenant
            known = after.get(device or "")
            if device is None or tenant is None or (known is None and not _begins(event)):
                continue
            if tenant not in judging:
                judging[tenant] = await self._conductor.judging(tx, tenant)
            after[device] = await self._after(tx, known, event, judging[tenant][1])
        for tenant, (number, _) in judging.items():
            changed = [one for id_, one in after.items() if one and one.tenant == tenant and one != before.get(id_)]
            await store.save(tx, changed, number)
        gone = sorted(id_ for id_, one in after.items() if one is None and id_ in before)
        if gone:
            await store.forget(tx, gone)

    async def _after(self, tx: Transaction, known: Shared | None, event: Relevant, policies: Policies) -> Shared | None:
        match event:
            case DeviceRemoved():
                return None
            case DeviceRegistered():
                return await self._shaped(tx, known, event, event.objects, policies)
            case RegistrationUpdated() if event.objects is not None:
                return await self._shaped(tx, known, event, event.objects, policies)
            case _ if known is None:
                return None
            case CommandChanged():
                is_ours = event.command in known.asked and event.state in _ENDS
                return await self._conductor.ended(tx, known, event, policies) if is_ours else known
            case PlaceChanged():
                moved = msgspec.structs.replace(known, farm=event.farm, enclosure=event.enclosure)
                return await self._conductor.carry_out(
                    tx, reconsider(moved, policies, event.time), policies, event.time
                )
            case DeviceDeregistered(registration=id_) | RegistrationExpired(registration=id_):
                return msgspec.structs.replace(known, registration=None) if id_ == known.registration else known
            case _:
                return known

    async def _shaped(
        self,
        tx: Transaction,
        known: Shared | None,
        event: DeviceRegistered | RegistrationUpdated,
        objects: Sequence[tuple[str, str | None]],
        policies: Policies,
    ) -> Shared | None:
        """The device with the objects that it has just registered. An Update that changes none of them is no reason."""
        shape = shape_of(objects)
        if shape is None or event.device is None or event.tenant is None:
            if known is not None:
                await self._conductor.call_back(tx, known, look(known, event.time).calls_back)
            return None
        if known is not None and known.shape == shape and isinstance(event, RegistrationUpdated):
            return known
        shared = msgspec.structs.replace(
            known or Shared(device=event.device, tenant=event.tenant, shape=shape, since=event.time),
            farm=event.farm,
            enclosure=event.enclosure,
            registration=event.registration,
            shape=shape,
        )
        return await self._conductor.carry_out(tx, look(shared, event.time), policies, event.time)


class PolicyWatch:
    """Judges shared devices anew when the policies of their tenant have changed."""

    def __init__(self, database: Database, policies: AccessPolicies, conductor: Conductor, clock: Clock) -> None:
        self._database = database
        self._policies = policies
        self._conductor = conductor
        self._clock = clock
        self._seen: dict[str, int] = {}
        self._poke = Poke()
        database.on(policy_versions.name, self._poke)

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            try:
                await self.follow()
            except Unavailable as error:
                log.warning("sharing.waits", extra={"neighbour": error.neighbour, "reason": error.reason})
            await self._poke.wait(LOOK_EVERY)

    async def follow(self) -> int:
        """Judges all that were judged by older policies; how many those were."""
        judged = 0
        for tenant, number in (await self._policies.versions()).items():
            if self._seen.get(tenant) == number:
                continue
            while devices := await store.behind(self._database, TenantId(tenant), number, DEVICES_PER_PASS_MAX):
                async with self._database.transaction() as tx:
                    judged += await self._judge(tx, tenant, devices)
            self._seen[tenant] = number
        return judged

    async def _judge(self, tx: Transaction, tenant: str, devices: Sequence[str]) -> int:
        # Devices first, then their policies: whoever changes those meanwhile makes for another look.
        held = await store.load(tx, devices)
        number, policies = await self._conductor.judging(tx, tenant)
        now = self._clock.now()
        after = [
            await self._conductor.carry_out(tx, reconsider(shared, policies, now), policies, now)
            for shared in held.values()
        ]
        await store.save(tx, after, number)
        return len(after)


def _is_relevant(event: AnyEvent) -> TypeGuard[Relevant]:
    return isinstance(event, Relevant)


def _begins(event: Relevant) -> bool:
    """Whether an event may tell of a shared device that was not known as one."""
    if isinstance(event, DeviceRegistered | RegistrationUpdated):
        return event.objects is not None and shape_of(event.objects) is not None
    return False


def _outcome(event: CommandChanged) -> Outcome:
    """What the end of a command says of the device. One that was refused without a code never left."""
    if event.state == "answered":
        return Outcome.ACCEPTED
    return Outcome.REFUSED if event.state == "refused" and event.code is not None else Outcome.UNANSWERED


def _said(event: CommandChanged) -> str:
    """How it ended, in words."""
    if event.code is not None:
        return f"{event.code} {event.detail}".strip()
    return event.detail or event.state.replace("_", " ")
