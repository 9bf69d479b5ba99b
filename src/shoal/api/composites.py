"""Several paths of a device at once: read with one request, written all or none."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, JsonValue

from shoal.api.access import DeviceKey, HeldAsking
from shoal.api.answers import TIME_TO_LIVE, TimeToLive, Wait, ask
from shoal.api.commands import answer_of, kinds_of
from shoal.api.context import HeldRooms
from shoal.api.object_tree import Meanings
from shoal.api.objects import ASKED, MEMBERS_MAX, finished_at, moment, waiting
from shoal.commands.command import Operation
from shoal.errors import Rejected
from shoal.lwm2m.path import Path

# As many as the core puts into one request.
PATHS_MAX: Final = 64

router = APIRouter(tags=["objects"])

PathText = Annotated[str, Field(max_length=24)]
# A composite is about no path but those that its body names.
ROOT: Final = "/"


class PathsAsked(BaseModel):
    """Objects, instances, resources and resource instances, in any mixture."""

    paths: list[PathText] = Field(min_length=1, max_length=PATHS_MAX, examples=[["/3/0/9", "/3303/0"]])


class ValuesAsked(BaseModel):
    """Values of resources by path; of a resource with instances an object of values by instance."""

    values: dict[PathText, JsonValue] = Field(min_length=1, max_length=PATHS_MAX, examples=[{"/3/0/14": "+01"}])


class Failed(BaseModel):
    """A path that could not be read; `code` is the device's, null where it only left the path out."""

    path: str
    code: str | None
    detail: str


class CompositeAnswer(BaseModel):
    """Values of resources by path; `kinds` as in `Answer`."""

    values: dict[str, JsonValue]
    kinds: dict[str, str] = {}
    failed: list[Failed] = []
    at: datetime
    source: str = "device"
    command: str


@router.post("/devices/{device}:read-composite", response_model=CompositeAnswer, responses=ASKED)
async def read_composite(
    device: DeviceKey,
    asked: PathsAsked,
    asking: HeldAsking,
    rooms: HeldRooms,
    wait: Wait = None,
    ttl: TimeToLive = TIME_TO_LIVE,
) -> CompositeAnswer | JSONResponse:
    """Reads several paths with one request (OMA LwM2M Core 1.1 §6.3.8), or one by one if the device knows no such."""
    paths = list(dict.fromkeys(str(Path.parse(path)) for path in asked.paths))
    found = await rooms.inventory.device(asking.tenant, device)
    command = await ask(rooms, asking, found, Operation.READ_COMPOSITE, ROOT, {"paths": paths}, wait, ttl)
    if command.state.is_unfinished:
        return await waiting(rooms, found, command)
    answer = answer_of(command)
    content = answer.get("content", [])
    return CompositeAnswer(
        values={item["path"]: item["value"] for item in content},
        kinds=kinds_of(content),
        failed=[Failed.model_validate(one) for one in answer.get("failed", [])],
        at=finished_at(command),
        command=command.id,
    )


@router.post("/devices/{device}:write-composite", response_model=CompositeAnswer, responses=ASKED)
async def write_composite(
    device: DeviceKey,
    asked: ValuesAsked,
    asking: HeldAsking,
    rooms: HeldRooms,
    wait: Wait = None,
    ttl: TimeToLive = TIME_TO_LIVE,
) -> CompositeAnswer | JSONResponse:
    """Writes several resources, all or none (OMA LwM2M Core 1.1 §6.3.9).

    A device that knows no such request is written instance by instance, up to the first that it refuses; the problem
    then says what was written before.
    """
    found = await rooms.inventory.device(asking.tenant, device)
    values = _values(asked.values, Meanings(rooms.objects, found))
    command = await ask(rooms, asking, found, Operation.WRITE_COMPOSITE, ROOT, {"values": values}, wait, ttl)
    if command.state.is_unfinished:
        return await waiting(rooms, found, command)
    return CompositeAnswer(values=values, at=finished_at(command), command=command.id)


def _values(asked: dict[str, JsonValue], meanings: Meanings) -> dict[str, Any]:
    """Values by path, as the gateway takes them. What can never be written is refused here, in our words."""
    values: dict[str, Any] = {}
    for raw, value in asked.items():
        path = Path.parse(raw)
        if path.resource is None:
            raise Rejected("path", f"{path} is no resource")
        if isinstance(value, dict) and (path.resource_instance is not None or len(value) > MEMBERS_MAX):
            raise Rejected("values", f"does not fit {path}: values by instance are for a whole resource")
        kind = meanings.type_of(path)
        values[str(path)] = (
            {number: moment(one, kind) for number, one in value.items()}
            if isinstance(value, dict)
            else moment(value, kind)
        )
    return values
