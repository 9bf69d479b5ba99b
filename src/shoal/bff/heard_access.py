"""What the API answers about people, roles and policies, and to whom it answers."""

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from shoal.bff.heard import Heard


def _named(value: object) -> object:
    """A tenant or a user may be an id, or an object with a name."""
    if isinstance(value, dict):
        return value.get("name") or value.get("email") or value.get("id") or ""
    return value


AnyName = Annotated[str, BeforeValidator(_named)]


class May(Heard):
    """An operation that is allowed somewhere; without places, everywhere."""

    operation: str
    places: list[str] = []


class Me(Heard):
    id: str = ""
    user: AnyName = ""
    role: str = ""
    operations: list[str] = Field([], description="What is allowed for the tenant as a whole")
    may: list[May] = []

    @property
    def administers(self) -> bool:
        return "administer" in self.operations

    @model_validator(mode="before")
    @classmethod
    def _own_id(cls, data: object) -> object:
        if isinstance(data, dict) and isinstance(user := data.get("user"), dict):
            return {"id": user.get("id"), **data}
        return data

    tenant: AnyName = Field("", description="The tenant's name")


class Session(Heard):
    """What a login at the API returns. The token never leaves this process."""

    token: str
    user: AnyName = ""
    role: str = "viewer"
    expires_at: datetime


class User(Heard):
    id: str
    email: str = ""
    name: str = ""
    role: str = ""
    places: list[str] = []
    disabled: bool = False


class Token(Heard):
    id: str
    kind: str = ""
    user: str | None = None
    name: str = ""
    role: str = ""
    places: list[str] = []
    created_at: datetime | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class Who(Heard):
    kind: str = "everybody"
    id: str | None = None
    name: str = ""


class AccessPolicy(Heard):
    """One sentence; `says` is it."""

    id: str
    effect: str = "allow"
    who: Who = Who()
    operations: list[str] = []
    place: str | None = None
    place_name: str = ""
    paths: list[str] = []
    says: str = ""
    warnings: list[str] = []
    note: str = ""
    changed_by: str = ""
    changed_at: datetime | None = None
    version: int = 0


class Rule(Heard):
    id: str
    says: str = ""


class RoleRules(Heard):
    role: str
    policies: list[Rule] = []


class Preview(Heard):
    says: str = ""
    gain: int = 0
    lose: int = 0
    warnings: list[str] = []


class Reason(Heard):
    policy: str
    built_in: bool = False
    effect: str = "allow"
    says: str = ""
    bearing: str = ""


class Explained(Heard):
    decision: str = "denied"
    says: str = ""
    because: list[Reason] = []


class Rights(Heard):
    """What one server of a device may there; `server` is a short id, or `*` for all others."""

    server: str = ""
    wanted: list[str] = []
    found: list[str] = []


class Control(Heard):
    """The rights of servers on an object instance, or on creating instances of an object."""

    path: str = ""
    state: str = "unknown"
    drift: bool = False
    reason: str = ""
    rights: list[Rights] = []


class AccessControl(Heard):
    """What other servers of a device may do there; `shared` is false when there are none."""

    shared: bool = False
    own: int | None = None
    servers: list[int] = []
    ruled: bool = False
    settled: bool = True
    problem: str = ""
    drift: bool = False
    controls: list[Control] = []
