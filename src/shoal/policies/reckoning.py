"""What a change of policies means for people: who gains and who loses, who can still administer, what will never matter."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from shoal.access.decision import Allowed, Place, Policies, Subject, may
from shoal.access.pattern import ITSELF
from shoal.access.policy import Effect, Operation, Policy, WhoKind

# What is asked about things themselves and never about a path.
_OF_THINGS = frozenset({Operation.UPDATE_FIRMWARE, Operation.ACKNOWLEDGE, Operation.ADMINISTER})


@dataclass(frozen=True, slots=True)
class Balance:
    """The people who may more than before, and those who may less; somebody can be in both."""

    gain: frozenset[str]
    lose: frozenset[str]


def administrators(policies: Policies, people: Collection[Subject]) -> frozenset[str]:
    """Those who may administer the tenant as a whole."""
    place = Place(tenant=policies.tenant)
    return frozenset(one.id for one in people if may(policies, one, Operation.ADMINISTER, place))


def balance(
    before: Policies,
    after: Policies,
    changed: Sequence[Policy],
    people: Collection[Subject],
    places: Mapping[str, Place],
) -> Balance:
    """Whose rights another set of policies changes, asked where and about what the changed policies speak.

    `places` says of ids of places where they are; those that are not in it are gone.
    """
    gain: set[str] = set()
    lose: set[str] = set()
    for one in people:
        for policy in changed:
            for place in _asked_at(policy, one, places):
                for operation in policy.operations:
                    for path in policy.paths:
                        was = before.decide_on(one, operation, place, path.numbers)
                        will = after.decide_on(one, operation, place, path.numbers)
                        if isinstance(was, Allowed) != isinstance(will, Allowed):
                            (gain if isinstance(will, Allowed) else lose).add(one.id)
    return Balance(frozenset(gain), frozenset(lose))


def warnings(policy: Policy, people: Collection[Subject], known: Collection[str], changes: Balance | None) -> list[str]:
    """Why a policy may never matter, in plain words. `known` are the ids that are there; `changes` what it changes."""
    told = []
    who = policy.who
    if who.kind in {WhoKind.USER, WhoKind.TOKEN, WhoKind.DEVICE} and who.id not in known:
        told.append(f"{who.id} is not there any more: this policy means nobody")
    if who.kind is WhoKind.ROLE and not any(one.role is not None and one.role.value == who.id for one in people):
        told.append(f"No person has the role {who.id}")
    if policy.place and not policy.place.startswith("ten-") and policy.place not in known:
        told.append(f"{policy.place} is not there any more: this policy means no place")
    if not any(path == ITSELF or path.numbers == () for path in policy.paths):
        idle = sorted(policy.operations & _OF_THINGS)
        told += [f"{operation} is never asked of a path: only * or / can grant or deny it" for operation in idle]
    if who.is_server:
        told += _unsaid(policy)
    is_of_people = who.kind in {WhoKind.EVERYBODY, WhoKind.ROLE, WhoKind.USER}
    if not told and is_of_people and changes is not None and not changes.gain | changes.lose:
        no_more = "deny anything that is allowed" if policy.effect is Effect.DENY else "allow anything new"
        told.append(f"For the people that there are now, this policy does not {no_more}")
    return told


def _unsaid(policy: Policy) -> list[str]:
    """What a policy about another server says that a device has no word for (OMA LwM2M Core 1.1 §8.1)."""
    told = []
    for path in policy.paths:
        numbers = path.numbers or ()
        instance, whole = "/".join(["", *map(str, numbers[:2])]), f"/{numbers[0]}" if numbers else ""
        is_grant = policy.effect is Effect.ALLOW
        if len(numbers) > 2:
            what = "grants nothing" if is_grant else f"denies all of {instance}"
            told.append(f"A device grants no server less than an object instance: {path} {what}")
        if len(numbers) == 2 and Operation.CREATE in policy.operations:
            what = "grants nothing" if is_grant else f"denies it for all of {whole}"
            told.append(f"To create is a right on an object: for {path} it {what}")
    return told


def _asked_at(policy: Policy, subject: Subject, places: Mapping[str, Place]) -> list[Place]:
    """The place of a policy, and those of the subject's own that lie inside it."""
    at = places.get(policy.place) if policy.place else Place(tenant=subject.tenant)
    if at is None:
        return []
    held = [places[id_] for id_ in subject.places if id_ in places]
    return [at, *(place for place in held if at.innermost in place.ids)]
