"""What the API answers about people, roles and policies."""

from datetime import datetime

from shoal.bff.heard import Heard


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
