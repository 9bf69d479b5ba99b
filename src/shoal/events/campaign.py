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

    @property
    def key(self) -> str:
        return self.update


AnyCampaignEvent: TypeAlias = UpdateChanged
