"""What the health worker concluded about devices: topic shoal.condition.v1."""

from typing import ClassVar, TypeAlias

import msgspec

from shoal.events.envelope import Event, Moment
from shoal.events.topics import CONDITION, Topic


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One line of why we think so, newest first on a screen: a moment, and a sentence."""

    at: Moment
    says: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The cause of a condition: a stable word, a sentence for people, what was checked and ruled out."""

    cause: str
    says: str
    evidence: list[Evidence] = []
    ruled_out: list[str] = []


class ConditionEvent(Event, frozen=True, kw_only=True):
    """Something about a device. `episode` is the same from opening to close and across replays."""

    topic: ClassVar[Topic] = CONDITION

    episode: str
    tenant: str
    device: str
    endpoint: str
    kind: str
    farm: str | None
    enclosure: str | None
    condition: str
    instance: str = ""
    severity: str
    since: Moment
    verdict: Verdict

    @property
    def key(self) -> str:
        return self.farm or self.device


class ConditionOpened(ConditionEvent, frozen=True, kw_only=True, tag="condition-opened"):
    """Something about a device has been wrong for longer than its on-delay."""


class ConditionChanged(ConditionEvent, frozen=True, kw_only=True, tag="condition-changed"):
    """An open condition changed its severity or its cause. `number` counts the changes of an episode, from 1."""

    number: int = 1


class ConditionClosed(ConditionEvent, frozen=True, kw_only=True, tag="condition-closed"):
    """It is over. `reason` says how: recovered, removed."""

    closed_at: Moment
    reason: str = "recovered"


class StatusChanged(Event, frozen=True, kw_only=True, tag="status"):
    """The one word for a device changed: new, healthy, degraded, failing or silent."""

    topic: ClassVar[Topic] = CONDITION

    tenant: str
    device: str
    farm: str | None
    status: str
    was: str
    cause: str | None

    @property
    def key(self) -> str:
        return self.farm or self.device


AnyConditionEvent: TypeAlias = ConditionOpened | ConditionChanged | ConditionClosed | StatusChanged
