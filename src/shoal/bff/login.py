"""The way in and out."""

from contextlib import suppress
from datetime import datetime
from typing import Final

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from shoal.bff import heard_access
from shoal.bff.api import Api, ProblemAnswered
from shoal.bff.context import Bff, HeldBff, HeldLogin, WritingLogin, address_of, cookie_name, same_origin
from shoal.bff.logins import Login
from shoal.errors import Unavailable

# Long enough for a passphrase, short enough that hashing it at the API stays cheap.
PASSWORD_CHARACTERS_MAX: Final = 1_024
# RFC 5321 §4.5.3.1.3: a path has at most 256 octets.
EMAIL_CHARACTERS_MAX: Final = 256
# A full name in any language, blanks around it included.
NAME_CHARACTERS_MAX: Final = 240
# What stands behind the # of a link; ours have 49 characters.
SECRET_CHARACTERS_MAX: Final = 128

router = APIRouter(prefix="/bff")


class LoginAsked(BaseModel):
    email: str = Field(max_length=EMAIL_CHARACTERS_MAX)
    password: str = Field(max_length=PASSWORD_CHARACTERS_MAX)


class InvitationAsked(BaseModel):
    secret: str = Field(max_length=SECRET_CHARACTERS_MAX)


class Invitation(BaseModel):
    """What a link invites to, until when."""

    tenant: str
    role: str
    expires_at: datetime
    password_characters_min: int


class JoinAsked(InvitationAsked, LoginAsked):
    name: str = Field(max_length=NAME_CHARACTERS_MAX)


class Person(BaseModel):
    """Who is logged in, as the pages know them. `csrf` goes into the header of every write.

    `may` are the operations that are allowed anywhere: pages offer no others, and the API decides of each.
    """

    id: str
    user: str
    role: str
    may: list[str]
    tenant: str
    expires_at: datetime
    csrf: str


@router.post("/login", dependencies=[Depends(same_origin)])
async def log_in(asked: LoginAsked, request: Request, response: Response, bff: HeldBff) -> Person:
    """Takes an email address and a password to the API and lets that person in."""
    await _leave(bff, request)
    session = await Api(bff.api, address=address_of(request)).log_in(asked.email, asked.password)
    return await _let_in(session, response, bff)


@router.post("/invitation", dependencies=[Depends(same_origin)])
async def invitation(asked: InvitationAsked, request: Request, bff: HeldBff) -> Invitation:
    """What the link in the browser's address line invites to."""
    said = await Api(bff.api, address=address_of(request)).invitation(asked.secret)
    return Invitation(
        tenant=said.tenant.name,
        role=said.role,
        expires_at=said.expires_at,
        password_characters_min=said.password_characters_min,
    )


@router.post("/join", dependencies=[Depends(same_origin)])
async def join(asked: JoinAsked, request: Request, response: Response, bff: HeldBff) -> Person:
    """Makes a person of whoever has the link, and logs them in."""
    api = Api(bff.api, address=address_of(request))
    await _leave(bff, request)
    session = await api.accept(asked.secret, asked.email, asked.name, asked.password)
    return await _let_in(session, response, bff)


async def _leave(bff: Bff, request: Request) -> None:
    """Ends the login that this browser had, if any: nobody else has its token, and it ends by itself if this fails."""
    cookie = request.cookies.get(cookie_name(bff.is_secure))
    before = bff.logins.find(cookie, bff.clock.now()) if cookie else None
    if before is not None:
        with suppress(ProblemAnswered, Unavailable):
            await Api(bff.api, before.token, address_of(request)).log_out()


async def _let_in(session: heard_access.Session, response: Response, bff: Bff) -> Person:
    """Gives the browser a cookie with the token in it."""
    login = bff.logins.open(session)
    response.set_cookie(
        cookie_name(bff.is_secure),
        bff.logins.sealed(login),
        httponly=True,
        samesite="lax",
        secure=bff.is_secure,
        path="/",
        max_age=max(0, int((login.expires_at - bff.clock.now()).total_seconds())),
    )
    return await _person(bff, login)


@router.post("/logout", status_code=204)
async def log_out(_: WritingLogin, request: Request, response: Response, bff: HeldBff) -> None:
    """Ends the login at the API and forgets the cookie, which is worthless from now on."""
    # Whoever leaves has left, also when the API is away.
    await _leave(bff, request)
    response.delete_cookie(cookie_name(bff.is_secure), path="/", secure=bff.is_secure, httponly=True, samesite="lax")


@router.get("/me")
async def me(login: HeldLogin, bff: HeldBff) -> Person:
    """Who is logged in."""
    return await _person(bff, login)


async def _person(bff: Bff, login: Login) -> Person:
    known = await Api(bff.api, login.token).me()
    return Person(
        id=known.id,
        user=known.user or login.user,
        role=known.role or login.role,
        may=[each.operation for each in known.may],
        tenant=known.tenant,
        expires_at=login.expires_at,
        csrf=bff.logins.csrf(login),
    )
