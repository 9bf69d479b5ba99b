"""A command: one request to a device, from the click until the device answered or the time for it was over."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from shoal.access.decision import Place
from shoal.errors import Conflict, Rejected
from shoal.ids import CommandId, DeviceId


class Operation(StrEnum):
    """What the gateway can do to a device (OMA LwM2M Core 1.1 §6.3, §6.4)."""

    READ = "read"
    WRITE = "write"
    WRITE_PARTIAL = "write_partial"
    EXECUTE = "execute"
    CREATE = "create"
    DELETE = "delete"
    DISCOVER = "discover"
    WRITE_ATTRIBUTES = "write_attributes"
    OBSERVE = "observe"
    CANCEL_OBSERVATION = "cancel_observation"
    READ_COMPOSITE = "read_composite"
    WRITE_COMPOSITE = "write_composite"
    OBSERVE_COMPOSITE = "observe_composite"
    CANCEL_OBSERVATION_COMPOSITE = "cancel_observation_composite"

    @property
    def changes_nothing(self) -> bool:
        """Whether asking once is as good as asking twice."""
        return self in {Operation.READ, Operation.READ_COMPOSITE, Operation.DISCOVER}

    @property
    def is_composite(self) -> bool:
        """Whether the body names several paths."""
        return self.value.endswith("_composite")


class State(StrEnum):
    """Where a command is on its way. Only the first two are still on it."""

    QUEUED = "queued"
    SENT = "sent"
    ANSWERED = "answered"
    REFUSED = "refused"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"

    @property
    def is_unfinished(self) -> bool:
        return self in UNFINISHED


UNFINISHED: Final = (State.QUEUED, State.SENT)


class Trigger(StrEnum):
    """What moves a command on."""

    SEND = "send"
    ANSWER = "answer"
    REFUSE = "refuse"
    EXPIRE = "expire"
    CANCEL = "cancel"
    TIME_OUT = "time_out"


# What is not in the table changes nothing.
TRANSITIONS: Final[dict[tuple[State, Trigger], State]] = {
    (State.QUEUED, Trigger.SEND): State.SENT,
    (State.QUEUED, Trigger.ANSWER): State.ANSWERED,
    # Refused without having been sent: by us (a value that does not fit its definition) or by the device at once.
    (State.QUEUED, Trigger.REFUSE): State.REFUSED,
    (State.QUEUED, Trigger.EXPIRE): State.EXPIRED,
    (State.QUEUED, Trigger.CANCEL): State.CANCELLED,
    (State.QUEUED, Trigger.TIME_OUT): State.TIMED_OUT,
    (State.SENT, Trigger.ANSWER): State.ANSWERED,
    (State.SENT, Trigger.REFUSE): State.REFUSED,
    # Left, and its time passed while nobody was there to hear the answer.
    (State.SENT, Trigger.EXPIRE): State.TIMED_OUT,
    (State.SENT, Trigger.TIME_OUT): State.TIMED_OUT,
    # We had given up, but it had left already: what the device says is the truth, and a person must be able to find it.
    (State.EXPIRED, Trigger.ANSWER): State.ANSWERED,
    (State.EXPIRED, Trigger.REFUSE): State.REFUSED,
    (State.CANCELLED, Trigger.ANSWER): State.ANSWERED,
    (State.CANCELLED, Trigger.REFUSE): State.REFUSED,
    (State.TIMED_OUT, Trigger.ANSWER): State.ANSWERED,
    (State.TIMED_OUT, Trigger.REFUSE): State.REFUSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One request to a device. `number` rises with each command and is what the core knows it by.

    `path` is `/` where the body names several. `body` is what is sent along and `answer` what came back, both JSON as the core writes it. `trace` is the traceparent
    of whoever asked.
    """

    number: int
    id: CommandId
    device: DeviceId
    place: Place
    operation: Operation
    path: str
    body: bytes | None
    state: State
    wait_for_wake: bool
    by: str | None
    created_at: datetime
    expires_at: datetime
    sent_at: datetime | None = None
    finished_at: datetime | None = None
    code: str | None = None
    detail: str = ""
    answer: bytes | None = None
    trip_ms: float | None = None
    trace: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of a composite; none for all others."""
        if not self.operation.is_composite or self.body is None:
            return ()
        body = msgspec.json.decode(self.body, type=_Composite)
        return body.paths or tuple(body.values)


class _Composite(msgspec.Struct):
    paths: tuple[str, ...] = ()
    values: dict[str, Any] = {}


# How the core reports what became of a request. It never left in the last two cases.
_OUTCOMES: Final[dict[str, Trigger]] = {
    "sent": Trigger.SEND,
    "answered": Trigger.ANSWER,
    "refused": Trigger.REFUSE,
    "timed_out": Trigger.TIME_OUT,
    "expired": Trigger.EXPIRE,
    "cancelled": Trigger.CANCEL,
    "unregistered": Trigger.REFUSE,
    "too_many": Trigger.REFUSE,
}


def trigger_for(outcome: str) -> Trigger:
    """What an outcome of the core means for a command.

    Raises:
        Rejected: a word that the core does not have.
    """
    if outcome not in _OUTCOMES:
        raise Rejected("outcome", f"{outcome[:40]!r} is none of the core's")
    return _OUTCOMES[outcome]


def after(state: State, trigger: Trigger) -> State | None:
    """The next state, or None when the trigger changes nothing in this one."""
    return TRANSITIONS.get((state, trigger))


def check_cancel(command: Command) -> None:
    """Nothing when it can still be called back.

    Raises:
        Conflict: it has left, or it is over.
    """
    if after(command.state, Trigger.CANCEL) is None:
        reason = "already sent to the device" if command.state is State.SENT else "already over"
        raise Conflict(command.id, reason, state=command.state.value)
