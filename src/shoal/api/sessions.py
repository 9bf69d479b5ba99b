"""Logging in and out, and who is logged in."""

from datetime import datetime
from typing import Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from shoal.access.decision import Zone
from shoal.access.policy import Operation
from shoal.api.access import Asking, HeldAsking, address_of
from shoal.api.context import HeldRooms, Rooms
from shoal.audit.entry import Act
from shoal.errors import Conflict, Unavailable
from shoal.identity.token import NewToken, TokenKind
from shoal.identity.user import EMAIL_BYTES_MAX, PASSWORD_CHARACTERS_MAX, User

# As a person may type it, blanks around it included.
EMAIL_CHARACTERS_MAX: Final = 2 * EMAIL_BYTES_MAX

router = APIRouter(tags=["access"])


class LoginAsked(BaseModel):
    email: str = Field(max_length=EMAIL_CHARACTERS_MAX)
    password: str = Field(max_length=PASSWORD_CHARACTERS_MAX, json_schema_extra={"format": "password"})


class Person(BaseModel):
    """A person, or a service that is nobody: then `id` is that of its token, and there is no `email`."""

    id: str
    name: str
    email: str | None = None


class TenantShown(BaseModel):
    id: str
    name: str


class Session(BaseModel):
    """A login. `token` is shown this once; it ends at `expires_at`, or by `DELETE /sessions/current`."""

    token: str
    user: Person
    role: str
    expires_at: datetime


class MayShown(BaseModel):
    """An operation, and the farms, enclosures and devices where it is allowed, on some path at least; none: everywhere.

    `but` are those inside of them where it is not.
    """

    operation: str
    places: list[str]
    but: list[str]


class Me(BaseModel):
    """Who this request's token speaks for, and what that one may do.

    `places` are where the role is held, none: everywhere. `operations` are those that are allowed for the tenant as a
    whole; `may` says of each that is allowed anywhere, where.
    """

    user: Person
    role: str
    places: list[str]
    operations: list[str]
    may: list[MayShown]
    tenant: TenantShown
    token: str
    expires_at: datetime | None


@router.post("/sessions", status_code=201)
async def log_in(asked: LoginAsked, request: Request, rooms: HeldRooms) -> Session:
    """Logs a person in, by email address and password. After some that are wrong, 429 says when to try again."""
    with rooms.logins.one_more() as has_room:
        if not has_room:
            raise Unavailable("login", "too many people log in at this moment")
        new, user = await rooms.identity.log_in(asked.email, asked.password, address_of(request))
    await tell_login(request, rooms, user)
    return session_shown(new, user)


@router.delete("/sessions/current", status_code=204)
async def log_out(asking: HeldAsking, rooms: HeldRooms) -> None:
    """Ends the login of this request's token."""
    token = asking.authenticated.token
    if token.kind is not TokenKind.SESSION:
        raise Conflict(token.id, "is no login; revoke it instead", kind_of_token=token.kind.value)
    async with rooms.database.transaction() as tx:
        await rooms.identity.revoke_token(tx, asking.tenant, token.id)


@router.get("/me")
async def me(asking: HeldAsking, rooms: HeldRooms) -> Me:
    """Who this request's token speaks for."""
    tenant = await rooms.inventory.tenant(asking.tenant)
    subject, user = asking.subject, asking.authenticated.user
    return Me(
        user=_person(user) if user else Person(id=subject.id, name=subject.name),
        role=asking.authenticated.role.value,
        places=sorted(subject.places),
        operations=sorted(operation for operation in Operation if asking.can(operation)),
        may=_allowed(asking),
        tenant=TenantShown(id=tenant.id, name=tenant.name),
        token=asking.authenticated.token.id,
        expires_at=asking.authenticated.token.expires_at,
    )


@router.get("/tenants")
async def tenants(asking: HeldAsking, rooms: HeldRooms) -> list[TenantShown]:
    """The tenant that this token belongs to: tenants never see each other."""
    tenant = await rooms.inventory.tenant(asking.tenant)
    return [TenantShown(id=tenant.id, name=tenant.name)]


async def tell_login(request: Request, rooms: Rooms, user: User) -> None:
    """The audit log is to say who came in. Before that nobody was known to ask, and nothing was told."""
    act = Act(action="log-in", resource="sessions", thing=user.id, path=request.url.path.removeprefix("/api/v1"))
    async with rooms.database.transaction() as tx:
        await rooms.audit.write(tx, user.subject, act, at=rooms.clock.now(), address=address_of(request))


def session_shown(new: NewToken, user: User) -> Session:
    """A login that was just made."""
    assert new.token.expires_at is not None  # noqa: S101  # a login always ends
    return Session(token=new.secret, user=_person(user), role=user.role.value, expires_at=new.token.expires_at)


def _allowed(asking: Asking) -> list[MayShown]:
    """What is allowed anywhere. Of a person's own program it is what its person may, which its role narrows further."""
    found = []
    for operation in sorted(Operation):
        reach = asking.policies.reach(asking.subject, operation, on_some_path=True)
        if not reach.is_nowhere:
            layer = reach.layers[0]
            found.append(MayShown(operation=operation, places=_ids(layer.within), but=_ids(layer.but)))
    return found


def _ids(zones: tuple[Zone, ...]) -> list[str]:
    """The innermost place of each zone; nothing for everything."""
    return sorted(id_ for zone in zones if (id_ := zone.device or zone.enclosure or zone.farm) is not None)


def _person(user: User) -> Person:
    return Person(id=user.id, name=user.name, email=user.email)
