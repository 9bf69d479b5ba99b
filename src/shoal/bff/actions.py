"""What people do, passed on to the API. Every answer says what happened: done, or waiting for the device to wake."""

from datetime import datetime
from typing import Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, JsonValue

from shoal.bff import heard
from shoal.bff.api import Api
from shoal.bff.context import HeldApi, WritingLogin
from shoal.bff.screens.alerts import AlertLine, alert_line
from shoal.bff.screens.device import CommandShown, UpdateShown, command_shown, update_shown

# A sentence or two for the next shift; not a report.
NOTE_CHARACTERS_MAX: Final = 1_000
# Object, instance, resource and resource instance: each at most 65535 (OMA LwM2M Core 1.1 §7.2).
PATH_PATTERN: Final = r"^(/\d{1,5}){1,4}$"
PATH_CHARACTERS_MAX: Final = 24  # four times a slash and five digits


class Noted(BaseModel):
    note: str = Field("", max_length=NOTE_CHARACTERS_MAX)


class PathAsked(BaseModel):
    path: str = Field(pattern=PATH_PATTERN, max_length=PATH_CHARACTERS_MAX)


class ValueAsked(PathAsked):
    value: JsonValue


class UpdateAsked(BaseModel):
    artifact: str
    delivery: Literal["automatic", "pull", "push"] = "automatic"


class Outcome(BaseModel):
    """`done` with the device's answer, or `waiting` with the command that waits for it to wake."""

    state: Literal["done", "waiting"]
    path: str
    value: JsonValue = None
    at: datetime | None = None
    source: str = ""
    command: CommandShown | None = None


router = APIRouter(prefix="/bff/actions")


@router.post("/alerts/{alert_id}/acknowledge")
async def acknowledge(alert_id: str, noted: Noted, api: HeldApi, _: WritingLogin) -> AlertLine:
    """Somebody takes an alert."""
    return alert_line(await api.acknowledge(alert_id, noted.note))


@router.post("/alerts/{alert_id}/resolve")
async def resolve(alert_id: str, noted: Noted, api: HeldApi, _: WritingLogin) -> AlertLine:
    """Somebody says it is over."""
    return alert_line(await api.resolve(alert_id, noted.note))


@router.post("/devices/{device_id}/read")
async def read(device_id: str, asked: PathAsked, api: HeldApi, _: WritingLogin) -> Outcome:
    """Asks the device for a value."""
    return await _ask(api, "GET", device_id, asked.path)


@router.post("/devices/{device_id}/write")
async def write(device_id: str, asked: ValueAsked, api: HeldApi, _: WritingLogin) -> Outcome:
    """Gives the device a value."""
    return await _ask(api, "PUT", device_id, asked.path, {"value": asked.value})


@router.post("/devices/{device_id}/execute")
async def execute(device_id: str, asked: PathAsked, api: HeldApi, _: WritingLogin) -> Outcome:
    """Has the device do something."""
    return await _ask(api, "POST", device_id, asked.path, {})


@router.post("/devices/{device_id}/accept-claim", status_code=204)
async def accept_claim(device_id: str, api: HeldApi, _: WritingLogin) -> None:
    """The device is where it says: the inventory follows."""
    await api.settle_claim(device_id, "accept")


@router.post("/devices/{device_id}/refuse-claim", status_code=204)
async def refuse_claim(device_id: str, api: HeldApi, _: WritingLogin) -> None:
    """The device is where the inventory says."""
    await api.settle_claim(device_id, "refuse")


@router.post("/devices/{device_id}/update")
async def start_update(device_id: str, asked: UpdateAsked, api: HeldApi, _: WritingLogin) -> UpdateShown:
    """Starts a device's way to another artifact."""
    return update_shown(await api.start_update(device_id, asked.artifact, asked.delivery))


@router.post("/devices/{device_id}/updates/{update_id}/cancel")
async def cancel_update(device_id: str, update_id: str, api: HeldApi, _: WritingLogin) -> UpdateShown:
    """Stops an update that has not begun to install."""
    return update_shown(await api.cancel_update(device_id, update_id))


@router.post("/devices/{device_id}/updates/{update_id}/roll-back")
async def roll_back(device_id: str, update_id: str, api: HeldApi, _: WritingLogin) -> UpdateShown:
    """Takes a device back to what it ran before an update."""
    return update_shown(await api.roll_back(device_id, update_id))


@router.post("/commands/{command_id}/cancel", status_code=204)
async def cancel_command(command_id: str, api: HeldApi, _: WritingLogin) -> None:
    """Withdraws a command that has not been sent."""
    await api.cancel_command(command_id)


async def _ask(api: Api, method: str, device: str, path: str, body: dict[str, JsonValue] | None = None) -> Outcome:
    said = await api.ask_device(method, device, path, body)
    match said:
        case heard.Command():
            return Outcome(state="waiting", path=path, command=command_shown(said))
        case heard.Answer():
            return Outcome(state="done", path=path, value=said.value, at=said.at, source=said.source)
