"""The tenant's own authorities: the screens about them and what they issued, and what administrators do."""

from asyncio import gather
from typing import Annotated, Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, JsonValue

from shoal.bff.anchors import Made
from shoal.bff.context import HeldApi, HeldBff, WritingLogin
from shoal.bff.screens import authorities
from shoal.bff.trust import TEXT_CHARACTERS_MAX, Word
from shoal.errors import NotFound

router = APIRouter(prefix="/bff")

_Text = Annotated[str, Field(max_length=TEXT_CHARACTERS_MAX)]
_YEARS_MAX: Final = 40
_DAYS_PER_YEAR: Final = 365.25
_DAY_S: Final = 86_400


class AuthorityWritten(BaseModel):
    """A root, or an intermediate `under` one."""

    name: _Text
    years: int = Field(ge=1, le=_YEARS_MAX)
    under: _Text = ""


class SuccessorWritten(BaseModel):
    """`under` says where the successor of an intermediate stands."""

    under: _Text = ""


class RevocationWritten(BaseModel):
    reason: Literal["unspecified", "keyCompromise", "superseded", "cessationOfOperation"] = "unspecified"


@router.get("/screens/authorities")
async def authorities_screen(api: HeldApi, bff: HeldBff) -> authorities.AuthoritiesScreen:
    """The tenant's own authorities. For administrators: the API says so to all others."""
    # One question before all others: who may not ask it is refused once.
    own = await api.authorities()
    known, use = await gather(api.anchors(), api.anchor_use())
    return authorities.authorities_screen(bff.clock.now(), own, known, use)


@router.get("/screens/authorities/{authority_id}")
async def authority_screen(
    authority_id: str,
    api: HeldApi,
    bff: HeldBff,
    show: Literal["living", "soon", "all"] = "living",
    q: Word = None,
    cursor: str | None = None,
) -> authorities.AuthorityScreen:
    """One of them with a page of what it issued, in the order of its end: what lives, what ends soon, or all."""
    now = bff.clock.now()
    own = await api.authorities()
    known, use, page = await gather(
        api.anchors(),
        api.anchor_use(),
        api.certificates(
            {
                "authority": authority_id,
                "endpoint": q or None,
                "expires_after": None if show == "all" else now.isoformat(),
                "expires_before": (now + authorities.ENDS_WITHIN).isoformat() if show == "soon" else None,
                "cursor": cursor,
                "limit": authorities.CERTIFICATES_PER_PAGE,
            }
        ),
    )
    said = next((one for one in own if one.id == authority_id), None)
    if said is None:
        raise NotFound(authority_id, "no such authority")
    return authorities.authority_screen(now, said, own, known, use, page)


@router.post("/actions/authorities", status_code=201)
async def add_authority(authority: AuthorityWritten, api: HeldApi, _: WritingLogin) -> Made:
    """A new one, whose certificates let devices in from now on."""
    body: dict[str, JsonValue] = {
        "name": authority.name,
        "lifetime_s": int(authority.years * _DAYS_PER_YEAR * _DAY_S),
        "under": authority.under or None,
    }
    return Made(id=(await api.add_authority(body)).id)


@router.post("/actions/authorities/{authority_id}/roll-over", status_code=201)
async def roll_over(authority_id: str, successor: SuccessorWritten, api: HeldApi, _: WritingLogin) -> Made:
    """A successor with a key of its own issues from now on; the old one vouches for what it issued."""
    return Made(id=(await api.roll_over_authority(authority_id, {"under": successor.under or None})).id)


@router.post("/actions/authorities/{authority_id}/retire", status_code=204)
async def retire_authority(authority_id: str, api: HeldApi, _: WritingLogin) -> None:
    """Nothing that it issued counts any more."""
    await api.retire_authority(authority_id)


@router.post("/actions/certificates/{certificate_id}/revoke", status_code=204)
async def revoke_certificate(certificate_id: str, asked: RevocationWritten, api: HeldApi, _: WritingLogin) -> None:
    """It counts no more, for ever."""
    await api.revoke_certificate(certificate_id, asked.reason)
