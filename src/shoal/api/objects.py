"""Objects of a device: the tree that it registered, and what can be done to it, live."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, get_args

from fastapi import APIRouter, Body, Query, Response
from fastapi import Path as PathParameter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, JsonValue

from shoal.access.policy import Operation as Granted
from shoal.api.access import Asking, DeviceKey, HeldAsking
from shoal.api.answers import TIME_TO_LIVE, Answer, TimeToLive, Wait, ask, created_path
from shoal.api.commands import CommandShown, answer_of, command_shown, expected_at, kinds_of, nested
from shoal.api.context import HeldRooms, Rooms
from shoal.api.object_tree import Meanings, ObjectShown, last_known, told_type, tree_of, word_of
from shoal.api.paging import Listed
from shoal.commands.command import Command, Operation, State
from shoal.errors import NotFound, Rejected
from shoal.history.readings import taken_at
from shoal.inventory.device import Device
from shoal.lwm2m.objects import ValueType
from shoal.lwm2m.path import Path

# Resources of one write: more do not fit the block of a constrained device, and none of ours has as many.
MEMBERS_MAX: Final = 256
# The ten digits of OMA LwM2M Core 1.1 §6.3.5.
ARGUMENTS_MAX: Final = 10

# The digits of the largest number of 64 bit.
_WHOLE: Final = re.compile(r"[+-]?\d{1,20}", re.ASCII)

router = APIRouter(tags=["objects"])

Values = Annotated[dict[str, JsonValue], Field(max_length=MEMBERS_MAX)]
PathText = Annotated[str, PathParameter(max_length=24, description="3, 3/0, 3/0/9 or 3/0/11/0")]


class Written(BaseModel):
    """One of the three: `value` for a resource, `values` for one with instances, `resources` for an instance.

    A value of what no definition knows may come with its type: `{"opaque": "AAEC"}`, `{"objlnk": "3303:0"}`.
    """

    value: JsonValue = None
    values: Values | None = None
    resources: Values | None = None


class Posted(BaseModel):
    """`arguments` to execute a resource; `resources`, and `instance` if it matters, to create an instance."""

    arguments: dict[str, str | int | None] | None = Field(default=None, max_length=ARGUMENTS_MAX)
    instance: int | None = Field(default=None, ge=0, le=65_534)
    resources: Values | None = None


class DiscoverAsked(BaseModel):
    """`depth`: how many levels below the path, for a client of LwM2M 1.2 (Core 1.2 §6.3.2)."""

    path: str = Field(max_length=24, examples=["/3"])
    depth: int | None = Field(default=None, ge=0, le=3)


class AttributesAsked(BaseModel):
    """Attributes of OMA LwM2M Core 1.1 §5.1.2, such as `pmin` and `pmax`; null takes one back."""

    path: str = Field(max_length=24, examples=["/3/0/9"])
    attributes: dict[str, float | bool | None] = Field(max_length=16)


class Link(BaseModel):
    path: str
    attributes: dict[str, str | bool]


class Discovered(BaseModel):
    path: str
    links: list[Link]
    at: datetime


ASKED: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": CommandShown, "description": "The device sleeps: a command waits for it"},
    502: {"description": "`device-refused`, with the device's CoAP code"},
    504: {"description": "`no-answer`: the device should have answered"},
}


@router.get("/devices/{device}/objects")
async def tree(device: DeviceKey, asking: HeldAsking, rooms: HeldRooms) -> Listed[ObjectShown]:
    """The tree that the device registered, with definitions and what was last known. Empty before it registered."""
    found = await rooms.inventory.device(asking.tenant, device)
    asking.may(Granted.READ, found.place)
    observed = {one.path for one in await rooms.inventory.observations(asking.tenant, device) if one.is_wanted}
    values = [value for value in await rooms.history.last_values(device) if _can_read(asking, found, value.path)]
    return Listed(items=tree_of(found, observed, values, rooms.objects))


@router.get("/devices/{device}/objects/{path:path}", response_model=Answer, responses=ASKED)
async def read(
    device: DeviceKey,
    path: PathText,
    asking: HeldAsking,
    rooms: HeldRooms,
    wait: Wait = None,
    source: Annotated[Literal["device", "last-known"], Query()] = "device",
    ttl: TimeToLive = TIME_TO_LIVE,
) -> Answer | JSONResponse:
    """Reads an object, an instance, a resource or a resource instance."""
    at = Path.parse(path)
    found = await rooms.inventory.device(asking.tenant, device)
    if source == "last-known":
        asking.may(Granted.READ, found.place, at)
        return await _last_known(rooms, found, at)
    command = await ask(rooms, asking, found, Operation.READ, str(at), None, wait, ttl)
    return await _said(rooms, found, command)


@router.put("/devices/{device}/objects/{path:path}", response_model=Answer, responses=ASKED)
async def write(
    device: DeviceKey,
    path: PathText,
    asked: Annotated[Written, Body()],
    asking: HeldAsking,
    rooms: HeldRooms,
    wait: Wait = None,
    ttl: TimeToLive = TIME_TO_LIVE,
) -> Answer | JSONResponse:
    """Writes a resource or an instance, replacing what is there."""
    found = await rooms.inventory.device(asking.tenant, device)
    at, body = _to_write(path, asked, Meanings(rooms.objects, found))
    command = await ask(rooms, asking, found, Operation.WRITE, at, body, wait, ttl)
    return await _said(rooms, found, command)


@router.patch("/devices/{device}/objects/{path:path}", response_model=Answer, responses=ASKED)
async def write_partial(
    device: DeviceKey,
    path: PathText,
    asked: Annotated[Written, Body()],
    asking: HeldAsking,
    rooms: HeldRooms,
    wait: Wait = None,
    ttl: TimeToLive = TIME_TO_LIVE,
) -> Answer | JSONResponse:
    """Writes some resources of an instance, or instances of a resource; the others stay."""
    found = await rooms.inventory.device(asking.tenant, device)
    at, body = _to_write(path, asked, Meanings(rooms.objects, found))
    command = await ask(rooms, asking, found, Operation.WRITE_PARTIAL, at, body, wait, ttl)
    return await _said(rooms, found, command)


@router.post(
    "/devices/{device}/objects/{path:path}",
    response_model=Answer,
    responses={**ASKED, 201: {"model": Answer, "description": "The instance was created"}},
)
async def execute_or_create(
    device: DeviceKey,
    path: PathText,
    response: Response,
    asking: HeldAsking,
    rooms: HeldRooms,
    asked: Annotated[Posted | None, Body()] = None,
    wait: Wait = None,
    ttl: TimeToLive = TIME_TO_LIVE,
) -> Answer | JSONResponse:
    """Executes a resource (`3/0/4`), or creates an instance of an object (`3303`): 201 with its path."""
    at, said = Path.parse(path), asked or Posted()
    found = await rooms.inventory.device(asking.tenant, device)
    if at.resource is not None and at.resource_instance is None:
        body: dict[str, Any] | None = {"arguments": said.arguments} if said.arguments else None
        command = await ask(rooms, asking, found, Operation.EXECUTE, str(at), body, wait, ttl)
        return await _said(rooms, found, command)
    if at.instance is not None:
        raise Rejected("path", f"{at} is neither an object nor a resource")
    resources = (
        {} if said.resources is None else _typed(Path(at.object, 0), said.resources, Meanings(rooms.objects, found))
    )
    body = {"resources": resources} | ({} if said.instance is None else {"instance": said.instance})
    command = await ask(rooms, asking, found, Operation.CREATE, str(at), body, wait, ttl)
    if command.state is State.ANSWERED:
        created = created_path(command)
        response.status_code = 201
        response.headers["Location"] = f"/api/v1/devices/{device}/objects{created}"
        return Answer(path=created, at=finished_at(command), command=command.id)
    return await _said(rooms, found, command)


@router.delete("/devices/{device}/objects/{path:path}", response_model=Answer, responses=ASKED)
async def delete(
    device: DeviceKey,
    path: PathText,
    asking: HeldAsking,
    rooms: HeldRooms,
    wait: Wait = None,
    ttl: TimeToLive = TIME_TO_LIVE,
) -> Answer | JSONResponse:
    """Deletes an instance of an object; of a client of LwM2M 1.2 also an instance of a resource."""
    at = Path.parse(path)
    if at.instance is None or (at.resource is not None and at.resource_instance is None):
        raise Rejected("path", f"{at} is not an instance of an object or of a resource")
    found = await rooms.inventory.device(asking.tenant, device)
    command = await ask(rooms, asking, found, Operation.DELETE, str(at), None, wait, ttl)
    return await _said(rooms, found, command)


@router.post("/devices/{device}:discover", response_model=Discovered, responses=ASKED)
async def discover(
    device: DeviceKey, asked: DiscoverAsked, asking: HeldAsking, rooms: HeldRooms, wait: Wait = None
) -> Discovered | JSONResponse:
    """Which paths the device has beneath one, with their attributes (OMA LwM2M Core 1.1 §6.3.2)."""
    at = Path.parse(asked.path)
    found = await rooms.inventory.device(asking.tenant, device)
    body = None if asked.depth is None else {"depth": asked.depth}
    command = await ask(rooms, asking, found, Operation.DISCOVER, str(at), body, wait)
    if command.state.is_unfinished:
        return await waiting(rooms, found, command)
    links = [Link(path=link["path"], attributes=link["attributes"]) for link in answer_of(command).get("links", [])]
    return Discovered(path=str(at), links=links, at=finished_at(command))


@router.post("/devices/{device}:send-attributes", response_model=Answer, responses=ASKED)
async def send_attributes(
    device: DeviceKey, asked: AttributesAsked, asking: HeldAsking, rooms: HeldRooms, wait: Wait = None
) -> Answer | JSONResponse:
    """Says when the device is to notify (Write-Attributes, OMA LwM2M Core 1.1 §6.3.4)."""
    at = Path.parse(asked.path)
    found = await rooms.inventory.device(asking.tenant, device)
    body = {name: _whole(value) for name, value in asked.attributes.items()}
    command = await ask(rooms, asking, found, Operation.WRITE_ATTRIBUTES, str(at), body, wait)
    return await _said(rooms, found, command)


def _can_read(asking: Asking, device: Device, path: str) -> bool:
    return asking.can(Granted.READ, device.place, Path.parse(path))


async def _said(rooms: Rooms, device: Device, command: Command) -> Answer | JSONResponse:
    """200 with the device's answer, or 202 with the command that waits for it to wake."""
    if command.state is not State.ANSWERED:
        return await waiting(rooms, device, command)
    content = answer_of(command).get("content", []) if command.operation is Operation.READ else []
    is_one = len(content) == 1 and content[0]["path"] == command.path
    finished, meanings = finished_at(command), Meanings(rooms.objects, device)
    return Answer(
        path=command.path,
        value=nested(command.path, content) if command.operation is Operation.READ else _value_of(command),
        type=word_of(str(content[0].get("type", ""))) if is_one else meanings.type_of(command.path),
        kinds=kinds_of(content),
        at=taken_at(content[0].get("time"), finished) if is_one else finished,
        command=command.id,
        trip_ms=command.trip_ms,
    )


async def waiting(rooms: Rooms, device: Device, command: Command) -> JSONResponse:
    """202 with the command that waits."""
    shown = command_shown(command, await expected_at(rooms, device.tenant, device.id))
    return JSONResponse(
        shown.model_dump(mode="json"), status_code=202, headers={"Location": f"/api/v1/commands/{command.id}"}
    )


async def _last_known(rooms: Rooms, device: Device, path: Path) -> Answer:
    known = last_known(await rooms.history.last_values(device.id), path)
    if not known:
        raise NotFound(str(path), "the device never reported it")
    content = [{"path": value.path, "value": value.value, "type": value.kind} for value in known]
    is_one = len(known) == 1 and known[0].path == str(path)
    return Answer(
        path=str(path),
        value=nested(str(path), content),
        is_cut=any(value.is_cut for value in known),
        type=Meanings(rooms.objects, device).type_of(path) or (told_type(known[0]) if is_one else ""),
        kinds=kinds_of(content),
        at=max(value.time for value in known),
        source="last-known",
    )


def _to_write(raw: str, asked: Written, meanings: Meanings) -> tuple[str, dict[str, Any]]:
    """The path and the body for the gateway. A body that fits no path of that depth is refused here, in our words."""
    path = Path.parse(raw)
    said = asked.model_fields_set & {"value", "values", "resources"}
    if len(said) != 1:
        raise Rejected("body", "one of value, values, resources is needed")
    if path.instance is None:
        raise Rejected("path", f"{path} is an object; write an instance or a resource of it")
    if path.resource is None:
        if asked.resources is None:
            raise Rejected("body", f"resources is needed for the instance {path}")
        return str(path), {"resources": _typed(path, asked.resources, meanings)}
    if asked.resources is not None or (asked.values is not None and path.resource_instance is not None):
        raise Rejected("body", f"does not fit {path}: resources is for an instance, values for a whole resource")
    kind = meanings.type_of(path)
    if asked.values is not None:
        return str(path), {"values": {number: moment(value, kind) for number, value in asked.values.items()}}
    return str(path), {"value": moment(asked.value, kind)}


def _typed(instance: Path, resources: dict[str, JsonValue], meanings: Meanings) -> dict[str, JsonValue]:
    """Values of an instance's resources as the gateway takes them."""
    return {number: moment(value, meanings.type_of(f"{instance}/{number}")) for number, value in resources.items()}


def moment(value: JsonValue, kind: str) -> JsonValue:
    """A time may be given as people write it; on the wire it is seconds since 1970.

    A whole number may be given as text, too: beyond 2^53 a JavaScript program has no other way to say it. What no
    definition knows may come with its type: `{"opaque": "AAEC"}`.
    """
    if (typed := _typed_alone(value)) is not None:
        said, one = typed
        return {said: moment(one, word_of(said))}
    if isinstance(value, dict):
        return {number: moment(each, kind) for number, each in value.items()}
    if kind not in {"time", "integer", "unsigned"} or not isinstance(value, str):
        return value
    if _WHOLE.fullmatch(value):
        return int(value)
    if kind != "time":
        return value  # the gateway says what is wrong with it
    try:
        written = datetime.fromisoformat(value)
    except ValueError as error:
        raise Rejected("value", "not a time like 2026-11-01T06:00:00Z") from error
    return int((written if written.tzinfo else written.replace(tzinfo=UTC)).timestamp())


def _typed_alone(value: JsonValue) -> tuple[str, JsonValue] | None:
    """Type and value, where a value comes with its type."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    [(said, one)] = value.items()
    return (said, one) if said in get_args(ValueType) else None


def _value_of(command: Command) -> JsonValue:
    """What was written: the device took it."""
    if command.operation is Operation.EXECUTE:
        return None
    written = command_shown(command, None).value
    typed = _typed_alone(written)
    return written if typed is None else typed[1]


def _whole(value: float | bool | None) -> float | bool | None:
    """`pmin` and its like are whole numbers, and `60.0` is none to a device."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def finished_at(command: Command) -> datetime:
    """When the device answered."""
    return command.finished_at or command.created_at
