"""Tokens for programs: a person's own, or a service's that is nobody."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, Field

from shoal.access.policy import Operation, operations_of
from shoal.api.access import HeldAsking, TokenKey
from shoal.api.administered import PlaceText, own_places
from shoal.api.context import HeldRooms
from shoal.api.paging import ITEMS_USUAL, Cursor, Limit, Listed
from shoal.errors import Forbidden
from shoal.identity.token import Token
from shoal.identity.user import NAME_CHARACTERS_MAX, PLACES_MAX, parse_role
from shoal.ids import Prefix, TokenId, parse_id

router = APIRouter(prefix="/tokens", tags=["access"])


class TokenAsked(BaseModel):
    """`personal` makes it the caller's own: it never may more than its person. Otherwise it is a service's."""

    name: str = Field(max_length=2 * NAME_CHARACTERS_MAX)
    role: str = Field(max_length=40)
    places: list[PlaceText] = Field([], max_length=PLACES_MAX, description="farms and enclosures; none: everywhere")
    personal: bool = False
    expires_at: AwareDatetime | None = None


class TokenShown(BaseModel):
    id: str
    kind: str
    user: str | None
    name: str
    role: str
    places: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewTokenShown(TokenShown):
    """`token` is the secret: shown this once."""

    token: str


@router.post("", status_code=201)
async def create(asked: TokenAsked, response: Response, asking: HeldAsking, rooms: HeldRooms) -> NewTokenShown:
    """A new token. People make their own; for a service it takes an administrator. Never more than the caller may.

    A personal token may what both it and its person may, whatever becomes of that person's role.
    """
    role, user = parse_role(asked.role), asking.authenticated.user
    if not (asked.personal and user):
        asking.may(Operation.ADMINISTER)
    if asked.personal and user is None:
        raise Forbidden("personal", "a service has no tokens of its own")
    if user is not None and not operations_of(role) <= operations_of(user.role):
        raise Forbidden("role", "grants more than yours", role=role.value)
    places = await own_places(rooms, asking.tenant, asked.places)
    async with rooms.database.transaction() as tx:
        new = await rooms.identity.create_token(
            tx,
            asking.tenant,
            name=asked.name,
            role=role,
            places=places,
            user=user.id if asked.personal and user else None,
            expires_at=asked.expires_at,
        )
        asking.tells(
            new.token.id,
            after={
                "name": asked.name,
                "role": role.value,
                "places": list(new.token.places),
                "kind": new.token.kind.value,
                "expires_at": asked.expires_at,
            },
        )
    response.headers["Location"] = f"/api/v1/tokens/{new.token.id}"
    return NewTokenShown(**_members(new.token), token=new.secret)


@router.get("")
async def several(
    asking: HeldAsking, rooms: HeldRooms, cursor: Cursor = None, limit: Limit = ITEMS_USUAL
) -> Listed[TokenShown]:
    """Tokens of programs, by id, revoked ones too. Logins are not among them."""
    asking.may(Operation.ADMINISTER)
    after = None if cursor is None else TokenId(parse_id(cursor, Prefix.TOKEN))
    found = await rooms.identity.tokens(asking.tenant, after=after, limit=limit)
    items = [TokenShown(**_members(token)) for token in found]
    return Listed(items=items, next=found[-1].id if len(found) == limit else None)


@router.delete("/{token}", status_code=204)
async def revoke(token: TokenKey, asking: HeldAsking, rooms: HeldRooms) -> None:
    """Ends a token at once. A token may end itself."""
    if token != asking.authenticated.token.id:
        asking.may(Operation.ADMINISTER)
    async with rooms.database.transaction() as tx:
        await rooms.identity.revoke_token(tx, asking.tenant, token)


def _members(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "kind": token.kind.value,
        "user": token.user,
        "name": token.name,
        "role": token.role.value,
        "places": list(token.places),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "revoked_at": token.revoked_at,
    }
