"""What the API answers, read tolerantly: fields we do not know are passed over, fields that are missing have a default."""

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue, model_validator


class Heard(BaseModel):
    """Something the API said. A null counts as not said, so that a newer or older API does not break a screen."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nulls(cls, data: object) -> object:
        if isinstance(data, dict):
            return {name: value for name, value in data.items() if value is not None}
        return data


Item = TypeVar("Item")


class Page(Heard, Generic[Item]):
    """One page of a list. `total` counts all that match, where the API says so."""

    items: list[Item] = []
    next: str | None = None
    total: int | None = None


class Evidence(Heard):
    at: datetime | None = None
    says: str = ""


class Verdict(Heard):
    cause: str = "unknown"
    says: str = ""
    since: datetime | None = None
    evidence: list[Evidence] = []
    ruled_out: list[str] = []


class Counts(Heard):
    """Devices by status. Those asleep are healthy, too."""

    healthy: int = 0
    asleep: int = 0
    degraded: int = 0
    failing: int = 0
    silent: int = 0
    new: int = 0

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, data: object) -> object:
        if isinstance(data, dict) and isinstance(nested := data.get("counts"), dict):
            return {**data, **nested}
        return data

    @property
    def devices(self) -> int:
        return self.healthy + self.degraded + self.failing + self.silent + self.new


class FarmCounts(Counts):
    farm: str


class Health(Counts):
    farms: list[FarmCounts] = []


class Farm(Heard):
    id: str
    name: str = ""


class Enclosure(Heard):
    id: str
    farm: str = ""
    name: str = ""
    kind: str = "enclosure"


class FarmDetail(Farm):
    enclosures: list[Enclosure] = []


class Quantity(Heard):
    """One thing to watch in an enclosure: how many sources of it are alive, of how many expected."""

    quantity: str
    alive: int = 0
    expected: int = 0
    freshest_at: datetime | None = None
    value: float | None = None
    unit: str = ""
    blind_since: datetime | None = None


def _quantities(value: object) -> object:
    if isinstance(value, dict):
        return [{"quantity": name, **fields} for name, fields in value.items() if isinstance(fields, dict)]
    return value


class Coverage(Heard):
    enclosure: str
    farm: str = ""
    name: str = ""
    quantities: Annotated[list[Quantity], BeforeValidator(_quantities)] = []


class Names(Heard):
    farm: str = ""
    enclosure: str = ""


class Place(Heard):
    """Where the inventory says a device is. `state` is agreed, mismatch, unknown or foreign."""

    farm: str | None = None
    enclosure: str | None = None
    names: Names = Names()
    state: str = "agreed"


class Claim(Heard):
    """The enclosure a device itself reports."""

    enclosure: str
    name: str = ""
    farm: str = ""
    farm_name: str = ""
    via: str = ""
    at: datetime | None = None


class Vital(Heard):
    value: float | str
    at: datetime | None = None


def _vital(value: object) -> object:
    return {"value": value} if isinstance(value, int | float | str) else value


AnyVital = Annotated[Vital | None, BeforeValidator(_vital)]


class Vitals(Heard):
    battery_percent: AnyVital = None
    battery_mv: AnyVital = None
    signal_dbm: AnyVital = None
    free_memory_kb: AnyVital = None
    firmware_version: AnyVital = None


class Flags(Heard):
    asleep: bool = False
    stale: bool = False


class Registration(Heard):
    id: str = ""
    version: str = ""
    lifetime_s: int = 0
    binding: str = ""
    queue_mode: bool = False
    secure: bool = False
    address: str = ""
    registered_at: datetime | None = None
    expires_at: datetime | None = None


class AuditEntry(Heard):
    """Something that was done: by whom, from where, to what, and what it was before."""

    id: str
    at: datetime
    by: str
    by_name: str
    address: str = ""
    action: str
    resource: str = ""
    thing: str | None = None
    path: str = ""
    before: dict[str, JsonValue] | None = None
    after: dict[str, JsonValue] | None = None


class TenantNamed(Heard):
    name: str


class Invitation(Heard):
    """What a link invites to."""

    tenant: TenantNamed
    role: str
    expires_at: datetime
    password_characters_min: int


class Security(Heard):
    mode: str = ""
    identity: str = ""
    needs_key: bool = False


class Command(Heard):
    """Something asked of a device. `expected_at` is when it is thought to wake; `paths` are those of a composite.

    `kinds` are, by path, the types of what was read where JSON does not tell them.
    """

    id: str
    device: str = ""
    operation: str = ""
    path: str = ""
    paths: list[str] = []
    state: str = "queued"
    by: str = ""
    code: str = ""
    detail: str = ""
    value: JsonValue = None
    kinds: dict[str, str] = {}
    at: datetime | None = None
    expires_at: datetime | None = None
    expected_at: datetime | None = None


class Device(Heard):
    id: str
    endpoint: str = ""
    kind: str = "sensor"
    model: str = ""
    status: str = "new"
    cause: str | None = None
    since: datetime | None = None
    last_heard_at: datetime | None = None
    next_expected_at: datetime | None = None
    verdict: Verdict | None = None
    place: Place = Place()
    claim: Claim | None = None
    registration: Registration | None = None
    security: Security | None = None
    vitals: Vitals = Vitals()
    flags: Flags = Flags()
    waiting: list[Command] = []


class Defined(Heard):
    """What the definition of an object says of a resource."""

    name: str = ""
    type: str = "string"
    operations: str = ""
    multiple: bool = False
    mandatory: bool = False
    units: str = ""
    range: str = ""


class ResourceOfObject(Defined):
    resource: int


class Resource(Defined):
    path: str
    value: JsonValue = None
    is_cut: bool = False
    at: datetime | None = None
    clock: str = "server"
    observed: bool = False


class Instance(Heard):
    instance: int
    resources: list[Resource] = []


class Object(Heard):
    object: int
    name: str = ""
    urn: str = ""
    version: str = ""
    multiple: bool = True
    mandatory: bool = False
    resources: list[ResourceOfObject] = []
    instances: list[Instance] = []


class Observation(Heard):
    """What is to be reported by itself, and what the device does about it. `version` is 0 while nobody said anything."""

    path: str
    observe: bool = True
    origin: Literal["profile", "device"] | None = None
    attributes: dict[str, int | float | bool] = {}
    taken: dict[str, int | float | bool] | None = None
    state: Literal["established", "refused", "lost", "waiting", "absent", "off", "unwanted"] = "waiting"
    code: str = ""
    since: datetime | None = None
    drift: bool = False
    by: str = ""
    at: datetime | None = None
    version: int = 0


class Link(Heard):
    path: str
    attributes: dict[str, str | bool] = {}


class Found(Heard):
    """Something that a search found; `detail` is an endpoint, a serial number or a code."""

    kind: Literal["device", "farm", "enclosure", "alert"]
    id: str
    name: str = ""
    detail: str = ""
    farm: str | None = None
    farm_name: str = ""
    enclosure_name: str = ""


class Discovered(Heard):
    path: str = ""
    links: list[Link] = []
    at: datetime | None = None


class Point(Heard):
    at: datetime
    mean: float
    min: float
    max: float
    count: int = 1


class Readings(Heard):
    path: str
    unit: str = ""
    points: list[Point] = []


class TimelineItem(Heard):
    id: str
    at: datetime
    kind: str = ""
    says: str = ""
    detail: JsonValue = None


class Update(Heard):
    id: str
    artifact: str = ""
    kind: str = "firmware"
    from_version: str = ""
    name: str = ""
    version: str = ""
    state: str = "waiting"
    was: str | None = None
    reason: str = ""
    deadline: datetime | None = None
    bytes: int | None = None
    size: int | None = None
    started_at: datetime | None = None
    changed_at: datetime | None = None
    by: str = ""
    delivery: str = ""
    over: str = ""
    undoes: str | None = None
    ran_since: datetime | None = None
    can_roll_back: bool = False
    previous_version: str = ""


class Artifact(Heard):
    id: str
    kind: str = "firmware"
    name: str = ""
    version: str = ""
    size: int | None = None
    created_at: datetime | None = None


class Told(Heard):
    """Somebody was told, or will be: `state` is waiting, sent, delivered, read, failed."""

    channel: str = ""
    to: str = ""
    about: str = ""
    state: str = ""
    at: datetime | None = None
    detail: str = ""


class Next(Heard):
    """Who is told at that time if nobody takes the alert."""

    at: datetime
    to: list[str] = []
    channels: list[str] = []


class Alert(Heard):
    id: str
    code: str = ""
    state: str = "open"
    severity: str = "warning"
    headline: str = ""
    condition: str = ""
    farm: str | None = None
    farm_name: str = ""
    enclosure: str | None = None
    enclosure_name: str = ""
    device: str | None = None
    endpoint: str = ""
    verdict: Verdict = Verdict()
    opened_at: datetime
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    note: str = ""
    acknowledge_due: datetime | None = None
    taken_until: datetime | None = None
    resolved_at: datetime | None = None
    resolved_by: str = ""
    policy: str = ""
    policy_name: str = ""
    told: list[Told] = []
    next: Next | None = None
    ahead: list[Next] = []
    timeline: list[TimelineItem] = []


class Pipeline(Heard):
    delayed_since: datetime | None = None
    heartbeat_at: datetime | None = None


class Answer(Heard):
    """A device's answer to a read, a write or an execute, or what was last known."""

    path: str = ""
    value: JsonValue = None
    type: str = ""
    at: datetime | None = None
    source: str = "device"
    trip_ms: float | None = None
