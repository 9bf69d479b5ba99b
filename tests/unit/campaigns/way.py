"""An update on its way, by hand: what the device says, what is asked of it, and a clock that stands still."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from shoal.campaigns.artifact import ArtifactKind
from shoal.campaigns.facts import DeviceFacts, after_event
from shoal.campaigns.step import Begin, CommandEnded, Happening, Reported, TimeIsUp, step
from shoal.campaigns.update import Purpose, Step, Undo, Update, UpdateState
from shoal.events.device import (
    DeviceDeregistered,
    DeviceRegistered,
    Reading,
    ReadingsReported,
    RegistrationExpired,
    Scalar,
)

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
OLD, NEW = "2.0.3", "2.1.0"
IDLE, DOWNLOADING, DOWNLOADED, UPDATING = 0, 1, 2, 3
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class Way:
    """An update on its way, with the device's words in our hands. `asked` is what was asked since it was last looked at."""

    def __init__(
        self, kind: ArtifactKind = ArtifactKind.MODEL, *objects: str, is_registered: bool = True, **more: Any
    ) -> None:
        self.now = NOW
        self.facts = DeviceFacts(device="dev-1", tenant="ten-1", endpoint="cam-1", report_every_s=60)
        self.asked: list[Purpose] = []
        self.actions: list[object] = []
        self._numbers = 0
        self._version = "/5/0/7" if kind is ArtifactKind.MODEL else "/3/0/3"
        self.update = Update(
            id="cmp-1",
            tenant="ten-1",
            farm=None,
            enclosure=None,
            device="dev-1",
            endpoint="cam-1",
            artifact="art-1",
            kind=kind,
            name="fish-count",
            version=NEW,
            size=100_000,
            path="/fw/x",
            by="usr-1",
            created_at=NOW,
            since=NOW,
            **more,
        )
        if is_registered:
            self._register("reg-1", objects or ("/3/0", "/5/0"))
        self.now += MINUTE
        self.happens(Begin())

    @property
    def state(self) -> UpdateState:
        return self.update.state

    def happens(self, happening: Happening) -> "Way":
        return self.takes(step(self.update, self.facts, happening, self.now))

    def takes(self, result: Step) -> "Way":
        """What the conductor does with a step: every question becomes a command."""
        self.update = result.update
        for action in result.actions:
            self.actions.append(action)
            if isinstance(action, Undo):
                continue
            self._numbers += 1
            self.asked.append(action.purpose)
            if not self.state.is_end:
                commands = {**self.update.commands, f"cmd-{self._numbers}": action.purpose}
                self.update = msgspec.structs.replace(self.update, commands=commands)
        return self

    def version_said(self) -> str | None:
        said = self.facts.package_version if self.update.kind is ArtifactKind.MODEL else self.facts.firmware_version
        return None if said is None else str(said.value)

    def heard(self) -> list[Purpose]:
        """What was asked since the last look."""
        asked, self.asked = self.asked, []
        return asked

    def says(self, state: int | None = None, result: int | None = None, version: str | None = None) -> "Way":
        values: dict[str, Scalar] = {"/5/0/3": state, "/5/0/5": result, self._version: version}
        readings = [Reading(path=path, value=value) for path, value in values.items() if value is not None]
        return self.reads(*readings)

    def reads(self, *readings: Reading) -> "Way":
        event = ReadingsReported(
            id="e", time=self.now, device="dev-1", tenant="ten-1", via="read", readings=list(readings)
        )
        self.facts = after_event(self.facts, event)
        return self.happens(Reported())

    def answers(self, purpose: Purpose, state: str = "answered", code: str | None = "2.04") -> "Way":
        command = next(known for known, why in self.update.commands.items() if why is purpose)
        return self.happens(CommandEnded(command, state, code))

    def registers(self, registration: str = "reg-2") -> "Way":
        self._register(registration, ("/3/0", "/5/0"))
        return self.happens(Reported())

    def leaves(self) -> "Way":
        event = DeviceDeregistered(
            id="e", time=self.now, device="dev-1", tenant="ten-1", registration=self.facts.registration or ""
        )
        self.facts = after_event(self.facts, event)
        return self.happens(Reported())

    def expires(self) -> "Way":
        event = RegistrationExpired(
            id="e", time=self.now, device="dev-1", tenant="ten-1", registration=self.facts.registration or ""
        )
        self.facts = after_event(self.facts, event)
        return self.happens(Reported())

    def passes(self, span: timedelta) -> "Way":
        """Time passes, and every timer fires when it is due."""
        until = self.now + span
        while (due := self.update.due_at) is not None and due <= until:
            self.now = max(self.now, due)
            before = self.update
            self.happens(TimeIsUp())
            assert self.update.due_at is None or self.update.due_at > self.now or self.update != before, "a timer hangs"
        self.now = until
        return self

    def _register(self, registration: str, objects: tuple[str, ...]) -> None:
        event = DeviceRegistered(
            id="e",
            time=self.now,
            device="dev-1",
            tenant="ten-1",
            endpoint="cam-1",
            registration=registration,
            version="1.1",
            lifetime_s=300,
            binding="U",
            queue_mode=False,
            secure=True,
            address="192.0.2.1:5683",
            objects=[(path, None) for path in objects],
        )
        self.facts = after_event(self.facts, event)


def downloading(kind: ArtifactKind = ArtifactKind.MODEL, **more: Any) -> Way:
    """The device said that it is idle and runs the old version, and was told where to fetch the new one."""
    way = Way(kind, **more).passes(SECOND).says(IDLE, 0, OLD).passes(SECOND).answers(Purpose.ADDRESS).passes(SECOND)
    way.heard()
    return way


def downloaded(kind: ArtifactKind = ArtifactKind.MODEL, **more: Any) -> Way:
    way = downloading(kind, **more).says(DOWNLOADING, 0).passes(SECOND).says(DOWNLOADED, 0)
    assert way.state is UpdateState.DOWNLOADED
    return way


def installing(kind: ArtifactKind = ArtifactKind.MODEL, **more: Any) -> Way:
    way = downloaded(kind, **more).passes(SECOND).answers(Purpose.INSTALL).passes(SECOND)
    assert way.state is UpdateState.INSTALLING
    way.heard()
    return way


def returned(kind: ArtifactKind = ArtifactKind.MODEL, **more: Any) -> Way:
    """The device was told to install and has registered anew."""
    return installing(kind, **more).passes(20 * SECOND).registers().passes(SECOND)


def trial(kind: ArtifactKind = ArtifactKind.MODEL, **more: Any) -> Way:
    """The device runs the new version, and is watched."""
    way = returned(kind, **more).says(IDLE, 1, NEW)
    assert way.state is UpdateState.TRIAL
    way.heard()
    return way
