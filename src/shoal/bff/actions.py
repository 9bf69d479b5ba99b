"""What people do, passed on to the API."""

from typing import Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from shoal.bff.context import HeldApi, WritingLogin
from shoal.bff.screens.alerts import AlertLine, alert_line
from shoal.bff.screens.device import UpdateShown, update_shown

# A sentence or two for the next shift; not a report.
NOTE_CHARACTERS_MAX: Final = 1_000


class Noted(BaseModel):
    note: str = Field("", max_length=NOTE_CHARACTERS_MAX)


class UpdateAsked(BaseModel):
    artifact: str
    delivery: Literal["automatic", "pull", "push"] = "automatic"


router = APIRouter(prefix="/bff/actions")


@router.post("/alerts/{alert_id}/acknowledge")
async def acknowledge(alert_id: str, noted: Noted, api: HeldApi, _: WritingLogin) -> AlertLine:
    """Somebody takes an alert."""
    return alert_line(await api.acknowledge(alert_id, noted.note))


@router.post("/alerts/{alert_id}/resolve")
async def resolve(alert_id: str, noted: Noted, api: HeldApi, _: WritingLogin) -> AlertLine:
    """Somebody says it is over."""
    return alert_line(await api.resolve(alert_id, noted.note))


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
