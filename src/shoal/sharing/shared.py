"""One device that several servers share: what it shows, what it was told, and what to ask it next. Pure.

A look reads objects 1 and 2, writes what differs, and reads once more until nothing is left to tell:

    reading -> writing -> reading -> settled

In one look each target is told the same once, so that a look ends whatever the device answers. What a device refused,
or took and then shows otherwise, is told again only when something else is wanted or shown.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from shoal.access.decision import Place, Policies
from shoal.ids import DeviceId, EnclosureId, FarmId, TenantId
from shoal.sharing.found import CONTROLS, SERVERS, Control, Shape, controls_of, own_short_id, short_ids_of
from shoal.sharing.rights import BOOTSTRAP, Target, differ, to_write, wanted

# Of the 32 commands that may wait for a device, half are for people.
CHANGES_PER_ROUND_MAX: Final = 16
# Object instances of one device: 200 lists of rights fill a quarter of the largest answer that we take.
TARGETS_MAX: Final = 200


class Phase(StrEnum):
    """How far a look is."""

    READING = "reading"
    WRITING = "writing"
    SETTLED = "settled"


class Purpose(StrEnum):
    """What a command of ours is for."""

    SERVERS = "servers"
    CONTROLS = "controls"
    CHANGE = "change"


class Outcome(StrEnum):
    """What became of a command. `unanswered`: nobody knows whether the device heard it."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNANSWERED = "unanswered"


class Asked(msgspec.Struct, frozen=True):
    """What a command is about: of a change, whose rights, which were wanted, and what the device showed before."""

    purpose: Purpose
    target: Target | None = None
    wants: dict[int, int] = {}
    shown: dict[int, int] | None = None


class Told(msgspec.Struct, frozen=True):
    """The last change that was asked for of one target, and how it ended."""

    wants: dict[int, int]
    shown: dict[int, int] | None
    outcome: Outcome
    code: str | None
    detail: str
    at: datetime


class Request(msgspec.Struct, frozen=True):
    """A command to queue. `body` is JSON as the gateway takes it."""

    operation: str
    path: str
    body: dict[str, Any] | None
    asked: Asked


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """A device with several servers. `registration` is None while it is not registered.

    `own` is our short id there, None when that cannot be told; `short_ids` are those that the device showed. `wants` is
    what was wanted at the last decision, `speaks` whether policies said anything of its servers then, and `gave` whether
    we changed something that would have to be taken back. `tried` is what each target was to be in this look. `problem` is why a
    look could not end well.
    """

    device: str
    tenant: str
    farm: str | None = None
    enclosure: str | None = None
    registration: str | None = None
    shape: Shape
    phase: Phase = Phase.READING
    since: datetime
    asked: dict[str, Asked] = {}
    short_ids: dict[int, int] = {}
    own: int | None = None
    controls: tuple[Control, ...] = ()
    wants: dict[str, dict[int, int]] = {}
    speaks: bool = False
    gave: bool = False
    tried: dict[str, dict[int, int]] = {}
    told: dict[str, Told] = {}
    problem: str = ""
    code: str | None = None

    @property
    def place(self) -> Place:
        return Place(
            tenant=TenantId(self.tenant),
            farm=None if self.farm is None else FarmId(self.farm),
            enclosure=None if self.enclosure is None else EnclosureId(self.enclosure),
            device=DeviceId(self.device),
        )

    @property
    def is_ruled(self) -> bool:
        """Whether policies alone say what its other servers may do. Else all stays as bootstrap left it."""
        return self.speaks or self.gave

    def control(self, target: Target) -> Control | None:
        """The instance of object 2 about a target, as the device shows it."""
        return next((control for control in self.controls if control.target == target), None)

    def shown(self, target: Target) -> dict[int, int] | None:
        """What servers may there, as the device shows it. Without a list nobody may anything but ourselves."""
        control = self.control(target)
        return None if control is None else control.acl

    @property
    def targets(self) -> list[Target]:
        """All that policies can be asked about: instances, and creating more of their objects."""
        creations = {Target(one.object, BOOTSTRAP) for one in self.shape.targets}
        shown = {one.target for one in self.controls if one.target.is_creation}
        return sorted({*self.shape.targets, *creations, *shown})

    @property
    def servers(self) -> set[int] | None:
        """The short ids of all servers of the device; None when it does not show all."""
        return set(self.short_ids.values()) if set(self.shape.servers) <= self.short_ids.keys() else None


class Step(msgspec.Struct, frozen=True):
    """The device as it is now, what to ask it, and which commands to call back."""

    shared: Shared
    requests: tuple[Request, ...] = ()
    calls_back: tuple[str, ...] = ()


def look(shared: Shared, at: datetime) -> Step:
    """Begins a look. What was asked before counts no more; a change that did not leave yet is called back."""
    calls_back = tuple(id_ for id_, asked in shared.asked.items() if asked.purpose is Purpose.CHANGE)
    cleared = msgspec.structs.replace(shared, asked={}, tried={}, problem="", code=None)
    if len(shared.shape.targets) > TARGETS_MAX:
        problem = f"The device has more than {TARGETS_MAX} object instances"
        return Step(_settled(msgspec.structs.replace(cleared, problem=problem), at), (), calls_back)
    requests = (_read(SERVERS, Purpose.SERVERS), _read(CONTROLS, Purpose.CONTROLS))
    return Step(_in(cleared, Phase.READING, at), requests, calls_back)


def ended(
    shared: Shared, asked: Asked, outcome: Outcome, *, code: str | None, detail: str, body: bytes, at: datetime
) -> Shared:
    """Takes in how a command ended; it is none of those asked any more."""
    shared = msgspec.structs.replace(shared, asked={id_: one for id_, one in shared.asked.items() if one != asked})
    if asked.purpose is Purpose.CHANGE and asked.target is not None:
        told = Told(asked.wants, asked.shown, outcome, code, detail, at)
        return msgspec.structs.replace(shared, told={**shared.told, str(asked.target): told})
    if outcome is not Outcome.ACCEPTED:
        path = SERVERS if asked.purpose is Purpose.SERVERS else CONTROLS
        why = "did not let us read" if outcome is Outcome.REFUSED else "did not answer when we read"
        return msgspec.structs.replace(shared, problem=f"The device {why} {path}: {detail or code}", code=code)
    if asked.purpose is Purpose.SERVERS:
        return msgspec.structs.replace(shared, short_ids=short_ids_of(body))
    return msgspec.structs.replace(shared, controls=controls_of(body))


def go_on(shared: Shared, policies: Policies, expected: int, at: datetime) -> Step:
    """The next step when nothing asked is open any more. `expected` is the short id that we give out."""
    if shared.asked or shared.phase is Phase.SETTLED:
        return Step(shared)
    if shared.phase is Phase.WRITING:
        return Step(_in(shared, Phase.READING, at), (_read(CONTROLS, Purpose.CONTROLS),))
    if shared.problem:
        return Step(_settled(decided(shared, policies), at))
    own = own_short_id(shared.short_ids, expected)
    now = decided(msgspec.structs.replace(shared, own=own), policies)
    if not now.is_ruled:
        return Step(_settled(now, at))
    if own is None:
        shows = ", ".join(str(one) for one in sorted(set(shared.short_ids.values()))) or "none"
        problem = f"Which of its servers we are is not known: it shows {shows}, and ours is {expected}"
        return Step(_settled(msgspec.structs.replace(now, problem=problem), at))
    targets = _to_tell(now)[:CHANGES_PER_ROUND_MAX]
    if not targets:
        return Step(_settled(now, at))
    tried = {str(target): now.wants.get(str(target), {}) for target in targets}
    writing = msgspec.structs.replace(now, tried={**now.tried, **tried}, gave=True)
    return Step(_in(writing, Phase.WRITING, at), tuple(_change(now, target, own) for target in targets))


def reconsider(shared: Shared, policies: Policies, at: datetime) -> Step:
    """Looks again when policies, or the place, make something else wanted. What is being read is judged later anyway."""
    now = decided(shared, policies)
    is_same = (now.wants, now.speaks) == (shared.wants, shared.speaks)
    if is_same or shared.phase is Phase.READING or shared.registration is None:
        return Step(shared)
    return look(shared, at)


def decided(shared: Shared, policies: Policies) -> Shared:
    """The device with what is wanted by these policies."""
    place = shared.place
    wants = {name: dict(acl) for name, acl in wanted(policies, place, shared.targets, shared.servers).items()}
    return msgspec.structs.replace(shared, wants=wants, speaks=bool(policies.about_servers(place)))


def is_different(shared: Shared, target: Target) -> bool:
    """Whether other servers may do something else there than what is wanted."""
    return differ(shared.shown(target) or {}, shared.wants.get(str(target), {}), shared.own, target)


def is_ours(shared: Shared, target: Target) -> bool:
    """Whether we may change what stands there, or tell it first. Creating is bootstrap's matter (Core 1.1 §8.1)."""
    if target.is_creation or shared.own is None:
        return False
    control = shared.control(target)
    return control is None or control.owner == shared.own


def last_told(shared: Shared, target: Target) -> Told | None:
    """What became of telling just that, to a device that shows just this; None when it was not told."""
    told = shared.told.get(str(target))
    if told is None or shared.own is None:
        return None
    is_same = told.wants == _list(shared, target, shared.own) and told.shown == shared.shown(target)
    return told if is_same else None


def _to_tell(shared: Shared) -> list[Target]:
    """What differs, is ours to change, and was not told in vain before."""
    return [
        target
        for target in shared.targets
        # Policies may have changed in the middle of a look; a device cannot make something else wanted.
        if shared.tried.get(str(target)) != shared.wants.get(str(target), {})
        and is_ours(shared, target)
        and is_different(shared, target)
        and ((told := last_told(shared, target)) is None or told.outcome is Outcome.UNANSWERED)
    ]


def _list(shared: Shared, target: Target, own: int) -> dict[int, int]:
    return to_write(shared.wants.get(str(target), {}), shared.shown(target) or {}, own)


def _change(shared: Shared, target: Target, own: int) -> Request:
    control, acl = shared.control(target), _list(shared, target, own)
    asked = Asked(Purpose.CHANGE, target, acl, shared.shown(target))
    values = {str(server): rights for server, rights in sorted(acl.items())}
    if control is not None:
        return Request("write", f"{CONTROLS}/{control.number}/2", {"values": values}, asked)
    resources = {"0": target.object, "1": target.instance, "2": values, "3": own}
    return Request("create", CONTROLS, {"resources": resources}, asked)


def _read(path: str, purpose: Purpose) -> Request:
    return Request("read", path, None, Asked(purpose))


def _settled(shared: Shared, at: datetime) -> Shared:
    """The end of a look. What came to be as wanted is forgotten; the rest is remembered with what the device shows now."""
    if shared.problem or shared.own is None:
        return _in(shared, Phase.SETTLED, at)
    differing = [target for target in shared.targets if is_different(shared, target)]
    told = {
        str(target): msgspec.structs.replace(one, shown=shared.shown(target)) if str(target) in shared.tried else one
        for target in differing
        if (one := shared.told.get(str(target))) is not None
    }
    # Once what was given is taken back, bootstrap may give something else, and nobody minds.
    gave = shared.gave and (shared.speaks or any(is_ours(shared, target) for target in differing))
    return _in(msgspec.structs.replace(shared, told=told, gave=gave), Phase.SETTLED, at)


def _in(shared: Shared, phase: Phase, at: datetime) -> Shared:
    return msgspec.structs.replace(shared, phase=phase, since=at)
