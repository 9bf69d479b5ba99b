"""People who may log in."""

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from shoal.access.policy import Operation
from shoal.api.access import HeldAsking, UserKey
from shoal.api.administered import PlaceText, check_administered, own_places
from shoal.api.context import HeldRooms
from shoal.api.paging import ITEMS_USUAL, Cursor, Limit, Listed
from shoal.api.sessions import EMAIL_CHARACTERS_MAX
from shoal.identity.user import NAME_CHARACTERS_MAX, PASSWORD_CHARACTERS_MAX, PLACES_MAX, User, parse_role
from shoal.ids import Prefix, UserId, parse_id

router = APIRouter(prefix="/users", tags=["access"])


class UserAsked(BaseModel):
    email: str = Field(max_length=EMAIL_CHARACTERS_MAX)
    name: str = Field(max_length=2 * NAME_CHARACTERS_MAX)
    role: str = Field(max_length=40)
    places: list[PlaceText] = Field([], max_length=PLACES_MAX, description="farms and enclosures; none: everywhere")
    password: str = Field(max_length=PASSWORD_CHARACTERS_MAX)


class UserChange(BaseModel):
    """What is left out stays as it is."""

    name: str | None = Field(None, max_length=2 * NAME_CHARACTERS_MAX)
    role: str | None = Field(None, max_length=40)
    places: list[PlaceText] | None = Field(None, max_length=PLACES_MAX)
    disabled: bool | None = None


class PasswordAsked(BaseModel):
    password: str = Field(max_length=PASSWORD_CHARACTERS_MAX)


class UserShown(BaseModel):
    id: str
    email: str
    name: str
    role: str
    places: list[str]
    disabled: bool
    created_at: datetime


@router.post("", status_code=201)
async def create(asked: UserAsked, response: Response, asking: HeldAsking, rooms: HeldRooms) -> UserShown:
    """A new person of this tenant."""
    asking.may(Operation.ADMINISTER)
    asking.tells(after={"email": asked.email, "name": asked.name, "role": asked.role, "places": asked.places})
    user = await rooms.identity.create_user(
        asking.tenant,
        email=asked.email,
        name=asked.name,
        role=parse_role(asked.role),
        places=await own_places(rooms, asking.tenant, asked.places),
        password=asked.password,
    )
    response.headers["Location"] = f"/api/v1/users/{user.id}"
    return _shown(user)


@router.get("")
async def several(
    asking: HeldAsking, rooms: HeldRooms, cursor: Cursor = None, limit: Limit = ITEMS_USUAL
) -> Listed[UserShown]:
    """The people of this tenant, by id."""
    asking.may(Operation.ADMINISTER)
    after = None if cursor is None else UserId(parse_id(cursor, Prefix.USER))
    found = await rooms.identity.users(asking.tenant, after=after, limit=limit)
    return Listed(items=[_shown(user) for user in found], next=found[-1].id if len(found) == limit else None)


@router.get("/{user}")
async def one(user: UserKey, asking: HeldAsking, rooms: HeldRooms) -> UserShown:
    """One person: an administrator sees all, everybody sees themselves."""
    if user != asking.subject.id:
        asking.may(Operation.ADMINISTER)
    return _shown(await rooms.identity.user(asking.tenant, user))


@router.patch("/{user}")
async def change(user: UserKey, asked: UserChange, asking: HeldAsking, rooms: HeldRooms) -> UserShown:
    """Another name, role or places; shut out, or let in again. The last administrator stays one."""
    asking.may(Operation.ADMINISTER)
    was = await rooms.identity.user(asking.tenant, user)
    places = None if asked.places is None else await own_places(rooms, asking.tenant, asked.places)
    async with rooms.database.transaction() as tx:
        changed = await rooms.identity.change_user(
            tx,
            asking.tenant,
            user,
            name=asked.name,
            role=None if asked.role is None else parse_role(asked.role),
            places=places,
            is_disabled=asked.disabled,
        )
        await check_administered(rooms, tx, asking)
        asking.tells(before=_edited(was), after=_edited(changed))
    return _shown(changed)


@router.put("/{user}/password", status_code=204)
async def set_password(user: UserKey, asked: PasswordAsked, asking: HeldAsking, rooms: HeldRooms) -> None:
    """Another password; all logins of that person end. People may change their own."""
    if user != asking.subject.id:
        asking.may(Operation.ADMINISTER)
    await rooms.identity.set_password(asking.tenant, user, asked.password)


def _edited(user: User) -> dict[str, str | bool | list[str]]:
    return {
        "name": user.name,
        "role": user.role.value,
        "places": list(user.places),
        "disabled": user.is_disabled,
    }


def _shown(user: User) -> UserShown:
    return UserShown(
        id=user.id,
        email=user.email,
        name=user.name,
        role=user.role.value,
        places=list(user.places),
        disabled=user.is_disabled,
        created_at=user.created_at,
    )
