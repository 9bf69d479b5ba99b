"""Which commands may wait for a device, and which are the same question asked twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import msgspec

from shoal.commands.command import Command, Operation, State
from shoal.errors import Rejected

# As many as the core keeps for one device: a sleeper that wakes for a minute and a half answers no more than these.
WAITING_PER_DEVICE_MAX: Final = 32
# Two weeks: a device that has not woken by then needs a person, and what was asked of it is out of date.
TIME_TO_LIVE_MAX: Final = timedelta(days=14)
# Anything shorter is over before it can leave.
TIME_TO_LIVE_MIN: Final = timedelta(seconds=1)
# Largest body: as much as a device's answer may have, so that what was read can be written back.
BODY_BYTES_MAX: Final = 64 * 1024
# After its time, an answer may still be on its way: RFC 7252 §4.8.2, MAX_TRANSMIT_WAIT.
ANSWER_WAIT: Final = timedelta(seconds=93)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants of a device, before it is a command."""

    operation: Operation
    path: str
    body: bytes | None
    time_to_live: timedelta
    wait_for_wake: bool
    by: str | None


@dataclass(frozen=True, slots=True)
class Add:
    """It is new: queue it."""


@dataclass(frozen=True, slots=True)
class Join:
    """The same question waits already: its answer is the answer."""

    command: Command


@dataclass(frozen=True, slots=True)
class Full:
    """The device has enough to do."""

    waiting: int


Admission: TypeAlias = Add | Join | Full


def admit(asked: Asked, unfinished: Sequence[Command], now: datetime) -> Admission:
    """What to do with it, given all that the device has not finished yet."""
    # Who asks after something that changes the device wants to see the change.
    changed = max((command.number for command in unfinished if not command.operation.changes_nothing), default=-1)
    for command in unfinished:
        if command.number > changed and _is_same(asked, command, now):
            return Join(command)
    if len(unfinished) >= WAITING_PER_DEVICE_MAX:
        return Full(len(unfinished))
    return Add()


def check_asked(asked: Asked) -> Asked:
    """A command that can be queued.

    Raises:
        Rejected: a time to live or a body outside our limits, or a body that is no JSON.
    """
    if not TIME_TO_LIVE_MIN <= asked.time_to_live <= TIME_TO_LIVE_MAX:
        seconds = f"{TIME_TO_LIVE_MIN.total_seconds():.0f} to {TIME_TO_LIVE_MAX.total_seconds():.0f} s"
        raise Rejected("time to live", f"{asked.time_to_live.total_seconds():.0f} s, expected {seconds}")
    if asked.body is not None and len(asked.body) > BODY_BYTES_MAX:
        raise Rejected("body", f"{len(asked.body)} bytes, at most {BODY_BYTES_MAX}")
    if asked.body is not None and not _is_json(asked.body):
        raise Rejected("body", "not JSON")
    return asked


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    except msgspec.DecodeError:
        return False
    return True


def _is_same(asked: Asked, command: Command, now: datetime) -> bool:
    """Only what changes nothing on the device may be merged, and only before it left: else its answer is older."""
    if not asked.operation.changes_nothing or command.state is not State.QUEUED:
        return False
    if (command.operation, command.path, command.body) != (asked.operation, asked.path, asked.body):
        return False
    # With less than half of the time left it would let down the one who asks now.
    return command.wait_for_wake == asked.wait_for_wake and command.expires_at - now >= asked.time_to_live / 2
