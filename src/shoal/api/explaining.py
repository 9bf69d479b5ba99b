"""Why somebody may or may not do something somewhere: all rules that name them, and what each says to the question."""

from typing import Annotated

from pydantic import BaseModel, Field

from shoal.access.decision import Allowed, Bearing, Denied, Place, Policies, Subject, server_subject
from shoal.access.policy import OF_SERVERS, Effect, Operation, Policy, WhoKind
from shoal.access.sentence import sentence_of
from shoal.api.context import NamingRooms
from shoal.api.names import Named, named, named_in
from shoal.errors import NotFound, Rejected
from shoal.identity.token import subject_of
from shoal.ids import DeviceId, Prefix, TenantId, TokenId, UserId, parse_id
from shoal.lwm2m.path import Path
from shoal.policies.policy import parse_place, parse_who


class ReasonShown(BaseModel):
    """A rule that names the subject, and what it says to the question: `denies`, `allows`, or why it is silent."""

    policy: str
    built_in: bool
    effect: Effect
    says: str
    bearing: Bearing


class Explained(BaseModel):
    """`because` are all rules that were looked at, those that decide first."""

    decision: Annotated[str, Field(examples=["allowed", "denied"])]
    says: str
    because: list[ReasonShown]


async def explained(
    rooms: NamingRooms, policies: Policies, subject: Subject, operation: Operation, place: Place, path: Path | None
) -> Explained:
    """What the policies say to this question.

    Raises:
        Rejected: of another server of a device, what object 2 has no word for.
    """
    if subject.server is not None:
        path = _controlled(path, operation)
    decision = policies.decide(subject, operation, place, path)
    said = policies.bearings(subject, operation, place, path)
    known = await named_in(rooms, policies.tenant, [policy for policy, _ in said])
    return Explained(
        decision="allowed" if isinstance(decision, Allowed) else "denied",
        says=verdict(decision, known),
        because=[
            ReasonShown(
                policy=policy.id,
                built_in=policy.is_built_in,
                effect=policy.effect,
                says=sentence_of(policy, known.names),
                bearing=bearing,
            )
            for policy, bearing in said
        ],
    )


def verdict(decision: Allowed | Denied, known: Named) -> str:
    """A decision in a sentence."""
    match decision:
        case Allowed(because):
            return f"Yes: {sentence_of(because, known.names)}. Nothing denies it."
        case Denied(because=Policy() as because):
            return f"No: {sentence_of(because, known.names)}."
        case Denied():
            return "No: no policy allows it."


async def subject_named(rooms: NamingRooms, tenant: TenantId, raw: str) -> Subject:
    """The person, token or device of the tenant with this id, or another server of its devices (`server:123`).

    Raises:
        MistypedId: looks like an id, and is none.
        Rejected: of something else.
        NotFound: there is none.
    """
    match raw[:4].lower():
        case "usr-":
            return (await rooms.identity.user(tenant, UserId(parse_id(raw, Prefix.USER)))).subject
        case "tok-":
            id_ = TokenId(parse_id(raw, Prefix.TOKEN))
            token = (await rooms.identity.tokens_for(tenant, [id_])).get(id_)
            if token is None:
                raise NotFound(id_, "no such token")
            person = None if token.user is None else (await rooms.identity.user(tenant, token.user)).subject
            return subject_of(token, person)
        case "dev-":
            device = await rooms.inventory.device(tenant, DeviceId(parse_id(raw, Prefix.DEVICE)))
            return Subject(tenant=tenant, role=None, id=device.id, name=device.name, device_kind=device.kind.value)
        case "serv":
            who = parse_who(WhoKind.SERVER, raw.lower().removeprefix("server:"))
            return server_subject(tenant, who.id)
        case _:
            raise Rejected("subject", "not the id of a person, a token or a device, nor a server")


async def place_named(rooms: NamingRooms, tenant: TenantId, raw: str | None) -> Place:
    """The farm, enclosure or device of the tenant with this id; the tenant itself when none is said.

    Raises:
        MistypedId, Rejected: no id of a place.
        NotFound: there is none.
    """
    id_ = parse_place(raw, tenant)
    found = (await named(rooms, tenant, [id_])).places.get(id_)
    if found is None:
        raise NotFound(id_, "no such place")
    return found


def path_said(raw: str | None) -> Path | None:
    """The path that somebody asks about; None for the thing itself. Raises Rejected: no path."""
    return Path.parse(raw.strip()) if raw and raw.strip() else None


def _controlled(path: Path | None, operation: Operation) -> Path:
    """What object 2 has a word for: an object instance, or for create its object (OMA LwM2M Core 1.1 §8.1).

    Raises:
        Rejected: less is asked about, or something that no server is granted.
    """
    if operation not in OF_SERVERS:
        raise Rejected("operation", "other servers read, write, execute, create or delete")
    if operation is Operation.CREATE and path is not None:
        return Path(path.object)
    if path is None or path.instance is None:
        raise Rejected("path", "what another server may is decided for an object instance, such as /3/0")
    return Path(path.object, path.instance)
