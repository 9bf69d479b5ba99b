"""Policies: one row says who may, or may not, do what, where, and on which paths. Roles are policies that nobody edits."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from shoal.access.pattern import ALL, ITSELF, Pattern
from shoal.ids import Prefix


class Operation(StrEnum):
    """Everything that can be granted. The first seven are what LwM2M knows (OMA LwM2M Core 1.1 §6.3, §6.4)."""

    READ = "read"
    WRITE = "write"
    EXECUTE = "execute"
    CREATE = "create"
    DELETE = "delete"
    OBSERVE = "observe"
    DISCOVER = "discover"
    UPDATE_FIRMWARE = "update_firmware"
    ACKNOWLEDGE = "acknowledge"
    ADMINISTER = "administer"


class Role(StrEnum):
    """What somebody is to a tenant, or to some places of it."""

    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    TECHNICIAN = "technician"
    VIEWER = "viewer"
    INTEGRATOR = "integrator"


class Effect(StrEnum):
    """What a policy does. Whatever denies wins over all that allows."""

    ALLOW = "allow"
    DENY = "deny"


class WhoKind(StrEnum):
    """Whom a policy names. `everybody` are all people and tokens of the tenant; `devices` are all devices of a kind.

    `server` is another LwM2M server that a device registers with.
    """

    EVERYBODY = "everybody"
    ROLE = "role"
    USER = "user"
    TOKEN = "token"  # noqa: S105  # a word of the vocabulary
    DEVICE = "device"
    DEVICES = "devices"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Who:
    """One, or a group. `id` is an id, a role, the kind of a device, or the short id of a server (`*` for all others);
    empty for everybody. `key` is both as one text.
    """

    kind: WhoKind
    id: str = ""
    key: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.kind.value}:{self.id}")

    @property
    def is_device(self) -> bool:
        """Whether it speaks LwM2M: of its operations only `write` means anything, which is to report."""
        return self.kind in {WhoKind.DEVICE, WhoKind.DEVICES}

    @property
    def is_server(self) -> bool:
        """Whether it is asked of devices what it may, and never of us: they decide by their object 2."""
        return self.kind is WhoKind.SERVER


EVERYBODY: Final = Who(WhoKind.EVERYBODY)
# Every device, until a policy says otherwise of it.
ALL_DEVICES: Final = Who(WhoKind.DEVICES)
# Every server of a device but ourselves.
OTHER_SERVERS: Final = Who(WhoKind.SERVER, "*")
# What an access control list tells apart (OMA LwM2M Core 1.1 §E.3); observe, discover and attributes come with read.
OF_SERVERS: Final = frozenset({Operation.READ, Operation.WRITE, Operation.EXECUTE, Operation.DELETE, Operation.CREATE})

_KIND_OF_ID: Final[Mapping[str, WhoKind]] = {
    Prefix.USER.value: WhoKind.USER,
    Prefix.TOKEN.value: WhoKind.TOKEN,
    Prefix.DEVICE.value: WhoKind.DEVICE,
}


def who_is(id_: str) -> Who:
    """The one who has this id. A ValueError for one that is neither a person's, a token's nor a device's."""
    kind = _KIND_OF_ID.get(id_.partition("-")[0])
    if kind is None:
        raise ValueError(id_)
    return Who(kind, id_)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One sentence: who may (or may not) do which operations, at which place, on which paths.

    `place` is the id of a tenant, farm, enclosure or device, and means everything inside; empty is the whole tenant, in
    policies that are every tenant's. One with `is_built_in` comes with Shoal.
    """

    id: str
    effect: Effect
    who: Who
    operations: frozenset[Operation]
    place: str = ""
    paths: tuple[Pattern, ...] = (ALL,)
    is_built_in: bool = False


def who_is_device(device: str, kind: str) -> tuple[Who, ...]:
    """All that a policy may call this device: itself, those of its kind, every device."""
    return Who(WhoKind.DEVICE, device), Who(WhoKind.DEVICES, kind), ALL_DEVICES


def closed_places(denying: Iterable[Policy]) -> frozenset[str]:
    """Where devices may not say that they are, by policies that name them: each closes all that lies within."""
    return frozenset(one.place for one in denying if any(path in {ALL, ITSELF} for path in one.paths))


def _of_role(role: Role, number: int, operations: set[Operation], *paths: Pattern) -> Policy:
    return Policy(
        id=f"{role.value}-{number}",
        effect=Effect.ALLOW,
        who=Who(WhoKind.ROLE, role.value),
        operations=frozenset(operations),
        paths=paths or (ALL,),
        is_built_in=True,
    )


_LOOKS: Final = {Operation.READ, Operation.OBSERVE, Operation.DISCOVER}

ROLES: Final[Mapping[Role, tuple[Policy, ...]]] = {
    Role.ADMINISTRATOR: (_of_role(Role.ADMINISTRATOR, 1, set(Operation)),),
    Role.OPERATOR: (_of_role(Role.OPERATOR, 1, set(Operation) - {Operation.ADMINISTER}),),
    Role.TECHNICIAN: (
        _of_role(Role.TECHNICIAN, 1, {*_LOOKS, Operation.ACKNOWLEDGE}),
        # Device, Reboot (OMA LwM2M Core 1.1, appendix E.4): what one tries at the pen.
        _of_role(Role.TECHNICIAN, 2, {Operation.EXECUTE}, Pattern.parse("/3/0/4")),
        # Placement: which enclosure a device is in, and that it is where it says.
        _of_role(Role.TECHNICIAN, 3, {Operation.WRITE}, Pattern.parse("/26241/*")),
        # Devices themselves, not their objects: one that broke is replaced by a new one.
        _of_role(Role.TECHNICIAN, 4, {Operation.CREATE, Operation.WRITE}, ITSELF),
    ),
    # Looking only: nothing that a viewer does reaches a device's settings, its battery's plan or somebody's work.
    Role.VIEWER: (_of_role(Role.VIEWER, 1, {Operation.READ}),),
    Role.INTEGRATOR: (_of_role(Role.INTEGRATOR, 1, _LOOKS),),
}

BUILT_IN: Final[tuple[Policy, ...]] = (
    *(policy for policies in ROLES.values() for policy in policies),
    Policy(
        id="devices-1",
        effect=Effect.ALLOW,
        who=ALL_DEVICES,
        operations=frozenset({Operation.WRITE}),
        is_built_in=True,
    ),
)


def operations_of(role: Role) -> frozenset[Operation]:
    """All operations that a role may do on some path."""
    return frozenset(operation for policy in ROLES[role] for operation in policy.operations)
