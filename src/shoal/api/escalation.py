"""Escalation policies: who is told of which alerts, after how long; and the rehearsal of it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, Field

from shoal.access.policy import Operation
from shoal.alerting.escalation import Call, ahead, begun
from shoal.alerting.policy import (
    CONTACTS_PER_STEP_MAX,
    FRAME_MAX,
    PLACES_MAX,
    REPEAT_MAX,
    STEPS_MAX,
    Policy,
    Step,
    checked,
    route,
)
from shoal.alerting.policy_store import POLICIES_PER_TENANT_MAX
from shoal.api.access import EnclosureKey, FarmKey, HeldAsking, PolicyKey
from shoal.api.context import HeldRooms, Rooms
from shoal.api.paging import IfMatch, Listed, etag, version_of
from shoal.events.alert import EVERYBODY
from shoal.events.severity import Severity
from shoal.ids import EnclosureId, FarmId, Prefix, TenantId, parse_id
from shoal.notifications.contact import Contact, reached

router = APIRouter(tags=["alerts"])

# More than any of them may have: how much that is, the room says.
CHARACTERS_MAX: Final = 500
# A year: what is too long, the room says in words.
_Seconds = Annotated[int, Field(ge=0, le=12 * int(FRAME_MAX.total_seconds()))]
# A rehearsal of another age helps nobody, and its last call must still be a date.
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
_Word = Annotated[str, Field(max_length=CHARACTERS_MAX)]


class StepShown(BaseModel):
    """Who is told `after_s` seconds after the alert opened, if nobody took it: ids of contacts, or `everybody`.

    `channels`: those to try first, in their order; without any, each contact's own order. `at_once`: by all ways at
    once instead of by the next when one fails.
    """

    after_s: _Seconds = 0
    contacts: list[_Word] = Field(max_length=2 * CONTACTS_PER_STEP_MAX)
    channels: list[_Word] = Field([], max_length=CONTACTS_PER_STEP_MAX)
    at_once: bool = False


class PolicyAsked(BaseModel):
    """For alerts of these `severities` (none: all) at these `places` (ids of farms and enclosures; none: everywhere).

    `acknowledge_s` and `resolve_s` follow the severity where they are null: 5 min and 1 h for critical, 15 min and 8 h
    for high, 7 d to resolve a warning. `repeat` more rounds follow, one every `repeat_every_s`, null: as long as
    somebody has to acknowledge. After that everybody is told.
    """

    name: _Word
    steps: list[StepShown] = Field(max_length=2 * STEPS_MAX)
    severities: list[Severity] = Field([], max_length=len(Severity))
    places: list[_Word] = Field([], max_length=2 * PLACES_MAX)
    acknowledge_s: _Seconds | None = None
    resolve_s: _Seconds | None = None
    repeat: int = Field(0, ge=0, le=REPEAT_MAX)
    repeat_every_s: _Seconds | None = None


class PolicyChange(BaseModel):
    """What is left out stays as it is; null takes a time frame away. Open alerts keep the policy they opened under."""

    name: _Word | None = None
    steps: list[StepShown] | None = Field(None, max_length=2 * STEPS_MAX)
    severities: list[Severity] | None = Field(None, max_length=len(Severity))
    places: list[_Word] | None = Field(None, max_length=2 * PLACES_MAX)
    acknowledge_s: _Seconds | None = None
    resolve_s: _Seconds | None = None
    repeat: int | None = Field(None, ge=0, le=REPEAT_MAX)
    repeat_every_s: _Seconds | None = None


class PolicyShown(PolicyAsked):
    """The first policy that is for an alert is its own. `is_default`: the one for all that no other is for."""

    id: str
    is_default: bool
    version: int


class OrderAsked(BaseModel):
    """All policies but the default, in the order in which they are asked."""

    policies: list[PolicyKey] = Field(max_length=2 * POLICIES_PER_TENANT_MAX)


class RehearsalAsked(BaseModel):
    """An alert that might open `at` (null: now); or, with `policy`, what that one would do, wherever it is asked."""

    severity: Severity
    farm: FarmKey | None = None
    enclosure: EnclosureKey | None = None
    policy: PolicyKey | None = None
    at: AwareDatetime | None = Field(None, ge=_EARLIEST, le=_LATEST)


class WhoShown(BaseModel):
    """Somebody who would be told, and how: `channels` one after the other, or all at once."""

    contact: str
    name: str
    channels: list[str]


class CallShown(BaseModel):
    """A moment at which people would be told. `step` is null at the end, when everybody is."""

    at: datetime
    after_s: int
    round: int
    step: int | None
    at_once: bool
    who: list[WhoShown]


class RehearsalShown(BaseModel):
    """What would happen if nobody took the alert. `acknowledge_s` and `resolve_s`: the time frames that it would have."""

    policy: str
    policy_name: str
    severity: Severity
    acknowledge_s: int | None
    resolve_s: int | None
    calls: list[CallShown]


@router.post("/escalation-policies", status_code=201)
async def create(asked: PolicyAsked, response: Response, asking: HeldAsking, rooms: HeldRooms) -> PolicyShown:
    """A policy that is asked after all others but the default."""
    asking.may(Operation.ADMINISTER)
    asking.tells(after=asked.model_dump(mode="json", exclude_none=True))
    policy = await rooms.policies.add(await _checked(rooms, _policy(asked, "", asking.tenant)))
    response.headers["Location"] = f"/api/v1/escalation-policies/{policy.id}"
    return _shown(policy, response)


@router.get("/escalation-policies")
async def several(asking: HeldAsking, rooms: HeldRooms) -> Listed[PolicyShown]:
    """All policies in the order in which they are asked; the default is the last."""
    asking.may(Operation.READ)
    return Listed(items=[_shown(policy) for policy in await rooms.policies.all(asking.tenant)])


@router.post("/escalation-policies:order")
async def order(asked: OrderAsked, asking: HeldAsking, rooms: HeldRooms) -> Listed[PolicyShown]:
    """Has the policies asked in another order."""
    asking.may(Operation.ADMINISTER)
    asking.tells(after={"policies": asked.policies})
    ordered = await rooms.policies.order(asking.tenant, asked.policies)
    return Listed(items=[_shown(policy) for policy in ordered])


@router.post("/escalation-policies:rehearse")
async def rehearse(asked: RehearsalAsked, asking: HeldAsking, rooms: HeldRooms) -> RehearsalShown:
    """Who would be told when of an alert of this severity at this place. Nobody is told anything."""
    asking.may(Operation.READ)
    policies = await rooms.policies.all(asking.tenant)
    farm = asked.farm
    if asked.enclosure is not None:
        farm = (await rooms.inventory.enclosure(asking.tenant, asked.enclosure)).farm
    elif farm is not None:
        await rooms.inventory.farm(asking.tenant, farm)
    policy = route(policies, asking.tenant, asked.severity, (asked.enclosure, farm))
    if asked.policy is not None:
        policy = await rooms.policies.one(asking.tenant, asked.policy)
    start = asked.at or rooms.clock.now()
    people = await rooms.contacts.all(asking.tenant)
    frame = policy.frame(asked.severity)
    return RehearsalShown(
        policy=policy.id,
        policy_name=policy.name,
        severity=asked.severity,
        acknowledge_s=_seconds(frame.acknowledge),
        resolve_s=_seconds(frame.resolve),
        calls=[
            call_shown(at, call, people, asked.severity, start)
            for at, call in ahead(begun(policy, asked.severity, start), asked.severity)
        ],
    )


@router.get("/escalation-policies/{policy}")
async def one(policy: PolicyKey, response: Response, asking: HeldAsking, rooms: HeldRooms) -> PolicyShown:
    """One policy."""
    asking.may(Operation.READ)
    return _shown(await rooms.policies.one(asking.tenant, policy), response)


@router.patch("/escalation-policies/{policy}")
async def change(
    policy: PolicyKey,
    asked: PolicyChange,
    response: Response,
    asking: HeldAsking,
    rooms: HeldRooms,
    if_match: IfMatch = None,
) -> PolicyShown:
    """Changes a policy. Open alerts go on as it was when they opened."""
    asking.may(Operation.ADMINISTER)
    known = await rooms.policies.one(asking.tenant, policy)
    said = asked.model_dump(exclude_unset=True)
    nullable = {"acknowledge_s", "resolve_s", "repeat_every_s"}
    said = {name: value for name, value in said.items() if value is not None or name in nullable}
    asking.tells(before=_shown(known).model_dump(mode="json"), after=asked.model_dump(mode="json", exclude_unset=True))
    wanted = PolicyAsked.model_validate(_shown(known).model_dump() | said)
    changed = await rooms.policies.change(
        await _checked(rooms, _policy(wanted, policy, asking.tenant)),
        # What was read here is what is changed: somebody who changes it meanwhile is not overwritten unseen.
        known.version if if_match is None else version_of(if_match),
    )
    return _shown(changed, response)


@router.delete("/escalation-policies/{policy}", status_code=204)
async def delete(policy: PolicyKey, asking: HeldAsking, rooms: HeldRooms, if_match: IfMatch = None) -> None:
    """Forgets a policy, any but the default."""
    asking.may(Operation.ADMINISTER)
    known = await rooms.policies.one(asking.tenant, policy)
    asking.tells(before=_shown(known).model_dump(mode="json", exclude={"id", "version"}))
    await rooms.policies.remove(asking.tenant, policy, version_of(if_match))


def call_shown(at: datetime, call: Call, people: Sequence[Contact], severity: Severity, start: datetime) -> CallShown:
    """A call with the people that it would reach as they are now."""
    return CallShown(
        at=at,
        after_s=int((at - start).total_seconds()),
        round=call.round,
        step=call.step,
        at_once=call.at_once,
        who=[
            WhoShown(
                contact=person.id,
                name=person.name,
                channels=list(dict.fromkeys(way.channel for way in person.ways(call.channels))),
            )
            for person in reached(people, call.contacts, severity)
        ],
    )


async def _checked(rooms: Rooms, policy: Policy) -> Policy:
    reachable = {contact.id for contact in await rooms.contacts.all(policy.tenant)}
    return checked(policy, reachable, await _known_places(rooms, TenantId(policy.tenant), policy.places))


async def _known_places(rooms: Rooms, tenant: TenantId, places: Iterable[str]) -> set[str]:
    """Those of the places that the tenant has; at most a few more than a policy may name."""
    named = list(places)[: 2 * PLACES_MAX]
    farms = [FarmId(place) for place in named if place.startswith(f"{Prefix.FARM.value}-")]
    inside = [EnclosureId(place) for place in named if place.startswith(f"{Prefix.ENCLOSURE.value}-")]
    found: set[str] = set(await rooms.inventory.farms_for(tenant, farms)) if farms else set()
    return found | (set(await rooms.inventory.enclosures_for(tenant, inside)) if inside else set())


def _policy(asked: PolicyAsked, policy: str, tenant: TenantId) -> Policy:
    return Policy(
        id=policy,
        tenant=tenant,
        name=asked.name,
        steps=[
            Step(
                after=timedelta(seconds=step.after_s),
                contacts=[_contact(contact) for contact in step.contacts],
                channels=step.channels,
                at_once=step.at_once,
            )
            for step in asked.steps
        ],
        severities=list(dict.fromkeys(asked.severities)),
        places=list(dict.fromkeys(_place(place) for place in asked.places)),
        acknowledge=_span(asked.acknowledge_s),
        resolve=_span(asked.resolve_s),
        repeat=asked.repeat,
        repeat_every=_span(asked.repeat_every_s),
    )


def _contact(raw: str) -> str:
    return EVERYBODY if raw == EVERYBODY else parse_id(raw, Prefix.CONTACT)


def _place(raw: str) -> str:
    is_enclosure = raw.strip().lower().startswith(Prefix.ENCLOSURE.value)
    return parse_id(raw, Prefix.ENCLOSURE if is_enclosure else Prefix.FARM)


def _shown(policy: Policy, response: Response | None = None) -> PolicyShown:
    if response is not None:
        response.headers.update(etag(policy.version))
    return PolicyShown(
        id=policy.id,
        name=policy.name,
        steps=[
            StepShown(
                after_s=int(step.after.total_seconds()),
                contacts=step.contacts,
                channels=step.channels,
                at_once=step.at_once,
            )
            for step in policy.steps
        ],
        severities=policy.severities,
        places=policy.places,
        acknowledge_s=_seconds(policy.acknowledge),
        resolve_s=_seconds(policy.resolve),
        repeat=policy.repeat,
        repeat_every_s=_seconds(policy.repeat_every),
        is_default=policy.is_default,
        version=policy.version,
    )


def _span(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else int(span.total_seconds())
