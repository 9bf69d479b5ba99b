"""What policies grant other servers, as the Access Control object says it: for each object instance a number of bits by
the short id of each server (OMA LwM2M Core 1.1 §8.1, §E.3).

Object 2 knows nothing smaller than an object instance. A grant of less is not given, and a denial of less denies all of
the instance: that is how `access` answers for the whole of it.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from shoal.access.decision import Allowed, Place, Policies, Subject, server_subject
from shoal.access.policy import OTHER_SERVERS, Operation, Policy

# Rights by short server id; OTHERS are all that have no entry of their own.
Acl: TypeAlias = Mapping[int, int]

OTHERS: Final = 0
# Core 1.1 §8.1: in the place of an instance, the right to create instances of the object; as an owner, bootstrap.
BOOTSTRAP: Final = 65_535

# Core 1.1 §E.3, resource 2, in the order in which they are read. Read brings observe and Write-Attributes along.
BITS: Final[Mapping[Operation, int]] = {
    Operation.READ: 1,
    Operation.WRITE: 2,
    Operation.EXECUTE: 4,
    Operation.DELETE: 8,
    Operation.CREATE: 16,
}
EVERYTHING: Final = 15  # on an instance: creating is a right on the object


class Target(NamedTuple):
    """Whose rights an instance of object 2 tells: an object instance, or creating instances of an object."""

    object: int
    instance: int

    @property
    def is_creation(self) -> bool:
        return self.instance == BOOTSTRAP

    @property
    def numbers(self) -> tuple[int, ...]:
        """The identifiers of what policies are asked about."""
        return (self.object,) if self.is_creation else tuple(self)

    @property
    def bits(self) -> int:
        """The rights that mean something there."""
        return BITS[Operation.CREATE] if self.is_creation else EVERYTHING

    def __str__(self) -> str:
        return "".join(f"/{number}" for number in self.numbers)


def wanted(
    policies: Policies, place: Place, targets: Iterable[Target], servers: Collection[int] | None
) -> dict[str, Acl]:
    """What others are to be allowed, by target. Nothing stands for what nobody but ourselves may touch.

    `servers` are those that the device has, None where that is not known: no entry is made for one that it has not.
    """
    named = {int(one.who.id) for one in policies.about_servers(place) if one.who != OTHER_SERVERS}
    those = {one: _subject(place, one) for one in sorted(named if servers is None else named & set(servers))}
    others = _subject(place, OTHERS)
    found: dict[str, Acl] = {}
    for target in targets:
        general = _granted(policies, others, place, target)
        acl = {OTHERS: general} if general else {}
        for server, subject in those.items():
            rights = _granted(policies, subject, place, target)
            if rights != general:
                acl[server] = rights
        if acl:
            found[str(target)] = acl
    return found


def effective(acl: Acl, server: int) -> int:
    """What a server may by a list: its own entry, else that of all others, else nothing (Core 1.1 §8.2)."""
    return acl.get(server, acl.get(OTHERS, 0))


def differ(found: Acl, wants: Acl, own: int | None, target: Target) -> bool:
    """Whether two lists let any other server do something else. What we (`own`) may ourselves does not count."""
    return any(
        (effective(found, server) ^ effective(wants, server)) & target.bits
        for server in {*found, *wants, OTHERS} - {own}
    )


def ours(found: Acl, own: int, owner: int | None, target: Target) -> int:
    """What we may ourselves: by our own entry, or all of it as the owner, or like everybody (Core 1.1 §8.2)."""
    if own not in found and owner == own:
        return target.bits
    return effective(found, own) & target.bits


def to_write(wants: Acl, found: Acl, own: int) -> dict[int, int]:
    """The whole list as it is written.

    An owner without an entry has all rights (Core 1.1 §8.2), but clients are about that grant them only while the list is
    empty: so that nobody is locked out, our own entry goes with those of others. One that is there stays.
    """
    return {OTHERS: 0, **wants, own: found.get(own, EVERYTHING)}


def narrower(policies: Policies, place: Place, target: Target) -> list[Policy]:
    """Policies about servers that speak of less than the target: object 2 has no word for them."""
    depth = len(target.numbers)
    asked = {operation for operation, bit in BITS.items() if bit & target.bits}
    return [
        policy
        for policy in policies.about_servers(place)
        if policy.operations & asked
        and any(
            path.numbers is not None and len(path.numbers) > depth and path.numbers[:depth] == target.numbers
            for path in policy.paths
        )
    ]


def operations_of(rights: int) -> list[Operation]:
    """The operations that some bits stand for."""
    return [operation for operation, bit in BITS.items() if rights & bit]


def _subject(place: Place, server: int) -> Subject:
    return server_subject(place.tenant, OTHER_SERVERS.id if server == OTHERS else str(server))


def _granted(policies: Policies, subject: Subject, place: Place, target: Target) -> int:
    return sum(
        bit
        for operation, bit in BITS.items()
        if bit & target.bits and isinstance(policies.decide_on(subject, operation, place, target.numbers), Allowed)
    )
