"""May this one do that, there, on this path? Pure, total and quick: no table is read, nothing is awaited."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from shoal.access.pattern import ALL, ITSELF, NUMBERS_MAX, Numbers, Pattern
from shoal.access.policy import (
    ALL_DEVICES,
    BUILT_IN,
    EVERYBODY,
    OTHER_SERVERS,
    Effect,
    Operation,
    Policy,
    Role,
    Who,
    WhoKind,
    who_is,
)
from shoal.errors import Forbidden, NotFound
from shoal.ids import DeviceId, EnclosureId, FarmId, Prefix, TenantId
from shoal.lwm2m.path import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What it is about, from the outside in: a tenant, and of it a farm, an enclosure, a device, or everything."""

    tenant: TenantId
    farm: FarmId | None = None
    enclosure: EnclosureId | None = None
    device: DeviceId | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """Everything that it is in, itself included; first what is every tenant's."""
        inside = (self.farm, self.enclosure, self.device)
        return ("", self.tenant, *[id_ for id_ in inside if id_ is not None])

    @property
    def innermost(self) -> str:
        """The thing itself."""
        return self.device or self.enclosure or self.farm or self.tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who asks: a person or a token, with `id` usr-… or tok-…, and a name that a timeline can show.

    The role is held at `places` (ids of farms and enclosures), everywhere when there are none. `token` is that of a
    program; of a person's own program `person` is its owner, and it may only do what both may. For a device, `role` is
    None and `device_kind` says of which kind it is. For another server of a device, `server` is its short id, `*` for
    those that no policy names by itself.
    """

    tenant: TenantId
    role: Role | None
    id: str
    name: str
    places: frozenset[str] = frozenset()
    token: str | None = None
    person: "Subject | None" = None
    device_kind: str | None = None
    server: str | None = None
    # Everything that policies may call it: made once, because a page asks hundreds of times.
    who: tuple[Who, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "who", tuple(dict.fromkeys(self._named())))

    def _named(self) -> tuple[Who, ...]:
        if self.server is not None:
            return Who(WhoKind.SERVER, self.server), OTHER_SERVERS
        if self.role is None:
            return who_is(self.id), Who(WhoKind.DEVICES, self.device_kind or ""), ALL_DEVICES
        return who_is(self.token or self.id), Who(WhoKind.ROLE, self.role.value), EVERYBODY


@dataclass(frozen=True, slots=True)
class Allowed:
    """Go on. `because` is the policy that says so."""

    because: Policy = field(compare=False)


@dataclass(frozen=True, slots=True)
class Denied:
    """No. `is_hidden`: the place must not even be told to exist. `because` is the policy that denies, if one does."""

    reason: str
    is_hidden: bool = False
    because: Policy | None = None


Decision: TypeAlias = Allowed | Denied

ANOTHER_TENANT: Final = "another tenant"


def server_subject(tenant: TenantId, server: str) -> Subject:
    """Another server of a device, by its short id; `*` for all that no policy names by itself."""
    return Subject(tenant=tenant, role=None, id=f"server:{server}", name=f"Server {server}", server=server)


class Hidden(NotFound):
    """Refused, and the subject may not even know of the place: who asked is told that there is none. `refused` is for us."""

    def __init__(self, subject: str, reason: str, refused: Forbidden) -> None:
        super().__init__(subject, reason)
        self.refused = refused


class Bearing(StrEnum):
    """What a policy that names somebody says to one question, or why it says nothing."""

    DENIES = "denies"
    ALLOWS = "allows"
    OTHER_OPERATION = "other-operation"
    OTHER_PLACE = "other-place"
    OTHER_PATH = "other-path"


class Policies:
    """All policies of one tenant, those that come with Shoal included, so kept that a decision looks at few of them."""

    def __init__(self, tenant: TenantId, policies: Iterable[Policy] = ()) -> None:
        self.tenant = tenant
        self.all = (*BUILT_IN, *policies)
        # Whom it names, what, and where: by plain texts, which are hashed once and for all.
        self._by_who: dict[str, list[Policy]] = {}
        self._lines: dict[str, dict[str, dict[str, _Line]]] = {}
        for policy in self.all:
            self._by_who.setdefault(policy.who.key, []).append(policy)
            for operation in policy.operations:
                named = self._lines.setdefault(operation.value, {}).setdefault(policy.who.key, {})
                named.setdefault(policy.place, _Line()).add(policy)

    def naming(self, subject: Subject) -> Iterator[Policy]:
        """The policies that name this one, by itself or by what it is."""
        for who in subject.who:
            yield from self._by_who.get(who.key, ())

    def about_servers(self, place: Place) -> list[Policy]:
        """The policies that say there what other servers may do."""
        return [policy for policy in self.all if policy.who.is_server and policy.place in place.ids]

    def decide(self, subject: Subject, operation: Operation, place: Place, path: Path | None = None) -> Decision:
        """Whether the subject may do the operation there, on that path; without a path, to the thing itself.

        Tenants first: nothing reaches into another one. Then what denies, then what allows.
        """
        return self.decide_on(subject, operation, place, None if path is None else path.identifiers)

    def decide_on(self, subject: Subject, operation: Operation, place: Place, numbers: Numbers | None) -> Decision:
        """`decide` for all that begins with these numbers; none at all are all paths."""
        if subject.tenant != place.tenant or self.tenant != place.tenant:
            return Denied(ANOTHER_TENANT, is_hidden=True)
        allows: Policy | None = None
        prefixes = _prefixes(numbers)
        ids, named = place.ids, self._lines.get(operation.value, {})
        for who in subject.who:
            lines = named.get(who.key)
            if lines is None or (who.kind is WhoKind.ROLE and not _is_held(subject, ids)):
                continue
            for id_ in ids:
                line = lines.get(id_)
                if line is None:
                    continue
                denies = line.denying(numbers, prefixes)
                if denies is not None:
                    return Denied("a policy denies it", because=denies)
                allows = allows or line.allowing(prefixes)
        if allows is None:
            return Denied("no policy allows it")
        if subject.person is not None:
            return self.decide_on(subject.person, operation, place, numbers)
        return Allowed(allows)

    def bearings(
        self, subject: Subject, operation: Operation, place: Place, path: Path | None = None
    ) -> list[tuple[Policy, Bearing]]:
        """What each policy that names the subject says to this question: what denies first, what is silent last."""
        numbers = None if path is None else path.identifiers
        said = [(policy, _bearing(policy, subject, operation, place, numbers)) for policy in self.naming(subject)]
        if subject.person is not None:
            said += self.bearings(subject.person, operation, place, path)
        return sorted(said, key=lambda one: list(Bearing).index(one[1]))

    def reach(self, subject: Subject, operation: Operation, *, on_some_path: bool = False) -> "Reach":
        """Where the subject may do the operation to things themselves: what lists and counts are narrowed to.

        With `on_some_path`, where it may do it to anything at all: what a page offers.
        """
        layer = Layer(
            within=self._zones(subject, operation, Effect.ALLOW, None if on_some_path else {ALL, ITSELF}),
            but=self._zones(subject, operation, Effect.DENY, {ALL} if on_some_path else {ALL, ITSELF}),
        )
        person = subject.person
        outer = () if person is None else self.reach(person, operation, on_some_path=on_some_path).layers
        return Reach((layer, *outer))

    def _zones(
        self, subject: Subject, operation: Operation, effect: Effect, paths: Collection[Pattern] | None
    ) -> tuple["Zone", ...]:
        found: set[Zone] = set()
        for policy in self.naming(subject):
            if policy.effect is not effect or operation not in policy.operations:
                continue
            if paths is not None and not any(path in paths for path in policy.paths):
                continue
            zone = zone_of(policy.place)
            if policy.who.kind is WhoKind.ROLE and subject.places:
                found.update(both for held in subject.places if (both := zone.within(zone_of(held))) is not None)
            else:
                found.add(zone)
        return (Zone(),) if Zone() in found else tuple(sorted(found, key=str))


@dataclass(frozen=True, slots=True)
class Zone:
    """All that is in this farm and this enclosure and is this device; None does not matter."""

    farm: str | None = None
    enclosure: str | None = None
    device: str | None = None

    def within(self, other: "Zone") -> "Zone | None":
        """What is in both; None when nothing can be."""
        pairs = ((self.farm, other.farm), (self.enclosure, other.enclosure), (self.device, other.device))
        if any(mine and theirs and mine != theirs for mine, theirs in pairs):
            return None
        return Zone(*(mine or theirs for mine, theirs in pairs))

    def holds(self, farm: str | None, enclosure: str | None, device: str | None) -> bool:
        """Whether something that is there is in it."""
        return (
            (self.farm is None or self.farm == farm)
            and (self.enclosure is None or self.enclosure == enclosure)
            and (self.device is None or self.device == device)
        )


@dataclass(frozen=True, slots=True)
class Layer:
    """What is in one of the zones `within`, and in none of those of `but`."""

    within: tuple[Zone, ...]
    but: tuple[Zone, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """Where somebody may do something: what lies in all layers. A person's own program has one of its own, and theirs."""

    layers: tuple[Layer, ...]

    @property
    def is_everywhere(self) -> bool:
        """Whether nothing of the tenant is left out."""
        return all(layer.within == (Zone(),) and not layer.but for layer in self.layers)

    @property
    def is_nowhere(self) -> bool:
        """Whether nothing is left."""
        return any(not layer.within or Zone() in layer.but for layer in self.layers)

    def covers(self, farm: str | None, enclosure: str | None, device: str | None) -> bool:
        """Whether it reaches something that is there; None is in no farm, in no enclosure, or no device."""
        return all(
            any(zone.holds(farm, enclosure, device) for zone in layer.within)
            and not any(zone.holds(farm, enclosure, device) for zone in layer.but)
            for layer in self.layers
        )

    def covers_surely(self, farm: str | None, enclosure: str | None, device: str | None) -> bool:
        """Whether it reaches something of which not all may be known: where None might be in what is denied, it is."""
        return all(
            any(zone.holds(farm, enclosure, device) for zone in layer.within)
            and not any(
                zone.holds(farm or zone.farm, enclosure or zone.enclosure, device or zone.device) for zone in layer.but
            )
            for layer in self.layers
        )


EVERYWHERE: Final = Reach((Layer((Zone(),)),))


def zone_of(id_: str) -> Zone:
    """The zone that the id of a place means; empty, or a tenant's: everything."""
    match id_.partition("-")[0]:
        case Prefix.FARM.value:
            return Zone(farm=id_)
        case Prefix.ENCLOSURE.value:
            return Zone(enclosure=id_)
        case Prefix.DEVICE.value:
            return Zone(device=id_)
        case _:
            return Zone()


def require(
    policies: Policies,
    subject: Subject,
    operation: Operation,
    place: Place,
    path: Path | None = None,
    thing: str | None = None,
) -> None:
    """Nothing when it is allowed. `thing` is what was asked for when that is not the place itself: an alert of it.

    Raises:
        NotFound: the place belongs to another tenant, or (`Hidden`) the subject may not read it; whether it exists is not
            told.
        Forbidden: a policy denies it, or none allows it.
    """
    decision = policies.decide(subject, operation, place, path)
    if isinstance(decision, Allowed):
        return
    named = thing or place.innermost
    none = f"no such {_KINDS.get(named.partition('-')[0], 'thing')}"
    if decision.is_hidden:
        raise NotFound(named, none)
    refused = Forbidden(
        operation.value,
        decision.reason,
        role=None if subject.role is None else subject.role.value,
        policy=None if decision.because is None else decision.because.id,
        place=place.innermost,
        path=None if path is None else str(path),
    )
    if named != place.tenant and not may(policies, subject, Operation.READ, place):
        raise Hidden(named, none, refused)
    raise refused


def may(policies: Policies, subject: Subject, operation: Operation, place: Place, path: Path | None = None) -> bool:
    """Whether it is allowed."""
    return isinstance(policies.decide(subject, operation, place, path), Allowed)


# As the rooms say it of what is not there: the two must not be told apart.
_KINDS: Final = {
    Prefix.FARM.value: "farm",
    Prefix.ENCLOSURE.value: "enclosure",
    Prefix.DEVICE.value: "device",
    Prefix.ALERT.value: "alert",
    Prefix.COMMAND.value: "command",
}


Prefixes: TypeAlias = tuple[Numbers | None, ...]


class _Line:
    """The policies of one somebody, place and operation, by path."""

    __slots__ = ("_allow", "_deny", "_deny_below")

    def __init__(self) -> None:
        self._allow: dict[Numbers | None, Policy] = {}
        self._deny: dict[Numbers | None, Policy] = {}
        # What is denied somewhere below a path: reading /3 reads /3/0/9, too.
        self._deny_below: dict[Numbers, Policy] = {}

    def add(self, policy: Policy) -> None:
        for pattern in policy.paths:
            numbers = pattern.numbers
            if policy.effect is Effect.ALLOW:
                self._allow.setdefault(numbers, policy)
                continue
            self._deny.setdefault(numbers, policy)
            for length in range(len(numbers or ())):
                self._deny_below.setdefault((numbers or ())[:length], policy)

    def denying(self, numbers: Numbers | None, prefixes: Prefixes) -> Policy | None:
        if not self._deny:
            return None
        found = _covering(self._deny, prefixes)
        return found if found is not None or numbers is None else self._deny_below.get(numbers)

    def allowing(self, prefixes: Prefixes) -> Policy | None:
        return _covering(self._allow, prefixes) if self._allow else None


def _prefixes(numbers: Numbers | None) -> Prefixes:
    """The patterns that cover a path, the widest first: `*`, `/3/*`, `/3/0/*`, `/3/0/9`; for the thing itself `*`, `/`."""
    if numbers is None:
        return (), None
    return tuple(numbers[:length] for length in range(min(len(numbers), NUMBERS_MAX) + 1))


def _covering(lines: Mapping[Numbers | None, Policy], prefixes: Prefixes) -> Policy | None:
    """The first of the policies whose pattern covers a path."""
    for prefix in prefixes:
        found = lines.get(prefix)
        if found is not None:
            return found
    return None


def _is_held(subject: Subject, ids: tuple[str, ...]) -> bool:
    """Whether the subject has its role at a place that is in all of these."""
    return not subject.places or not subject.places.isdisjoint(ids)


def _bearing(policy: Policy, subject: Subject, operation: Operation, place: Place, numbers: Numbers | None) -> Bearing:
    if operation not in policy.operations:
        return Bearing.OTHER_OPERATION
    is_held = policy.who.kind is not WhoKind.ROLE or _is_held(subject, place.ids)
    if not is_held or policy.place not in place.ids:
        return Bearing.OTHER_PLACE
    if policy.effect is Effect.DENY:
        return Bearing.DENIES if any(path.touches(numbers) for path in policy.paths) else Bearing.OTHER_PATH
    return Bearing.ALLOWS if any(path.covers(numbers) for path in policy.paths) else Bearing.OTHER_PATH
