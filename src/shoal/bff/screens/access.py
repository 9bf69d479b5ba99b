"""Who may do what where: people, tokens, roles, policies, and the places that they are about."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import BaseModel

from shoal.bff import heard, heard_access

# As policies name all servers that no other policy names.
_ALL: Final = "*"


class PlaceNamed(BaseModel):
    id: str
    name: str


class PersonLine(BaseModel):
    """`is_you`: whoever looks. Without `places` the role is held everywhere."""

    id: str
    name: str
    email: str
    role: str
    places: list[PlaceNamed]
    is_disabled: bool
    is_you: bool


class TokenLine(BaseModel):
    id: str
    name: str
    role: str
    places: list[PlaceNamed]
    owner: str
    expires_at: datetime | None
    last_used_at: datetime | None
    is_revoked: bool


class RoleLine(BaseModel):
    """A role with what it may, a sentence each."""

    role: str
    says: list[str]


class AccessPolicyLine(BaseModel):
    id: str
    effect: str
    who_kind: str
    who_id: str
    who_name: str
    operations: list[str]
    place: str
    place_name: str
    paths: list[str]
    says: str
    warnings: list[str]
    note: str
    changed_by: str
    changed_at: datetime | None
    version: int


class AccessScreen(BaseModel):
    """`places` are all farms and enclosures, each farm before what is in it."""

    at: datetime
    people: list[PersonLine]
    tokens: list[TokenLine]
    roles: list[RoleLine]
    policies: list[AccessPolicyLine]
    places: list[PlaceNamed]


class SubjectNamed(BaseModel):
    """Somebody by the id that questions use."""

    id: str
    name: str


class AskableScreen(BaseModel):
    """`servers` are the other LwM2M servers that policies name, and all that none names."""

    people: list[SubjectNamed]
    tokens: list[SubjectNamed]
    servers: list[SubjectNamed]
    places: list[PlaceNamed]


class ReasonLine(BaseModel):
    """A rule and what it says to the question: `denies`, `allows`, or why it is silent."""

    policy: str
    is_built_in: bool
    says: str
    bearing: str


class WhyScreen(BaseModel):
    is_allowed: bool
    says: str
    because: list[ReasonLine]


def access_screen(
    at: datetime,
    me: str,
    users: Sequence[heard_access.User],
    tokens: Sequence[heard_access.Token],
    roles: Sequence[heard_access.RoleRules],
    policies: Sequence[heard_access.AccessPolicy],
    places: Sequence[PlaceNamed],
) -> AccessScreen:
    names = {place.id: place.name for place in places}
    owners = {user.id: user.name for user in users}
    people = [
        PersonLine(
            id=user.id,
            name=user.name,
            email=user.email,
            role=user.role,
            places=_named(user.places, names),
            is_disabled=user.disabled,
            is_you=user.id == me,
        )
        for user in users
    ]
    return AccessScreen(
        at=at,
        people=sorted(people, key=lambda person: person.name.lower()),
        tokens=[_token(token, names, owners) for token in tokens],
        roles=[RoleLine(role=role.role, says=[rule.says for rule in role.policies]) for role in roles],
        policies=[_policy(policy) for policy in policies],
        places=list(places),
    )


def places_of(farms: Sequence[heard.Farm], enclosures: Sequence[heard.Enclosure]) -> list[PlaceNamed]:
    """Farms with their enclosures behind each, in the order of the API."""
    found: list[PlaceNamed] = []
    for farm in farms:
        found.append(PlaceNamed(id=farm.id, name=farm.name))
        found += [PlaceNamed(id=one.id, name=f"{one.name}, {farm.name}") for one in enclosures if one.farm == farm.id]
    return found


def askable_screen(
    me: str,
    users: Sequence[heard_access.User],
    tokens: Sequence[heard_access.Token],
    policies: Sequence[heard_access.AccessPolicy],
    places: Sequence[PlaceNamed],
) -> AskableScreen:
    named = {policy.who.id for policy in policies if policy.who.kind == "server" and policy.who.id}
    servers = [SubjectNamed(id=f"server:{id_}", name=f"server {id_}") for id_ in sorted(named - {_ALL}, key=_in_order)]
    return AskableScreen(
        people=[
            SubjectNamed(id=user.id, name=user.name)
            for user in sorted(users, key=lambda user: user.name.lower())
            if user.id != me
        ],
        tokens=[SubjectNamed(id=token.id, name=token.name) for token in tokens],
        servers=[*servers, SubjectNamed(id=f"server:{_ALL}", name="all other servers")],
        places=list(places),
    )


def _in_order(short_id: str) -> tuple[int, str]:
    return len(short_id), short_id


def why_screen(explained: heard_access.Explained) -> WhyScreen:
    return WhyScreen(
        is_allowed=explained.decision == "allowed",
        says=explained.says,
        because=[
            ReasonLine(policy=one.policy, is_built_in=one.built_in, says=one.says, bearing=one.bearing)
            for one in explained.because
        ],
    )


def _named(places: Sequence[str], names: dict[str, str]) -> list[PlaceNamed]:
    return [PlaceNamed(id=id_, name=names.get(id_, id_)) for id_ in places]


def _token(token: heard_access.Token, names: dict[str, str], owners: dict[str, str]) -> TokenLine:
    return TokenLine(
        id=token.id,
        name=token.name,
        role=token.role,
        places=_named(token.places, names),
        owner=owners.get(token.user or "", ""),
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
        is_revoked=token.revoked_at is not None,
    )


def _policy(policy: heard_access.AccessPolicy) -> AccessPolicyLine:
    return AccessPolicyLine(
        id=policy.id,
        effect=policy.effect,
        who_kind=policy.who.kind,
        who_id=policy.who.id or "",
        who_name=policy.who.name,
        operations=policy.operations,
        place=policy.place or "",
        place_name=policy.place_name,
        paths=policy.paths,
        says=policy.says,
        warnings=policy.warnings,
        note=policy.note,
        changed_by=policy.changed_by,
        changed_at=policy.changed_at,
        version=policy.version,
    )
