"""May this one do that, there? Pure, total and quick: no table is read, nothing is awaited."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from shoal.access.policy import GRANTS, Grant, Operation, Role
from shoal.errors import Forbidden, NotFound
from shoal.ids import DeviceId, EnclosureId, FarmId, TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who asks: a person or a token, with `id` usr-… or tok-…, and a name that a timeline can show."""

    tenant: TenantId
    role: Role
    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What it is about, from the outside in: a tenant, and of it a farm, an enclosure, a device, or everything."""

    tenant: TenantId
    farm: FarmId | None = None
    enclosure: EnclosureId | None = None
    device: DeviceId | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """Go on."""


@dataclass(frozen=True, slots=True)
class Denied:
    """No. `is_hidden`: the place must not even be told to exist, because it belongs to another tenant."""

    reason: str
    is_hidden: bool = False


Decision: TypeAlias = Allowed | Denied

ANOTHER_TENANT: Final = "another tenant"


def decide(subject: Subject, operation: Operation, place: Place, grants: Mapping[Role, Grant] = GRANTS) -> Decision:
    """Whether the subject may do the operation at the place. Tenants first: no role reaches into another one."""
    if subject.tenant != place.tenant:
        return Denied(ANOTHER_TENANT, is_hidden=True)
    grant = grants.get(subject.role)
    if grant is None or not grant.covers(operation):
        return Denied(f"the role {subject.role.value} does not grant {operation.value}")
    return Allowed()


def require(subject: Subject, operation: Operation, place: Place) -> None:
    """Nothing when it is allowed.

    Raises:
        NotFound: the place belongs to another tenant; whether it exists is not told.
        Forbidden: the role does not grant it.
    """
    match decide(subject, operation, place):
        case Denied(is_hidden=True):
            innermost = place.device or place.enclosure or place.farm or place.tenant
            raise NotFound(innermost, "not found")
        case Denied(reason):
            raise Forbidden(operation.value, reason, role=subject.role.value)
        case Allowed():
            return
