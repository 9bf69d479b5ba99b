"""Asking a device and waiting for what it says: at once when it listens, with a command that waits when it sleeps."""

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from fastapi import Query
from pydantic import BaseModel, BeforeValidator, JsonValue

from shoal.api.access import Asking
from shoal.api.commands import GRANTED, answer_of
from shoal.api.context import Rooms
from shoal.api.problems import NoAnswer
from shoal.commands.command import Command, Operation, State
from shoal.commands.queue import TIME_TO_LIVE_MAX, TIME_TO_LIVE_MIN
from shoal.errors import Conflict, DeviceFault, Rejected
from shoal.inventory.device import Device
from shoal.inventory.presence import Registration
from shoal.lwm2m.path import Path

# Longer than a device takes that listens and has a poor link, shorter than proxies and the pages' backend wait.
WAIT_MAX: Final = timedelta(seconds=30)
# A device in queue mode that has just spoken may be about to sleep: then the command stands, and the caller knows.
WAIT_AWAKE: Final = timedelta(seconds=10)
# As long as a person who asked today still wants it done.
TIME_TO_LIVE: Final = timedelta(hours=24)
# A device on the same network answers within the first; over a satellite nobody notices the last.
LOOK_AFTER: Final = timedelta(milliseconds=15)
LOOK_EVERY_MAX: Final = timedelta(milliseconds=250)  # rows looked at by 500 waiting requests: 2,000 a second at most

_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "": 1.0}
_SPAN: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d|)", re.ASCII)


def parse_span(raw: object) -> timedelta:
    """A length of time as it stands in a query: `30s`, `500ms`, `12h`; a bare number is seconds."""
    found = _SPAN.fullmatch(str(raw).strip())
    if found is None:
        raise ValueError("not a length of time like 30s or 12h")
    return timedelta(seconds=float(found[1]) * _UNITS_S[found[2]])


Span: TypeAlias = Annotated[timedelta, BeforeValidator(parse_span)]
Wait: TypeAlias = Annotated[
    Span | None,
    Query(ge=timedelta(), le=WAIT_MAX, description="how long to wait for the answer, such as 30s; at most 30s"),
]
TimeToLive: TypeAlias = Annotated[
    Span, Query(ge=TIME_TO_LIVE_MIN, le=TIME_TO_LIVE_MAX, description="how long the command may wait for a wake-up")
]


class Answer(BaseModel):
    """What a device answered, or what was last known of it (`source`).

    `kinds` are, by path, the types of what JSON does not tell: `opaque` (bytes in Base64), `objlnk` (an object link) and
    `time` (Unix seconds). `trip_ms` is how long the device took to answer. `is_cut`: of a value that was last known only the beginning is kept;
    what a device answers is whole.
    """

    path: str
    value: JsonValue = None
    is_cut: bool = False
    type: str = ""
    kinds: dict[str, str] = {}
    at: datetime
    source: str = "device"
    command: str | None = None
    trip_ms: float | None = None


class Reach(Enum):
    """Whether a request would be heard now."""

    ALWAYS = "always"
    AWAKE = "awake"
    AWAY = "away"


def reach_of(registration: Registration | None, window: timedelta, now: datetime) -> Reach:
    """Whether a device would hear us, as far as we know."""
    if registration is None or not registration.is_current:
        return Reach.AWAY
    if not registration.queue_mode:
        return Reach.ALWAYS
    return Reach.AWAKE if registration.is_awake(window, now) else Reach.AWAY


async def ask(
    rooms: Rooms,
    asking: Asking,
    device: Device,
    operation: Operation,
    path: str,
    body: dict[str, Any] | None,
    wait: timedelta | None,
    time_to_live: timedelta = TIME_TO_LIVE,
) -> Command:
    """Asks a device; the command as it is when the device answered, or when waiting has no more sense.

    Raises:
        Forbidden: the caller may not do that there.
        Rejected: a request that makes no sense for this path.
        DeviceFault: the device refused (with its code), or should have answered and did not.
        Conflict: too much waits for the device; or somebody called the command back.
    """
    for each in _paths(operation, path, body):
        asking.may(GRANTED[operation], device.place, each)
    profile = await rooms.inventory.profile(asking.tenant, device.profile)
    reach = reach_of(device.registration, profile.awake_window, rooms.clock.now())
    # Who listens always answers now or has a problem; for all others the command stands until they wake.
    patience = wait if wait is not None else _USUAL[reach]
    async with rooms.database.transaction() as tx:
        command = await rooms.commands.enqueue(
            tx,
            device.place,
            operation,
            path,
            body=None if body is None else msgspec.json.encode(body),
            time_to_live=WAIT_MAX if reach is Reach.ALWAYS else time_to_live,
            by=asking.name,
            wait_for_wake=reach is not Reach.ALWAYS,
        )
    with rooms.waiting.one_more() as has_room:
        if has_room and patience:
            command = await _outcome(rooms, command, patience)
    return _checked(command, device, is_due=reach is Reach.ALWAYS and has_room and bool(patience))


def _paths(operation: Operation, path: str, body: Mapping[str, Any] | None) -> list[Path]:
    """The paths that a request is about, each of which takes a grant.

    Of a partial write only what it names: the other resources of the instance stay as they are.
    """
    said = body or {}
    if operation is Operation.READ_COMPOSITE:
        return [Path.parse(each) for each in said["paths"]]
    if operation is Operation.WRITE_COMPOSITE:
        return [Path.parse(each) for each in said["values"]]
    at = Path.parse(path)
    if operation is Operation.WRITE_PARTIAL and at.resource is None and said.get("resources"):
        return [Path.parse(f"{at}/{number}") for number in said["resources"]]
    return [at]


_USUAL: Final = {Reach.ALWAYS: WAIT_MAX, Reach.AWAKE: WAIT_AWAKE, Reach.AWAY: timedelta()}


async def _outcome(rooms: Rooms, command: Command, at_most: timedelta) -> Command:
    """The command once it is over, or as it is after that time. The row is the truth, whoever writes it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + at_most.total_seconds()
    pause_s = LOOK_AFTER.total_seconds()
    while command.state.is_unfinished and (left_s := deadline - loop.time()) > 0:
        await asyncio.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 1.5, LOOK_EVERY_MAX.total_seconds())
        command = await rooms.commands.command(command.place.tenant, command.id)
    return command


def _checked(command: Command, device: Device, *, is_due: bool) -> Command:
    """The command when the device did it, or when it may still do it."""
    name = device.endpoint
    match command.state:
        case State.REFUSED if command.code is not None:
            raise DeviceFault(name, command.operation.value, command.code, command.detail)
        case State.REFUSED if command.detail == "not registered":
            raise NoAnswer(name, command.operation.value, command.id, "it is not registered any more")
        case State.REFUSED:
            # It never left: the gateway could make no request of it.
            raise Rejected(command.path, command.detail or "not possible")
        case State.TIMED_OUT | State.EXPIRED:
            raise NoAnswer(name, command.operation.value, command.id, command.detail)
        case State.CANCELLED:
            raise Conflict(command.id, "was called back")
        case State.QUEUED | State.SENT if is_due:
            raise NoAnswer(name, command.operation.value, command.id, "it may still answer: see the command")
        case _:
            return command


def created_path(command: Command) -> str:
    """Where a new instance is."""
    return str(answer_of(command).get("path", command.path))
