"""What the API answers about who is told of alerts: policies, rehearsals, contacts, channels."""

from datetime import datetime

from shoal.bff.heard import Heard


class Step(Heard):
    after_s: int = 0
    contacts: list[str] = []
    channels: list[str] = []
    at_once: bool = False


class Policy(Heard):
    """Who is told of which alerts. What is None of the time frames follows the severity."""

    id: str
    name: str = ""
    is_default: bool = False
    version: int = 0
    steps: list[Step] = []
    severities: list[str] = []
    places: list[str] = []
    acknowledge_s: int | None = None
    resolve_s: int | None = None
    repeat: int = 0
    repeat_every_s: int | None = None


class Who(Heard):
    name: str = ""
    channels: list[str] = []


class Call(Heard):
    """A moment of a rehearsal; `step` is None at the end, when everybody is told."""

    at: datetime
    after_s: int = 0
    round: int = 0
    step: int | None = None
    at_once: bool = False
    who: list[Who] = []


class Rehearsal(Heard):
    policy: str = ""
    policy_name: str = ""
    acknowledge_s: int | None = None
    resolve_s: int | None = None
    calls: list[Call] = []


class Method(Heard):
    channel: str = ""
    address: str = ""
    delivered_at: datetime | None = None
    failed_at: datetime | None = None
    failure: str = ""


class Contact(Heard):
    id: str
    name: str = ""
    methods: list[Method] = []
    min_severity: str = "warning"
    version: int = 0


class Latest(Heard):
    """The newest message that went by a channel."""

    about: str = ""
    state: str = "waiting"
    at: datetime | None = None
    detail: str = ""


class Channel(Heard):
    """`secret` is there only in the answer to its making."""

    id: str
    kind: str = "webhook"
    name: str = ""
    url: str = ""
    is_ready: bool = True
    says: str = ""
    latest: Latest | None = None
    version: int = 0
    secret: str = ""
