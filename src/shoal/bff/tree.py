"""What people ask of a device's tree, passed on to the API.

Every answer says what happened: done, or waiting for the device to wake.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, JsonValue

from shoal.bff import heard
from shoal.bff.api import Api, Body
from shoal.bff.context import HeldApi, WritingLogin
from shoal.bff.screens.device import CommandShown, command_shown
from shoal.bff.screens.exact import exact
from shoal.bff.screens.objects import ObservationShown, observation_shown

# Object, instance, resource and resource instance: each at most 65535 (OMA LwM2M Core 1.1 §7.2).
PATH_PATTERN: Final = r"^(/\d{1,5}){1,4}$"
PATH_CHARACTERS_MAX: Final = 24  # four times a slash and five digits
# As many as the API takes in one write.
MEMBERS_MAX: Final = 256
# The ten digits of OMA LwM2M Core 1.1 §6.3.5.
ARGUMENTS_MAX: Final = 10
# There are ten attributes (OMA LwM2M Core 1.2 §7.3).
ATTRIBUTES_MAX: Final = 10

Values = Annotated[dict[str, JsonValue], Field(max_length=MEMBERS_MAX)]


class PathAsked(BaseModel):
    path: str = Field(pattern=PATH_PATTERN, max_length=PATH_CHARACTERS_MAX)


class WriteAsked(PathAsked):
    """One of `value` and `values`, those of a resource's instances. `partial`: the instances not named stay."""

    value: JsonValue = None
    values: Values | None = None
    partial: bool = False


class ExecuteAsked(PathAsked):
    arguments: dict[str, str | None] = Field({}, max_length=ARGUMENTS_MAX)


class CreateAsked(PathAsked):
    """An instance of an object; the device chooses its number when `instance` is null."""

    instance: int | None = Field(None, ge=0, le=65_534)
    resources: Values = {}


class AttributesAsked(PathAsked):
    """null takes one back."""

    attributes: dict[str, float | bool | None] = Field(max_length=ATTRIBUTES_MAX)


class ObserveAsked(PathAsked):
    """`version` is that of the observation when it was shown."""

    observe: bool
    attributes: dict[str, float | bool] = Field({}, max_length=ATTRIBUTES_MAX)
    version: int = Field(ge=0)


class UnobserveAsked(PathAsked):
    version: int = Field(ge=0)


class Outcome(BaseModel):
    """`done` with the device's answer, or `waiting` with the command that waits for it to wake.

    What a Discover found are attributes by path. `type` is that of a single value, where anything tells it.
    """

    state: Literal["done", "waiting"]
    path: str
    value: JsonValue = None
    type: str = ""
    at: datetime | None = None
    source: str = ""
    trip_ms: float | None = None
    command: CommandShown | None = None


router = APIRouter(prefix="/bff/actions/devices/{device_id}", tags=["tree"])


@router.post("/read")
async def read(device_id: str, asked: PathAsked, api: HeldApi, _: WritingLogin) -> Outcome:
    """Asks the device for a value, an instance or an object."""
    return await _ask(api, "GET", device_id, asked.path)


@router.post("/write")
async def write(device_id: str, asked: WriteAsked, api: HeldApi, _: WritingLogin) -> Outcome:
    """Gives the device a value, or those of a resource's instances."""
    body: dict[str, JsonValue] = {"value": asked.value} if asked.values is None else {"values": asked.values}
    return await _ask(api, "PATCH" if asked.partial else "PUT", device_id, asked.path, body)


@router.post("/execute")
async def execute(device_id: str, asked: ExecuteAsked, api: HeldApi, _: WritingLogin) -> Outcome:
    """Has the device do something."""
    arguments: dict[str, JsonValue] = {"arguments": dict(asked.arguments)} if asked.arguments else {}
    return await _ask(api, "POST", device_id, asked.path, arguments)


@router.post("/create")
async def create(device_id: str, asked: CreateAsked, api: HeldApi, _: WritingLogin) -> Outcome:
    """Makes an instance of an object; the path of the outcome is the new one's."""
    body: dict[str, JsonValue] = {"instance": asked.instance, "resources": asked.resources}
    return await _ask(api, "POST", device_id, asked.path, body)


@router.post("/delete")
async def delete(device_id: str, asked: PathAsked, api: HeldApi, _: WritingLogin) -> Outcome:
    """Deletes an instance of an object."""
    return await _ask(api, "DELETE", device_id, asked.path)


@router.post("/discover")
async def discover(device_id: str, asked: PathAsked, api: HeldApi, _: WritingLogin) -> Outcome:
    """Asks which paths the device has there, and which attributes are set on them."""
    said = await api.discover(device_id, asked.path)
    match said:
        case heard.Command():
            return _waiting(asked.path, said)
        case heard.Discovered():
            found: dict[str, JsonValue] = {link.path: dict(link.attributes) for link in said.links}
            return Outcome(state="done", path=asked.path, value=found, at=said.at, source="device")


@router.post("/attributes")
async def attributes(device_id: str, asked: AttributesAsked, api: HeldApi, _: WritingLogin) -> Outcome:
    """Says when the device is to report what lies at a path, or beneath it."""
    return _outcome(asked.path, await api.send_attributes(device_id, asked.path, asked.attributes))


@router.post("/observe")
async def observe(device_id: str, asked: ObserveAsked, api: HeldApi, _: WritingLogin) -> ObservationShown:
    """Has this device report a path by itself, or not, whatever its profile says."""
    body: Body = {"observe": asked.observe, "attributes": dict(asked.attributes)}
    return observation_shown(await api.observe(device_id, asked.path, body, asked.version))


@router.post("/unobserve", status_code=204)
async def unobserve(device_id: str, asked: UnobserveAsked, api: HeldApi, _: WritingLogin) -> None:
    """The profile of the device decides about a path again."""
    await api.unobserve(device_id, asked.path, asked.version)


async def _ask(api: Api, method: str, device: str, path: str, body: dict[str, JsonValue] | None = None) -> Outcome:
    return _outcome(path, await api.ask_device(method, device, path, body))


def _outcome(path: str, said: heard.Answer | heard.Command) -> Outcome:
    match said:
        case heard.Command():
            return _waiting(path, said)
        case heard.Answer():
            return Outcome(
                state="done",
                path=said.path or path,
                value=exact(said.value),
                type=said.type,
                at=said.at,
                source=said.source,
                trip_ms=said.trip_ms,
            )


def _waiting(path: str, command: heard.Command) -> Outcome:
    return Outcome(state="waiting", path=path, command=command_shown(command))
