"""The pages about trust: who was not let in, bringing a device in, and what devices prove themselves with."""

from asyncio import gather
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, JsonValue, SecretStr

from shoal.bff.api import Api, ProblemAnswered
from shoal.bff.context import HeldApi, HeldBff, WritingLogin
from shoal.bff.screens import arrival, credentials, security
from shoal.bff.screens.routes import REFUSALS_MAX

router = APIRouter(prefix="/bff")

# Names, ids and keys as the API takes them, with room for what it has to refuse in its own words.
TEXT_CHARACTERS_MAX: Final = 512

# A certificate with its chain, in PEM.
PEM_CHARACTERS_MAX: Final = 32_768

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


class CredentialAsked(BaseModel):
    """A new credential; those before end when it is first used (`seen`) or after `overlap_s`, at once where that is 0."""

    mode: Literal["psk", "x509"] = "psk"
    identity: str = Field("", max_length=TEXT_CHARACTERS_MAX)
    key: SecretStr = Field(SecretStr(""), max_length=TEXT_CHARACTERS_MAX)
    certificate: str = Field("", max_length=PEM_CHARACTERS_MAX)
    overlap_s: int = Field(ge=0)
    until: Literal["seen", "end"] = "seen"


class ApprovalAsked(BaseModel):
    """`enclosure`: where the device is put; null for nowhere."""

    enclosure: str | None = Field(None, max_length=TEXT_CHARACTERS_MAX)


class RevokeAsked(BaseModel):
    """`last`: also when the device cannot connect afterwards."""

    last: bool = False


@router.get("/screens/security")
async def security_screen(
    api: HeldApi,
    bff: HeldBff,
    q: Word = None,
    reason: Word = None,
    address: Word = None,
    device: Word = None,
    subject: Word = None,
    cursor: str | None = None,
) -> security.SecurityScreen:
    """A page of the security log."""
    query = {"q": q or None, "reason": reason, "address": address, "device": device, "subject": subject}
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


@router.get("/screens/devices/{device_id}/credentials")
async def credentials_screen(device_id: str, api: HeldApi, bff: HeldBff) -> credentials.CredentialsScreen:
    """What a device proves itself with."""
    found, held, refusals = await gather(
        api.device(device_id),
        api.credentials(device_id),
        api.security_events({"device": device_id, "limit": REFUSALS_MAX}),
    )
    return credentials.credentials_screen(bff.clock.now(), found, held, refusals.items)


@router.get("/screens/credentials")
async def ending_screen(api: HeldApi, bff: HeldBff, cursor: str | None = None) -> credentials.EndingScreen:
    """What ends within 30 days."""
    now = bff.clock.now()
    before = (now + credentials.ENDS_WITHIN).isoformat()
    limit = credentials.CREDENTIALS_PER_PAGE
    page = await api.credentials_ending({"expires_before": before, "cursor": cursor, "limit": limit})
    devices = await gather(*(_named(api, device) for device in {said.device for said in page.items}))
    return credentials.ending_screen(now, page, dict(devices))


async def _named(api: Api, device: str) -> tuple[str, str]:
    try:
        return device, (await api.device(device)).endpoint
    except ProblemAnswered:  # it was deleted between the two
        return device, ""


@router.post("/actions/devices/{device_id}/credentials", status_code=201)
async def create_credential(
    device_id: str, asked: CredentialAsked, api: HeldApi, _: WritingLogin
) -> credentials.NewCredential:
    """A new key or certificate for a device."""
    key = asked.key.get_secret_value()
    body: dict[str, JsonValue] = {"mode": asked.mode, "overlap_s": asked.overlap_s, "until": asked.until}
    if asked.mode == "psk":
        body |= {"identity": asked.identity or None, "key": key or None}
    else:
        body |= {"certificate": asked.certificate or None}
    made = await api.create_credential(device_id, body)
    return credentials.new_credential(made, is_key_given=bool(key))


@router.post("/actions/devices/{device_id}/credentials/{credential_id}/approve", status_code=204)
async def approve_credential(
    device_id: str, credential_id: str, asked: ApprovalAsked, api: HeldApi, _: WritingLogin
) -> None:
    """A device that came by itself is let in, and put where it says it is, if that was asked for."""
    await api.approve_credential(device_id, credential_id, asked.enclosure)


@router.post("/actions/devices/{device_id}/credentials/{credential_id}/revoke", status_code=204)
async def revoke_credential(
    device_id: str, credential_id: str, asked: RevokeAsked, api: HeldApi, _: WritingLogin
) -> None:
    """A credential is void from now on; the session that began with it ends."""
    await api.revoke_credential(device_id, credential_id, even_last=asked.last)
