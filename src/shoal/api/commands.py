"""Commands: what was asked of devices, and what became of it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, JsonValue

from shoal.access.policy import Operation as Granted
from shoal.api.access import Asking, CommandKey, DeviceKey, HeldAsking, Reader
from shoal.api.context import HeldRooms, Rooms
from shoal.api.paging import ITEMS_USUAL, Cursor, Limit, Listed
from shoal.commands.command import Command, Operation, State
from shoal.errors import Rejected
from shoal.ids import DeviceId, TenantId
from shoal.lwm2m.path import Path

router = APIRouter(tags=["commands"])

# A number of a command as text: more digits than any table will have rows.
_NUMBER_DIGITS_MAX: Final = 18

# Types of values that JSON has no form of its own for.
_UNTOLD: Final = frozenset({"opaque", "objlnk", "time"})

# What each operation takes; the gateway's words are finer than what can be granted.
GRANTED: Final[Mapping[Operation, Granted]] = {
    Operation.READ: Granted.READ,
    Operation.WRITE: Granted.WRITE,
    Operation.WRITE_PARTIAL: Granted.WRITE,
    Operation.WRITE_ATTRIBUTES: Granted.WRITE,
    Operation.EXECUTE: Granted.EXECUTE,
    Operation.CREATE: Granted.CREATE,
    Operation.DELETE: Granted.DELETE,
    Operation.DISCOVER: Granted.DISCOVER,
    Operation.OBSERVE: Granted.OBSERVE,
    Operation.CANCEL_OBSERVATION: Granted.OBSERVE,
    Operation.READ_COMPOSITE: Granted.READ,
    Operation.WRITE_COMPOSITE: Granted.WRITE,
    Operation.OBSERVE_COMPOSITE: Granted.OBSERVE,
    Operation.CANCEL_OBSERVATION_COMPOSITE: Granted.OBSERVE,
}


class CommandShown(BaseModel):
    """`state` is queued, sent, answered, refused, expired or cancelled.

    `path` is `/` for a composite, whose `paths` are those that it is about. `value` is what is to be written, what was read, or what was discovered: attributes by path; `kinds` as in `Answer`. `expected_at` is when a device that sleeps is thought to wake.
    """

    id: str
    device: str
    operation: str
    path: str
    paths: list[str] = []
    state: str
    by: str | None
    code: str | None
    detail: str
    value: JsonValue
    kinds: dict[str, str] = {}
    at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime
    expected_at: datetime | None


@router.get("/commands/{command}")
async def one(command: CommandKey, asking: HeldAsking, rooms: HeldRooms) -> CommandShown:
    """How a command fares."""
    found = await rooms.commands.command(asking.tenant, command)
    _may(asking, Granted.READ, found)
    return command_shown(found, await expected_at(rooms, asking.tenant, found.device))


@router.delete("/commands/{command}", status_code=204)
async def cancel(command: CommandKey, asking: HeldAsking, rooms: HeldRooms) -> None:
    """Calls back a command that has not left: 409 when it has, or when it is over."""
    found = await rooms.commands.command(asking.tenant, command)
    _may(asking, GRANTED[found.operation], found)
    async with rooms.database.transaction() as tx:
        await rooms.commands.cancel(tx, asking.tenant, command)


@router.get("/devices/{device}/commands")
async def of_device(
    device: DeviceKey,
    asking: HeldAsking,
    rooms: HeldRooms,
    unfinished: Annotated[
        bool | None, Query(description="only those on their way, or only those that are over")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = ITEMS_USUAL,
) -> Listed[CommandShown]:
    """What was asked of a device, newest first."""
    asking.may(Granted.READ, (await rooms.inventory.device(asking.tenant, device)).place)
    found = await rooms.commands.of_device(
        asking.tenant, device, before=_number(cursor), limit=limit, is_unfinished=unfinished
    )
    expected = await expected_at(rooms, asking.tenant, device)
    return Listed(
        items=[command_shown(command, expected) for command in found if can_read(asking, command)],
        next=str(found[-1].number) if len(found) == limit else None,
    )


def can_read(asking: Reader, command: Command) -> bool:
    """Whether the caller may see what was asked: it tells values of its paths."""
    return all(asking.can(Granted.READ, command.place, path) for path in _paths(command))


def _may(asking: Asking, operation: Granted, command: Command) -> None:
    for path in _paths(command):
        asking.may(operation, command.place, path, thing=command.id)


def _paths(command: Command) -> list[Path]:
    return [Path.parse(path) for path in command.paths or (command.path,)]


async def expected_at(rooms: Rooms, tenant: TenantId, device: DeviceId) -> datetime | None:
    """When the device is thought to speak next; a moment that has passed promises nothing."""
    health = (await rooms.health.of(tenant, [device])).get(device)
    due = health.expected_by if health else None
    return due if due is not None and due > rooms.clock.now() else None


def command_shown(command: Command, expected: datetime | None) -> CommandShown:
    is_lost = command.state is State.TIMED_OUT
    return CommandShown(
        id=command.id,
        device=command.device,
        operation=command.operation.value,
        path=command.path,
        paths=list(command.paths),
        # To the one who asked both are the same: its time is over, and nothing came back.
        state=State.EXPIRED.value if is_lost else command.state.value,
        by=command.by,
        code=command.code,
        detail=command.detail or ("the device did not answer" if is_lost else ""),
        value=_value(command),
        kinds=kinds_of(answer_of(command).get("content", [])),
        at=command.created_at,
        sent_at=command.sent_at,
        finished_at=command.finished_at,
        expires_at=command.expires_at,
        expected_at=expected if command.state is State.QUEUED else None,
    )


def nested(path: str, content: list[dict[str, Any]]) -> JsonValue:
    """What was read, by what was asked: a value for a resource, an object of values for what has parts."""
    if len(content) == 1 and content[0]["path"] == path:
        value: JsonValue = content[0]["value"]
        return value
    tree: dict[str, Any] = {}
    for item in content:
        parts = str(item["path"]).removeprefix(path).strip("/").split("/")
        branch = tree
        for part in parts[:-1]:
            below = branch.setdefault(part, {})
            branch = below if isinstance(below, dict) else branch
        branch[parts[-1]] = item["value"]
    return tree


def kinds_of(content: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Of what was read, by path, what JSON does not tell: bytes and object links are text there, times are numbers."""
    return {str(item["path"]): str(item["type"]) for item in content if item.get("type") in _UNTOLD}


def answer_of(command: Command) -> dict[str, Any]:
    """What the device answered, as the gateway understood it; empty when it only said yes."""
    return {} if command.answer is None else dict(msgspec.json.decode(command.answer))


def _value(command: Command) -> JsonValue:
    if command.state is State.ANSWERED and command.operation is Operation.READ:
        return nested(command.path, answer_of(command).get("content", []))
    if command.operation is Operation.READ_COMPOSITE:
        content = answer_of(command).get("content", [])
        return {item["path"]: item["value"] for item in content} if command.state is State.ANSWERED else None
    if command.state is State.ANSWERED and command.operation is Operation.DISCOVER:
        return {link["path"]: link["attributes"] for link in answer_of(command).get("links", [])}
    if command.body is None:
        return None
    body: JsonValue = msgspec.json.decode(command.body)
    # Attributes are what is written; of all else it stands in an envelope.
    if isinstance(body, dict) and len(body) == 1 and command.operation is not Operation.WRITE_ATTRIBUTES:
        return next(iter(body.values()))
    return body


def _number(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > _NUMBER_DIGITS_MAX:
        raise Rejected("cursor", "not one of ours")
    return int(cursor)
