"""How the first person of a tenant comes in: by a link that works once."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from shoal.api.access import address_of
from shoal.api.context import HeldRooms, Rooms
from shoal.api.sessions import EMAIL_CHARACTERS_MAX, Session, TenantShown, session_shown, tell_login
from shoal.errors import Unavailable
from shoal.identity.invitation import InvitationOver
from shoal.identity.token import TOKEN_CHARACTERS_MAX
from shoal.identity.user import NAME_CHARACTERS_MAX, PASSWORD_CHARACTERS_MAX, PASSWORD_CHARACTERS_MIN

router = APIRouter(prefix="/invitations", tags=["access"])


class InvitationAsked(BaseModel):
    """`secret` stands behind the # of the link."""

    secret: str = Field(max_length=TOKEN_CHARACTERS_MAX)


class Accepted(InvitationAsked):
    email: str = Field(max_length=EMAIL_CHARACTERS_MAX)
    name: str = Field(max_length=2 * NAME_CHARACTERS_MAX)
    password: str = Field(max_length=PASSWORD_CHARACTERS_MAX, json_schema_extra={"format": "password"})


class InvitationShown(BaseModel):
    tenant: TenantShown
    role: str
    expires_at: datetime
    password_characters_min: int = PASSWORD_CHARACTERS_MIN


@router.post(":look")
async def look(asked: InvitationAsked, request: Request, rooms: HeldRooms) -> InvitationShown:
    """What the link invites to; it is not used up by this."""
    with _guessed(rooms, request, asked.secret):
        found = await rooms.identity.invitation(asked.secret)
    tenant = await rooms.inventory.tenant(found.tenant)
    return InvitationShown(
        tenant=TenantShown(id=tenant.id, name=tenant.name), role=found.role.value, expires_at=found.expires_at
    )


@router.post(":accept", status_code=201)
async def accept(asked: Accepted, request: Request, rooms: HeldRooms) -> Session:
    """Makes a person of whoever has the link, and logs them in. The link is used up."""
    with _guessed(rooms, request, asked.secret), rooms.logins.one_more() as has_room:
        if not has_room:
            raise Unavailable("login", "too many people log in at this moment")
        new, user = await rooms.identity.accept(
            asked.secret, email=asked.email, name=asked.name, password=asked.password, address=address_of(request)
        )
    await tell_login(request, rooms, user)
    return session_shown(new, user)


@contextmanager
def _guessed(rooms: Rooms, request: Request, secret: str) -> Iterator[None]:
    """A secret that is none counts as a guess, like a token that is none."""
    address, shown, now = address_of(request), secret.encode(), rooms.clock.now()
    rooms.guesses.check(address, shown, now)
    try:
        yield
    except InvitationOver:
        rooms.guesses.was_wrong(address, shown, now)
        raise
