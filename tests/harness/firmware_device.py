"""A device with a firmware object, and the gateway between it and the queue of commands, on a clock of their own.

The gateway here does what the real one does with commands: it takes what is unfinished, sends when the device is awake,
and reports what became of it, with the values that were read as readings of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from shoal.commands.command import Command, Operation, State, trigger_for
from shoal.commands.store import Mark
from shoal.events.device import (
    DeviceAwake,
    DeviceDeregistered,
    DeviceEvent,
    DeviceRegistered,
    DownloadProgressed,
    Reading,
    ReadingsReported,
    Scalar,
)
from shoal.inventory.device import Device
from tests.harness.installation import Installation

# Object 5, OMA LwM2M Core 1.1 §E.6.
URI, UPDATE, STATE, RESULT, VERSION = "/5/0/1", "/5/0/2", "/5/0/3", "/5/0/5", "/5/0/7"
IDLE, DOWNLOADING, DOWNLOADED, UPDATING = 0, 1, 2, 3
SUCCESS, UPDATE_FAILED = 1, 8
CHUNK_BYTES: Final = 64 * 1_024
REBOOT_TAKES: Final = timedelta(seconds=20)


class Outcome(StrEnum):
    """What an install leads to."""

    RUNS = "runs"
    ROLLS_BACK = "rolls back"
    FORGETS = "forgets"
    LIES = "lies"
    DIES = "dies"


@dataclass
class FirmwareDevice:
    """A camera as the gateway meets it. `package` is what it has fetched so far."""

    shoal: Installation
    device: Device
    outcome: Outcome = Outcome.RUNS
    link_is_up: bool = True
    version: str = "2.0.3"
    package: bytes = b""
    tree: dict[str, Scalar] = field(default_factory=dict)
    observed: set[str] = field(default_factory=set)
    is_powered: bool = True
    _back_at: datetime | None = None
    _registration: int = 0
    _told: int = 0

    async def start(self) -> None:
        """Registers for the first time."""
        self.tree = {STATE: IDLE, RESULT: 0, VERSION: self.version, "/3/0/9": 100}
        await self._register()

    async def live(self) -> None:
        """What it does in the time that has passed: fetch a piece, come back from a reboot."""
        now = self.shoal.clock.now()
        if self._back_at is not None and now >= self._back_at:
            self._back_at = None
            await self._boot()
        if self.is_powered and self._registration:
            # It reports now and then; what it measures is of no interest here.
            await self._tell(DeviceAwake, registration=f"reg-{self._registration}")
        if self.is_powered and self.tree[STATE] == DOWNLOADING and self.link_is_up:
            await self._fetch_some()

    async def carry_out(self, command: Command) -> tuple[str, str, bytes | None]:
        """Does what was asked: outcome of the core, code, answer."""
        match command.operation, command.path:
            case Operation.READ, path if path in self.tree:
                value = self.tree[path]
                await self._tell(ReadingsReported, via="read", readings=[Reading(path=path, value=value)])
                return "answered", "2.05", msgspec.json.encode({"value": value})
            case Operation.OBSERVE, path if path in self.tree:
                self.observed.add(path)
                await self._notify(path)
                return "answered", "2.05", None
            case Operation.WRITE, "/5/0/1":
                return await self._written(str(msgspec.json.decode(command.body or b"{}")["value"]))
            case Operation.EXECUTE, "/5/0/2":
                return await self._execute()
        return "refused", "4.04", None

    async def _written(self, uri: str) -> tuple[str, str, bytes | None]:
        if uri and self.tree[STATE] != IDLE:
            return "refused", "4.05", None
        self.package = b""
        self.tree["/5/0/1"] = uri
        await self._show(DOWNLOADING if uri else IDLE, 0)
        return "answered", "2.04", None

    async def _execute(self) -> tuple[str, str, bytes | None]:
        if self.tree[STATE] != DOWNLOADED:
            return "refused", "4.05", None
        await self._show(UPDATING, 0)
        self.is_powered = False
        self._back_at = None if self.outcome is Outcome.DIES else self.shoal.clock.now() + REBOOT_TAKES
        return "answered", "2.04", None

    async def _fetch_some(self) -> None:
        path = "/" + str(self.tree["/5/0/1"]).split("/", 3)[3]
        offered = [one.file for one in await self.shoal.offered() if (one.path, one.device) == (path, self.device.id)]
        if not offered:
            return  # 4.04: the update is over
        whole = offered[0].read_bytes()
        self.package = whole[: len(self.package) + CHUNK_BYTES]
        await self._tell(DownloadProgressed, path=path, bytes=len(self.package), size=len(whole))
        if len(self.package) == len(whole):
            await self._show(DOWNLOADED, 0)

    async def _boot(self) -> None:
        self.is_powered = True
        self.observed.clear()
        result = {Outcome.RUNS: SUCCESS, Outcome.ROLLS_BACK: UPDATE_FAILED, Outcome.LIES: SUCCESS}.get(self.outcome, 0)
        if self.outcome is Outcome.RUNS:
            # The package says what it is; the device does not know what we called it.
            self.version = self.package.partition(b"\n")[0].decode()
        self.tree |= {STATE: IDLE, RESULT: result, VERSION: self.version}
        await self._register()

    async def _register(self) -> None:
        self._registration += 1
        await self._tell(
            DeviceRegistered,
            registration=f"reg-{self._registration}",
            version="1.1",
            lifetime_s=300,
            binding="U",
            queue_mode=False,
            secure=True,
            address="192.0.2.1:5684",
            objects=[("/3/0", None), ("/5/0", "1.0")],
        )

    async def reports_error(self, code: int) -> None:
        """Something is wrong with it from now on; 0: nothing is any more."""
        readings = [Reading(path="/3/0/11/0", value=code)]
        await self._tell(ReadingsReported, via="notify", path="/3/0/11", readings=readings)

    async def boots_into(self, version: str) -> None:
        """Its boot loader chose another image, and nobody asked it to."""
        self.version = version
        self.observed.clear()
        self.tree |= {STATE: IDLE, RESULT: 0, VERSION: version}
        await self._register()
        await self._tell(ReadingsReported, via="read", readings=[Reading(path=VERSION, value=version)])

    async def leave(self) -> None:
        """Says goodbye."""
        await self._tell(DeviceDeregistered, registration=f"reg-{self._registration}")

    async def _show(self, state: int, result: int) -> None:
        self.tree |= {STATE: state, RESULT: result}
        for path in (STATE, RESULT):
            if path in self.observed:
                await self._notify(path)

    async def _notify(self, path: str) -> None:
        await self._tell(
            ReadingsReported, via="notify", path=path, readings=[Reading(path=path, value=self.tree[path])]
        )

    async def _tell(self, make: Callable[..., DeviceEvent], **what: object) -> None:
        place = self.device
        self._told += 1
        await self.shoal.hear(
            make(
                id=f"{place.id}-{self._told}",
                time=self.shoal.clock.now(),
                device=place.id,
                tenant=place.tenant,
                farm=place.farm,
                enclosure=place.enclosure,
                endpoint=place.endpoint,
                **what,
            )
        )


class Gateway:
    """Carries commands to devices, in the order in which they were asked."""

    def __init__(self, shoal: Installation, *devices: FirmwareDevice) -> None:
        self._shoal = shoal
        self._devices = {one.device.id: one for one in devices}

    async def pass_time(self, span: timedelta, tick: timedelta = timedelta(seconds=20)) -> None:
        """Time passes in small steps, and everybody does what there is to do."""
        shoal = self._shoal
        until = shoal.clock.now() + span
        while shoal.clock.now() < until:
            shoal.clock.advance(min(tick, until - shoal.clock.now()))
            for device in self._devices.values():
                await device.live()
            await shoal.advance(timedelta())
            while await self.carry():
                await shoal.settle()
            if await shoal.expiry.sweep():
                await shoal.settle()

    async def carry(self) -> int:
        """Sends all that can be sent now; how many commands those were."""
        carried = 0
        for command in await self._shoal.commands.unfinished(0):
            device = self._devices.get(command.device)
            if command.state is not State.QUEUED or device is None or not device.is_powered:
                continue
            outcome, code, answer = await device.carry_out(command)
            now = self._shoal.clock.now()
            marks = [
                Mark(number=command.number, trigger=trigger_for("sent"), at=now),
                Mark(number=command.number, trigger=trigger_for(outcome), at=now, code=code, answer=answer),
            ]
            async with self._shoal.database.transaction() as tx:
                await self._shoal.commands.mark_all(tx, marks)
            carried += 1
        return carried
