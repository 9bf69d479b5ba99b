"""Whose certificates let devices in: the screen about trust anchors, and what administrators do with them."""

from asyncio import gather
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field, JsonValue

from shoal.bff import heard, heard_trust
from shoal.bff.api import Api, ProblemAnswered
from shoal.bff.context import HeldApi, HeldBff, WritingLogin
from shoal.bff.screens import anchors
from shoal.bff.trust import PEM_CHARACTERS_MAX, TEXT_CHARACTERS_MAX

router = APIRouter(prefix="/bff")

_Text = Annotated[str, Field(max_length=TEXT_CHARACTERS_MAX)]
_Pem = Annotated[str, Field(max_length=PEM_CHARACTERS_MAX)]


class AnchorWritten(BaseModel):
    """A new one, which lets nobody in before it is proved."""

    name: _Text
    certificate: _Pem
    zero_touch: anchors.ZeroTouch = "off"
    kind: _Text = "sensor"


class AnchorChanged(BaseModel):
    name: _Text
    zero_touch: anchors.ZeroTouch
    kind: _Text


class ProofGiven(BaseModel):
    """A certificate in PEM, or a signature in base64."""

    answer: _Pem


class Made(BaseModel):
    id: str


@router.get("/screens/trust")
async def trust_screen(api: HeldApi, bff: HeldBff) -> anchors.TrustScreen:
    """The authorities whose certificates let devices in, and the devices that wait at the door."""
    known, use, own, page = await gather(
        api.anchors(),
        api.anchor_use(),
        _own_authorities(api),
        api.credentials_ending({"state": "waiting", "limit": anchors.WAITING_MAX}),
    )
    found = await gather(*(_found(api, said.device) for said in page.items))
    devices = {device.id: device for device in found if device is not None}
    return anchors.trust_screen(bff.clock.now(), known, use, own, page, devices)


async def _found(api: Api, device: str) -> heard.Device | None:
    try:
        return await api.device(device)
    except ProblemAnswered:  # it was deleted between the two
        return None


async def _own_authorities(api: Api) -> list[heard_trust.Authority]:
    """The tenant's own; none for those who may not know of them: they are not asked for, so nothing is refused."""
    return await api.authorities() if (await api.me()).administers else []


@router.post("/actions/trust-anchors", status_code=201)
async def add_anchor(anchor: AnchorWritten, api: HeldApi, _: WritingLogin) -> Made:
    """Takes an authority in."""
    return Made(id=(await api.add_anchor(anchor.model_dump())).id)


@router.post("/actions/trust-anchors/{anchor_id}/prove", status_code=204)
async def prove_anchor(anchor_id: str, proof: ProofGiven, api: HeldApi, _: WritingLogin) -> None:
    """The answer of the authority's key to the challenge."""
    answer = proof.answer.strip()
    body: dict[str, JsonValue] = {"certificate" if "-----BEGIN" in answer else "signature": answer}
    await api.prove_anchor(anchor_id, body)


@router.put("/actions/trust-anchors/{anchor_id}", status_code=204)
async def change_anchor(anchor_id: str, anchor: AnchorChanged, api: HeldApi, _: WritingLogin) -> None:
    """Another name, or other ways with devices that nobody made."""
    await api.change_anchor(anchor_id, anchor.model_dump())


@router.post("/actions/trust-anchors/{anchor_id}/remove", status_code=204)
async def remove_anchor(anchor_id: str, api: HeldApi, _: WritingLogin) -> None:
    """Its certificates count no more; sessions that began with them end."""
    await api.remove_anchor(anchor_id)
