"""Policies and roles: who may do what where, what a change would mean, and why somebody may or may not."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Protocol

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from shoal.access.decision import Place, Policies, Subject
from shoal.access.pattern import PATTERN_CHARACTERS_MAX
from shoal.access.policy import ROLES, Effect, Operation, Policy, WhoKind
from shoal.access.sentence import sentence_of, who_says
from shoal.api.access import Asking, HeldAsking, PolicyKey
from shoal.api.administered import check_administered
from shoal.api.context import HeldRooms, NamingRooms, Rooms
from shoal.api.explaining import Explained, explained, path_said, place_named, subject_named
from shoal.api.names import Named, named, named_in
from shoal.api.paging import IfMatch, Listed, etag, version_of
from shoal.errors import NotFound
from shoal.identity.user import User
from shoal.ids import TenantId
from shoal.policies.policy import (
    NOTE_CHARACTERS_MAX,
    PATHS_MAX,
    KeptPolicy,
    check_effect,
    parse_note,
    parse_operations,
    parse_paths,
    parse_place,
    parse_who,
)
from shoal.policies.reckoning import Balance, balance, warnings
from shoal.policies.store import AccessPolicies

router = APIRouter(tags=["access"])

# An id, a role, or the kind of a device, as it may be typed.
ID_CHARACTERS_MAX: Final = 40
# As long as one of a policy may be.
PATH_CHARACTERS_MAX: Final = PATTERN_CHARACTERS_MAX


class WhoAsked(BaseModel):
    """`id` is an id, a role, or `sensor` or `camera`; nothing for everybody and for all devices. Of a `server`, another
    one that devices register with, it is its short id, or `*` for all others.
    """

    kind: WhoKind
    id: str | None = Field(None, max_length=ID_CHARACTERS_MAX)


class PolicyAsked(BaseModel):
    """`place` is the id of a farm, an enclosure or a device; null is the whole tenant. `paths` are `*`, `/`, `/3/*`,
    `/3/0/*` or `/3/0/9`; `/` is the thing itself, without its objects. Of a device, `write` is to report.
    """

    effect: Effect
    who: WhoAsked
    operations: list[Operation] = Field(max_length=len(Operation))
    place: str | None = Field(None, max_length=ID_CHARACTERS_MAX)
    paths: list[Annotated[str, Field(max_length=PATH_CHARACTERS_MAX)]] = Field(["*"], max_length=PATHS_MAX)
    note: str = Field("", max_length=2 * NOTE_CHARACTERS_MAX)


class PolicyChange(BaseModel):
    """What is left out stays as it is; `place` of null is the whole tenant."""

    effect: Effect | None = None
    who: WhoAsked | None = None
    operations: list[Operation] | None = Field(None, max_length=len(Operation))
    place: str | None = Field(None, max_length=ID_CHARACTERS_MAX)
    paths: list[Annotated[str, Field(max_length=PATH_CHARACTERS_MAX)]] | None = Field(None, max_length=PATHS_MAX)
    note: str | None = Field(None, max_length=2 * NOTE_CHARACTERS_MAX)


class PreviewAsked(PolicyAsked):
    """`replaces` is the policy that this one would take the place of."""

    replaces: PolicyKey | None = None


class WhoShown(BaseModel):
    kind: WhoKind
    id: str | None
    name: str


class PolicyShown(BaseModel):
    """A policy. `says` is the whole of it as a sentence, `warnings` why it may never matter."""

    id: str
    effect: Effect
    who: WhoShown
    operations: list[Operation]
    place: str | None
    place_name: str
    paths: list[str]
    says: str
    warnings: list[str]
    note: str
    changed_by: str
    changed_at: datetime
    version: int


class PreviewShown(BaseModel):
    """What would become of it: how many people may more than now, and how many less."""

    says: str
    gain: int
    lose: int
    warnings: list[str]


class RuleShown(BaseModel):
    id: str
    operations: list[Operation]
    paths: list[str]
    says: str


class RoleShown(BaseModel):
    """A role that comes with Shoal: policies that nobody can change."""

    role: str
    policies: list[RuleShown]


class ExplainAsked(BaseModel):
    """`subject` is a person, a token, a device, or another server of devices (`server:102`, or `server:*` for all that no
    policy names), the caller when left out. `place` is a farm, an enclosure or a device; the tenant when left out.
    Without `path` it is about the thing itself. What a server may is decided for a whole object instance.
    """

    subject: str | None = Field(None, max_length=ID_CHARACTERS_MAX)
    operation: Operation
    device: str | None = Field(None, max_length=ID_CHARACTERS_MAX)
    place: str | None = Field(None, max_length=ID_CHARACTERS_MAX)
    path: str | None = Field(None, max_length=PATH_CHARACTERS_MAX)


class PolicyRooms(NamingRooms, Protocol):
    """Those that know the policies, and whom and what they name."""

    @property
    def access(self) -> AccessPolicies: ...


@router.post("/policies", status_code=201)
async def create(asked: PolicyAsked, response: Response, asking: HeldAsking, rooms: HeldRooms) -> PolicyShown:
    """A new policy. It counts from the next request on; 409 when nobody, or not the caller, could administer any more."""
    asking.may(Operation.ADMINISTER)
    policy = _policy(asked, asking, "")
    await _check_there(rooms, asking, policy)
    async with rooms.database.transaction() as tx:
        kept = await rooms.access.create(tx, asking.tenant, policy, parse_note(asked.note), asking.name)
        await check_administered(rooms, tx, asking)
        asking.tells(kept.policy.id, after=_edited(kept))
    response.headers["Location"] = f"/api/v1/policies/{kept.policy.id}"
    response.headers.update(etag(kept.version))
    return (await policies_shown(rooms, asking.tenant, [kept]))[0]


@router.get("/policies")
async def several(
    asking: HeldAsking,
    rooms: HeldRooms,
    who: Annotated[str | None, Query(max_length=ID_CHARACTERS_MAX, description="only those that name this id")] = None,
) -> Listed[PolicyShown]:
    """The tenant's own policies, by id, all on one page: there are 1,000 at most. Those of roles stand in `/roles`."""
    asking.may(Operation.ADMINISTER)
    kept = [one for one in await rooms.access.all(asking.tenant) if who is None or one.policy.who.id == who]
    return Listed(items=await policies_shown(rooms, asking.tenant, kept))


@router.get("/policies/{policy}")
async def one(policy: PolicyKey, response: Response, asking: HeldAsking, rooms: HeldRooms) -> PolicyShown:
    """One policy."""
    asking.may(Operation.ADMINISTER)
    kept = await rooms.access.one(asking.tenant, policy)
    response.headers.update(etag(kept.version))
    return (await policies_shown(rooms, asking.tenant, [kept]))[0]


@router.patch("/policies/{policy}")
async def change(
    policy: PolicyKey,
    asked: PolicyChange,
    response: Response,
    asking: HeldAsking,
    rooms: HeldRooms,
    if_match: IfMatch = None,
) -> PolicyShown:
    """Another sentence. 409 when nobody, or not the caller, could administer any more."""
    asking.may(Operation.ADMINISTER)
    was = await rooms.access.one(asking.tenant, policy)
    said = _asked(was).model_copy(update={name: getattr(asked, name) for name in _changed(asked)})
    becomes = _policy(said, asking, policy)
    await _check_there(rooms, asking, becomes)
    async with rooms.database.transaction() as tx:
        kept = await rooms.access.change(
            tx, asking.tenant, becomes, parse_note(said.note), asking.name, version_of(if_match)
        )
        await check_administered(rooms, tx, asking)
        asking.tells(before=_edited(was), after=_edited(kept))
    response.headers.update(etag(kept.version))
    return (await policies_shown(rooms, asking.tenant, [kept]))[0]


@router.delete("/policies/{policy}", status_code=204)
async def delete(policy: PolicyKey, asking: HeldAsking, rooms: HeldRooms, if_match: IfMatch = None) -> None:
    """Forgets a policy. 409 when nobody, or not the caller, could administer any more."""
    asking.may(Operation.ADMINISTER)
    asking.tells(before=_edited(await rooms.access.one(asking.tenant, policy)))
    async with rooms.database.transaction() as tx:
        await rooms.access.delete(tx, asking.tenant, policy, version_of(if_match))
        await check_administered(rooms, tx, asking)


@router.post("/policies:preview")
async def preview(asked: PreviewAsked, asking: HeldAsking, rooms: HeldRooms) -> PreviewShown:
    """What a policy would mean, without keeping it."""
    asking.may(Operation.ADMINISTER)
    kept = [one.policy for one in await rooms.access.all(asking.tenant)]
    replaced = [policy for policy in kept if policy.id == asked.replaces]
    policy = _policy(asked, asking, asked.replaces or "new")
    after = Policies(asking.tenant, [*(one for one in kept if one.id != asked.replaces), policy])
    people = await _people(rooms, asking.tenant)
    known = await _known(rooms, asking.tenant, [policy, *replaced], people)
    changes = balance(asking.policies, after, [policy, *replaced], people, known.places)
    # What it would say among the others, not against the one whose place it takes.
    without = Policies(asking.tenant, [one for one in kept if one.id != asked.replaces])
    alone = balance(without, after, [policy], people, known.places)
    return PreviewShown(
        says=sentence_of(policy, known.names),
        gain=len(changes.gain),
        lose=len(changes.lose),
        warnings=warnings(policy, people, {*known.names, *known.places}, alone),
    )


@router.get("/roles")
async def roles(asking: HeldAsking) -> list[RoleShown]:
    """The roles that come with Shoal, and what each may do. Everybody may know."""
    asking.reach()
    return [
        RoleShown(
            role=role.value,
            policies=[
                RuleShown(
                    id=policy.id,
                    operations=sorted(policy.operations),
                    paths=[str(path) for path in policy.paths],
                    says=sentence_of(policy, {}),
                )
                for policy in policies
            ],
        )
        for role, policies in ROLES.items()
    ]


@router.post("/policies:explain")
async def explain(asked: ExplainAsked, asking: HeldAsking, rooms: HeldRooms) -> Explained:
    """Why somebody may or may not do something somewhere. Everybody may ask about themselves, an administrator of all."""
    subject = await _subject(rooms, asking, asked.subject)
    place = await _asked_place(rooms, asking, asked.device or asked.place)
    path = path_said(asked.path)
    return await explained(rooms, asking.policies, subject, asked.operation, place, path)


async def _subject(rooms: Rooms, asking: Asking, raw: str | None) -> Subject:
    if raw is None or raw in {asking.subject.id, asking.authenticated.token.id}:
        return asking.subject
    asking.may(Operation.ADMINISTER)
    return await subject_named(rooms, asking.tenant, raw)


async def _asked_place(rooms: Rooms, asking: Asking, raw: str | None) -> Place:
    """A place that somebody asks about: one that they may read, or any of their tenant for an administrator."""
    found = await place_named(rooms, asking.tenant, raw)
    is_own = found.innermost == asking.tenant
    if not asking.can(Operation.ADMINISTER) and not is_own and not asking.can(Operation.READ, found):
        raise NotFound(found.innermost, "no such place")
    return found


async def _check_there(rooms: Rooms, asking: Asking, policy: Policy) -> None:
    """Raises NotFound when a new sentence names somebody, or a place, that is not there."""
    known = await named_in(rooms, asking.tenant, [policy])
    if policy.place not in known.places:
        raise NotFound(policy.place, "no such place")
    if policy.who.kind in {WhoKind.USER, WhoKind.TOKEN, WhoKind.DEVICE} and policy.who.id not in known.names:
        raise NotFound(policy.who.id, f"no such {policy.who.kind.value}")


async def _people(rooms: NamingRooms, tenant: TenantId) -> list[Subject]:
    """All who may log in."""
    found: list[User] = []
    while True:
        page = await rooms.identity.users(tenant, after=found[-1].id if found else None)
        if not page:
            return [user.subject for user in found if not user.is_disabled]
        found += page


async def _known(rooms: NamingRooms, tenant: TenantId, policies: Sequence[Policy], people: Sequence[Subject]) -> Named:
    ids = [id_ for policy in policies for id_ in (policy.place, policy.who.id)]
    return await named(rooms, tenant, [*ids, *(id_ for one in people for id_ in one.places)])


async def policies_shown(rooms: PolicyRooms, tenant: TenantId, kept: Sequence[KeptPolicy]) -> list[PolicyShown]:
    """These policies of a tenant as people see them: each as a sentence, with why it may never matter."""
    policies = [one.policy for one in kept]
    people = await _people(rooms, tenant)
    known = await _known(rooms, tenant, policies, people)
    there = {*known.names, *known.places}
    # Whether it changes anything for anybody is asked of one policy: of a thousand it would take seconds.
    changes: Balance | None = None
    if len(kept) == 1:
        others = [one.policy for one in await rooms.access.all(tenant)]
        without = Policies(tenant, [one for one in others if one.id != policies[0].id])
        changes = balance(without, Policies(tenant, others), policies, people, known.places)
    return [_one_shown(one, known, warnings(one.policy, people, there, changes), tenant) for one in kept]


def _one_shown(kept: KeptPolicy, known: Named, warned: list[str], tenant: TenantId) -> PolicyShown:
    policy = kept.policy
    is_whole = policy.place == tenant
    return PolicyShown(
        id=policy.id,
        effect=policy.effect,
        who=WhoShown(kind=policy.who.kind, id=policy.who.id or None, name=who_says(policy.who, known.names)),
        operations=sorted(policy.operations),
        place=None if is_whole else policy.place,
        place_name="" if is_whole else known.names.get(policy.place, policy.place),
        paths=[str(path) for path in policy.paths],
        says=sentence_of(policy, known.names),
        warnings=warned,
        note=kept.note,
        changed_by=kept.changed_by,
        changed_at=kept.changed_at,
        version=kept.version,
    )


def _policy(asked: PolicyAsked, asking: Asking, id_: str) -> Policy:
    """What was asked for, parsed. Raises Rejected for what could never be a policy."""
    who = parse_who(asked.who.kind, asked.who.id)
    paths = parse_paths(asked.paths)
    check_effect(asked.effect, who, paths)
    return Policy(
        id=id_,
        effect=asked.effect,
        who=who,
        operations=parse_operations(asked.operations, who),
        place=parse_place(asked.place, asking.tenant),
        paths=paths,
    )


def _asked(kept: KeptPolicy) -> PolicyAsked:
    """The policy as somebody would write it again."""
    policy = kept.policy
    return PolicyAsked(
        effect=policy.effect,
        who=WhoAsked(kind=policy.who.kind, id=policy.who.id or None),
        operations=sorted(policy.operations),
        place=policy.place,
        paths=[str(path) for path in policy.paths],
        note=kept.note,
    )


def _changed(asked: PolicyChange) -> list[str]:
    """The members that are to be another now: null says something of the place only."""
    return [name for name in asked.model_fields_set if name == "place" or getattr(asked, name) is not None]


def _edited(kept: KeptPolicy) -> dict[str, Any]:
    said = _asked(kept).model_dump(mode="json")
    return {**said, "says": sentence_of(kept.policy, {})}
