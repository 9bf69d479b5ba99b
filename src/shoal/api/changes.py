"""What changed, for all who watch: one reading of the log for the whole process, one bounded memory of the last changes.

A watcher holds nothing but its place in that memory. One that is too slow, or comes back too late, is told to ask for
everything again (`reset`); nobody else waits for it. While nobody watches, the log is not read.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import msgspec

from shoal.access.decision import EVERYWHERE, Reach
from shoal.errors import Unavailable
from shoal.events.alert import AlertEvent, NotificationDue
from shoal.events.campaign import UpdateChanged
from shoal.events.codec import AnyEvent
from shoal.events.condition import ConditionEvent, StatusChanged
from shoal.events.device import (
    CommandChanged,
    DeviceDeregistered,
    DeviceEvent,
    DeviceRegistered,
    DeviceRemoved,
    ObservationChanged,
    PlaceChanged,
    ProfileChanged,
    ReadingsReported,
    RegistrationExpired,
    RegistrationUpdated,
    RequestRefused,
    SecurityEvent,
)
from shoal.events.topics import ALERT, CAMPAIGN, CONDITION, DEVICE
from shoal.health.store import Health
from shoal.stream.log import Log
from shoal.stream.tail import Tail

log = logging.getLogger(__name__)

# Changes that are remembered, for all tenants: some 2 MB. A page that lost its link for a minute finds its place again.
CHANGES_MAX: Final = 10_000
# Open streams of a process: each is a connection, so this is well below what a process may have open.
WATCHERS_MAX: Final = 2_000
# A page draws readings as curves and sums, and counts refusals; more often than this nobody sees a difference.
SELDOM_EVERY: Final = timedelta(seconds=5)
# Devices that are remembered as told within that time. Beyond it, those that come are told once more.
DEVICES_TOLD_MAX: Final = 20_000
# How often our own delay is looked at while somebody watches.
PIPELINE_EVERY: Final = timedelta(seconds=5)
# After the last watcher left: a page that is loaded again comes back within seconds.
FOLLOWS_ON: Final = timedelta(seconds=60)
BACK_OFF: Final = timedelta(seconds=1)

_SELDOM: Final = frozenset({"readings", "security"})
_TOPICS: Final = (DEVICE, CONDITION, ALERT, CAMPAIGN)
_ENCODER: Final = msgspec.json.Encoder()


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a page is told: enough to know what to ask for again, and nothing that could not be told to a viewer."""

    type: str
    at: datetime | None = None
    farm: str | None = None
    enclosure: str | None = None
    device: str | None = None
    alert: str | None = None
    command: str | None = None
    update: str | None = None
    state: str | None = None


class Reset(msgspec.Struct, frozen=True):
    """The watcher has missed changes: ask for everything again."""

    id: str


class Told(msgspec.Struct, frozen=True):
    """A change under the id at which a watcher may go on later, as JSON."""

    id: str
    type: str
    data: bytes


Message: TypeAlias = Told | Reset


class Changes:
    """What changed, for all open streams of this process. `run` it as long as the application is served."""

    def __init__(self, log: Log, health: Health) -> None:
        self._log = log
        self._health = health
        # Numbers mean nothing to another process, nor after the log was not followed for a while.
        self._epoch = secrets.token_hex(4)
        # A ring: the change of number n stands at n modulo its length.
        self._ring: list[_Kept | None] = [None] * CHANGES_MAX
        self._next = 0
        self._news = asyncio.Event()
        self._watchers = 0
        self._has_watchers = asyncio.Event()
        self._told: set[str] = set()
        self._told_since = 0.0

    # -- following the log -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follows the log while somebody watches, until it is cancelled."""
        while True:
            await self._has_watchers.wait()
            try:
                async with asyncio.TaskGroup() as tasks:
                    following = [tasks.create_task(self._follow()), tasks.create_task(self._look_at_the_pipeline())]
                    await self._until_nobody_watches()
                    for task in following:
                        task.cancel()
            except* Unavailable as group:
                log.info("changes.wait", extra={"reason": str(group.exceptions[0])})
                await asyncio.sleep(BACK_OFF.total_seconds())
            self._begin_anew()

    async def _follow(self) -> None:
        async with Tail(self._log, _TOPICS) as events:
            async for event in events:
                self.tell(event)

    async def _look_at_the_pipeline(self) -> None:
        known = await self._health.delayed_since()
        while True:
            await asyncio.sleep(PIPELINE_EVERY.total_seconds())
            with contextlib.suppress(Unavailable):
                since = await self._health.delayed_since()
                if since != known:
                    known = since
                    self._add(None, Change(type="pipeline", at=since))

    async def _until_nobody_watches(self) -> None:
        while True:
            await asyncio.sleep(FOLLOWS_ON.total_seconds())
            if self._watchers == 0:
                self._has_watchers.clear()
                return

    def _begin_anew(self) -> None:
        """What happens until the log is followed again is not known: nobody may go on from before."""
        self._epoch = secrets.token_hex(4)
        self._ring = [None] * CHANGES_MAX
        self._next = 0
        self._wake()

    # -- telling ---------------------------------------------------------------------------------------------------

    def tell(self, event: AnyEvent) -> None:
        """Remembers what an event means to a page, if it means anything, and wakes those who wait."""
        tenant = getattr(event, "tenant", None)
        # That some stranger knocked may be told to everybody: who it was is asked for, and answered to whom it concerns.
        is_of_a_stranger = isinstance(event, SecurityEvent) and event.device is None
        if tenant is None and not is_of_a_stranger:
            return
        change = change_of(event)
        if change is None or (change.type in _SELDOM and not self._is_due(f"{change.type} {change.device}")):
            return
        self._add(tenant, change)

    def _is_due(self, what: str) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._told_since >= SELDOM_EVERY.total_seconds() or len(self._told) >= DEVICES_TOLD_MAX:
            self._told.clear()
            self._told_since = now
        if what in self._told:
            return False
        self._told.add(what)
        return True

    def _add(self, tenant: str | None, change: Change) -> None:
        self._ring[self._next % CHANGES_MAX] = _Kept(tenant, change, _ENCODER.encode(change))
        self._next += 1
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    # -- watching --------------------------------------------------------------------------------------------------

    def watch(self, tenant: str, after: str | None = None, reach: Reach = EVERYWHERE) -> "Watcher":
        """A watcher of what changes in reach, in a tenant, from now on or after the id of the last one it saw.

        Raises:
            Unavailable: this process has enough of them.
        """
        if self._watchers >= WATCHERS_MAX:
            raise Unavailable("live changes", f"{WATCHERS_MAX} streams are open")
        return Watcher(self, tenant, after, reach)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Somebody watches within this."""
        self._watchers += 1
        self._has_watchers.set()
        try:
            yield
        finally:
            self._watchers -= 1

    @property
    def here(self) -> str:
        """The id at which somebody who knows everything until now may go on."""
        return self._id(self._next)

    def messages(self, tenant: str, after: str, reach: Reach = EVERYWHERE) -> tuple[list[Message], str]:
        """What a watcher of this tenant has not seen, and where it is then."""
        epoch, _, number = after.partition("-")
        is_ours = epoch == self._epoch and number.isascii() and number.isdecimal()
        position = int(number) if is_ours and len(number) <= 18 else -1
        if not max(0, self._next - CHANGES_MAX) <= position <= self._next:
            return [Reset(self.here)], self.here
        found: list[Message] = []
        for current in range(position, self._next):
            held = self._ring[current % CHANGES_MAX]
            if held is not None and held.is_for(tenant, reach):
                found.append(Told(self._id(current + 1), held.change.type, held.data))
        return found, self.here

    async def news(self, at_most: timedelta) -> None:
        """Returns as soon as anything changed, for anybody, or after that time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most.total_seconds()):
                await self._news.wait()

    def _id(self, number: int) -> str:
        return f"{self._epoch}-{number}"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A change of a tenant, None: of all of them; and its JSON."""

    tenant: str | None
    change: Change
    data: bytes

    def is_for(self, tenant: str, reach: Reach) -> bool:
        if self.tenant is None:
            return True
        if self.tenant != tenant:
            return False
        return reach.is_everywhere or reach.covers_surely(self.change.farm, self.change.enclosure, self.change.device)


class Watcher:
    """One open stream: a place in what is remembered."""

    def __init__(self, changes: Changes, tenant: str, after: str | None, reach: Reach) -> None:
        self._changes = changes
        self._tenant = tenant
        self.reach = reach
        self.after = after or changes.here

    async def next(self, at_most: timedelta) -> list[Message]:
        """What is new, or nothing when that time passed without."""
        found = self._take()
        if not found:
            await self._changes.news(at_most)
            found = self._take()
        return found

    def _take(self) -> list[Message]:
        found, self.after = self._changes.messages(self._tenant, self.after, self.reach)
        return found


def change_of(event: AnyEvent) -> Change | None:
    """What an event means to a page; None when no page shows it."""
    match event:
        case DeviceEvent(device=str(device)):
            told = _of_device(event)
            if told is None:
                return None
            command, state = (event.command, event.state) if isinstance(event, CommandChanged) else (None, None)
            return Change(
                type=told,
                at=event.time,
                farm=event.farm,
                enclosure=event.enclosure,
                device=device,
                command=command,
                state=state,
            )
        case SecurityEvent():
            return Change(type="security", at=event.time)
        case StatusChanged():
            return Change(type="status", at=event.time, farm=event.farm, device=event.device, state=event.status)
        case ConditionEvent():
            return Change(type="status", at=event.time, farm=event.farm, enclosure=event.enclosure, device=event.device)
        case NotificationDue():
            return None
        case AlertEvent():
            return Change(
                type="alert",
                at=event.time,
                farm=event.farm,
                enclosure=event.enclosure,
                device=event.device,
                alert=event.alert,
            )
        case UpdateChanged():
            return Change(
                type="update",
                at=event.time,
                farm=event.farm,
                device=event.device,
                update=event.update,
                state=event.state,
            )
        case _:
            return None


def _of_device(event: DeviceEvent) -> str | None:
    match event:
        case ReadingsReported():
            return "readings"
        case DeviceRegistered() | RegistrationUpdated() | DeviceDeregistered() | RegistrationExpired():
            return "registration"
        case CommandChanged():
            return "command"
        # A device that was created or deleted changes the same lists as one that was moved.
        case PlaceChanged() | ProfileChanged() | DeviceRemoved():
            return "place"
        case ObservationChanged():
            return "observation"
        case SecurityEvent() | RequestRefused():
            return "security"
        case _:
            return None
