"""The update that is worked on, with all that is known at this moment, and what is often asked of the device."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from shoal.campaigns import facts as paths
from shoal.campaigns.artifact import ArtifactKind
from shoal.campaigns.facts import DeviceFacts, Said
from shoal.campaigns.timers import Timers
from shoal.campaigns.update import Action, Ask, Purpose, Step, Trigger, Update, moved

replace = msgspec.structs.replace

# Object 5, resource 3 (State).
IDLE: Final = 0
DOWNLOADING: Final = 1
DOWNLOADED: Final = 2
UPDATING: Final = 3


@dataclass(slots=True)
class Desk:
    """One update, its device, and the time."""

    update: Update
    facts: DeviceFacts
    now: datetime

    @property
    def timers(self) -> Timers:
        return Timers.of(self.facts, self.update.size)

    @property
    def version(self) -> Said | None:
        return self.facts.version_of(self.update.kind)

    def state_since(self, since: datetime) -> int | None:
        """The state of object 5, if it said so since then."""
        state = fresh(self.facts.state, since)
        return state if isinstance(state, int) else None

    def ends(self, trigger: Trigger, reason: str, *actions: Action) -> Step:
        """The update in the end that the trigger leads to."""
        return Step(moved(self.update, trigger, self.now, reason), actions)


def polls(update: Update) -> tuple[Action, ...]:
    """Reads state, result and version, unless that is being asked already."""
    if Purpose.POLL_STATE in update.commands.values():
        return ()
    version = paths.PACKAGE_VERSION if update.kind is ArtifactKind.MODEL else paths.FIRMWARE_VERSION
    return (
        Ask(Purpose.POLL_STATE, "read", paths.STATE),
        Ask(Purpose.POLL, "read", paths.RESULT),
        Ask(Purpose.POLL_VERSION, "read", version),
    )


def observes() -> tuple[Action, ...]:
    """Has the device tell its state and result by itself."""
    return tuple(Ask(Purpose.OBSERVE, "observe", path) for path in (paths.STATE, paths.RESULT))


def fresh(said: Said | None, since: datetime) -> int | float | str | None:
    """A value that is not older than `since`."""
    return said.value if said is not None and said.at >= since else None
