"""The pages about trust: who was not let in, and bringing a device in."""

from asyncio import gather
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, JsonValue, SecretStr

from shoal.bff.api import ProblemAnswered
from shoal.bff.context import HeldApi, HeldBff, WritingLogin
from shoal.bff.screens import arrival, security
from shoal.bff.screens.routes import REFUSALS_MAX

router = APIRouter(prefix="/bff")

# Names, ids and keys as the API takes them, with room for what it has to refuse in its own words.
TEXT_CHARACTERS_MAX: Final = 512

# As the API takes it: an identity has 128 bytes at most.
Word = Annotated[str | None, Query(max_length=128)]


class DeviceAsked(BaseModel):
    """A device as its code or a person describes it. Without a key one is generated, and shown this once."""

    endpoint: str = Field(max_length=TEXT_CHARACTERS_MAX)
    kind: Literal["sensor", "camera"] = "sensor"
    name: str = Field("", max_length=TEXT_CHARACTERS_MAX)
    enclosure: str | None = Field(None, max_length=TEXT_CHARACTERS_MAX)
    mode: Literal["psk", "x509"] = "psk"
    identity: str = Field("", max_length=TEXT_CHARACTERS_MAX)
    key: SecretStr = Field(SecretStr(""), max_length=TEXT_CHARACTERS_MAX)


@router.get("/screens/security")
async def security_screen(
    api: HeldApi,
    bff: HeldBff,
    q: Word = None,
    reason: Word = None,
    address: Word = None,
    device: Word = None,
    cursor: str | None = None,
) -> security.SecurityScreen:
    """A page of the security log."""
    query = {"q": q or None, "reason": reason, "address": address, "device": device}
    limits = {"cursor": cursor, "limit": security.EVENTS_PER_PAGE}
    return security.security_screen(bff.clock.now(), await api.security_events(query | limits))


@router.get("/screens/places")
async def places_screen(api: HeldApi, bff: HeldBff) -> arrival.PlacesScreen:
    """Where a device can hang."""
    farms, enclosures = await gather(api.farms(), api.enclosures())
    return arrival.places_screen(bff.clock.now(), farms, enclosures)


@router.post("/actions/devices", status_code=201)
async def create_device(asked: DeviceAsked, api: HeldApi, _: WritingLogin) -> arrival.NewDevice:
    """A new device, in an enclosure or in none yet."""
    key = asked.key.get_secret_value()
    security_asked: dict[str, JsonValue] = {"mode": asked.mode}
    if asked.mode == "psk":
        security_asked |= {"identity": asked.identity or asked.endpoint} | ({"key": key} if key else {})
    body: dict[str, JsonValue] = {
        "endpoint": asked.endpoint,
        "kind": asked.kind,
        "name": asked.name or None,
        "enclosure": asked.enclosure,
        "security": security_asked,
    }
    return arrival.new_device(await api.create_device(body), is_key_given=bool(key))


@router.get("/screens/devices/{device_id}/arrival")
async def arrival_screen(device_id: str, api: HeldApi, bff: HeldBff) -> arrival.ArrivalScreen:
    """How far a new device has come."""
    now = bff.clock.now()
    since = (now - arrival.STRANGERS_SINCE).isoformat()
    found, refusals, strangers = await gather(
        api.device(device_id),
        api.security_events({"device": device_id, "limit": REFUSALS_MAX}),
        api.security_events({"reason": "unknown_identity", "from": since, "limit": arrival.STRANGERS_MAX}),
    )
    try:
        tree = await api.objects(device_id) if found.registration else []
    except ProblemAnswered:  # it said goodbye between the two
        tree = []
    return arrival.arrival_screen(now, found, tree, refusals.items, strangers.items)
