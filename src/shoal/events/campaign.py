"""How updates of firmware and models go: topic shoal.campaign.v1."""

from typing import ClassVar, TypeAlias

from shoal.events.envelope import Event, Moment
from shoal.events.topics import CAMPAIGN, Topic


class UpdateChanged(Event, frozen=True, kw_only=True, tag="update"):
    """One device's update went into another state (docs/architecture.md, campaigns)."""

    topic: ClassVar[Topic] = CAMPAIGN

    update: str
    tenant: str
    farm: str | None
    device: str
    artifact: str
    name: str
    version: str
    state: str
    was: str | None
    reason: str = ""
    deadline: Moment | None = None
    bytes: int | None = None
    size: int | None = None
    # The update that this one undoes: it takes the device back to what it ran before.
    undoes: str | None = None

    @property
    def key(self) -> str:
        return self.update


class VersionEvent(Event, frozen=True, kw_only=True):
    """What a device runs, beside what our last update of it left it with (`version`). `kind` is firmware or model."""

    topic: ClassVar[Topic] = CAMPAIGN

    update: str
    tenant: str
    farm: str | None
    device: str
    kind: str
    name: str
    version: str
    reported: str

    @property
    def key(self) -> str:
        return self.update


class VersionDrifted(VersionEvent, frozen=True, kw_only=True, tag="version-drifted"):
    """A device reports another version than our last update left it with, and no update of ours did that."""


class VersionRestored(VersionEvent, frozen=True, kw_only=True, tag="version-restored"):
    """A device that had drifted runs what it should again."""


AnyCampaignEvent: TypeAlias = UpdateChanged | VersionDrifted | VersionRestored
