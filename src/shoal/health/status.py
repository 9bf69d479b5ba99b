"""One word for a device, beside it the cause."""

from collections.abc import Collection
from enum import StrEnum
from typing import Protocol

from shoal.events.condition import Verdict
from shoal.events.severity import Severity


class Status(StrEnum):
    """What a screen shows. `asleep` and `stale` are flags beside it."""

    NEW = "new"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILING = "failing"
    SILENT = "silent"


class OpenCondition(Protocol):
    """What of an open episode counts here."""

    @property
    def condition(self) -> str: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def verdict(self) -> Verdict: ...


def status(*, was_heard: bool, conditions: Collection[OpenCondition]) -> tuple[Status, str | None]:
    """The word and its cause, from the worst of what is open.

    Silence hides the rest: of a device that says nothing we know nothing else. What is only informational leaves a
    device healthy.
    """
    silent = next((condition for condition in conditions if condition.condition == "silent"), None)
    if silent is not None:
        return Status.SILENT, silent.verdict.cause
    grave = [condition for condition in conditions if condition.severity is not Severity.INFORMATIONAL]
    if not was_heard and not grave:
        return Status.NEW, None
    if not grave:
        return Status.HEALTHY, None
    worst = min(grave, key=lambda condition: (condition.severity.rank, condition.condition))
    word = Status.FAILING if worst.severity is Severity.CRITICAL else Status.DEGRADED
    return word, worst.verdict.cause
