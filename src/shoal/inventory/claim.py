"""Does the device say that it is where the inventory says it is?

A device may say so in three places, and the first that is there holds: a CoAP option on Register and Update, a query
parameter of Register, the Enclosure resource of our Placement object. Place is what the inventory says; only a person
changes it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from shoal.access.decision import Place
from shoal.errors import Rejected
from shoal.events.device import (
    NOT_APPROVED,
    AnyDeviceEvent,
    Claim,
    DeviceRegistered,
    ReadingsReported,
    RegistrationUpdated,
    RequestRefused,
)
from shoal.ids import EnclosureId, Prefix, TenantId, parse_id
from shoal.lwm2m.path import Path

# Resource Enclosure of our private Placement object (objects/shoal.json), in any instance.
ENCLOSURE_ANYWHERE: Final = "/26241/*/0"
# Who may write this may say where a device is.
PLACEMENT: Final = Path(26_241, 0, 0)
# What the option may carry (docs/connecting-a-device.md); a resource may be longer, and then it is no id anyway.
CLAIM_CHARACTERS_MAX: Final = 64

_INSTANCE: Final = re.compile(r"/26241/\d{1,5}")
_ENCLOSURE: Final = re.compile(r"/26241/\d{1,5}/0")


class PlaceState(StrEnum):
    """How place and claim stand to each other. A device that never claimed anything is not in dispute: agreed."""

    AGREED = "agreed"
    MISMATCH = "mismatch"
    UNKNOWN = "unknown"
    FOREIGN = "foreign"

    @property
    def is_quarantined(self) -> bool:
        """Whether its readings must not count for the enclosure that it hangs in."""
        return self in {PlaceState.UNKNOWN, PlaceState.FOREIGN}


class Arrival(StrEnum):
    """How far a device is that nobody made. `waiting`: a person approves it, and with it where it is. `admitted`: it takes
    the first enclosure of its tenant that it claims, and that policies let it claim. Once a person has decided where it
    is, it is a device as any other."""

    WAITING = "waiting"
    ADMITTED = "admitted"


class Via(StrEnum):
    """Where a device put its claim; the first that is there holds."""

    OPTION = "option"
    QUERY = "query"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Claimed:
    """The enclosure that a device reports, in canonical form when it is an id at all. Empty: it does not know."""

    enclosure: str
    via: Via
    at: datetime


@dataclass(frozen=True, slots=True)
class Agreed:
    """Same as the inventory, or there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class TakePlace:
    """The device does not know: the inventory's enclosure is the answer, and the device should be told."""

    enclosure: EnclosureId


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Another enclosure of the same tenant. Perhaps it was moved: a person decides."""

    enclosure: EnclosureId


@dataclass(frozen=True, slots=True)
class Foreign:
    """An enclosure of another tenant."""

    enclosure: EnclosureId


@dataclass(frozen=True, slots=True)
class Unknown:
    """No enclosure that we know."""

    said: str


Finding: TypeAlias = Agreed | TakePlace | Mismatch | Foreign | Unknown


@dataclass(frozen=True, slots=True)
class Dispute:
    """All that is known about where a device is: what it said, how that was found, and what a person said about it.

    `refused` is a claim that a person has looked at and refused; as long as the device repeats it, nobody is asked
    again. `placement` is the path at which the device can be told its enclosure, None without a Placement object.
    `arrival` is of one that nobody made, until it has its place.
    """

    place: Place
    state: PlaceState = PlaceState.AGREED
    claim: Claimed | None = None
    refused: str | None = None
    placement: str | None = None
    arrival: Arrival | None = None


def check(place: Place, claimed: str | None, owners: Mapping[str, TenantId]) -> Finding:
    """How a claim stands to a place. `owners` says whose each enclosure is, for those that exist at all."""
    if not claimed:
        return Agreed() if place.enclosure is None else TakePlace(place.enclosure)
    if claimed == place.enclosure:
        return Agreed()
    owner = owners.get(claimed)
    if owner is None:
        return Unknown(claimed)
    if owner != place.tenant:
        return Foreign(EnclosureId(claimed))
    return Mismatch(EnclosureId(claimed))


def on_event(dispute: Dispute, event: AnyDeviceEvent) -> Dispute:
    """What is known after an event; the state is not judged again yet (`judge`)."""
    match event:
        case DeviceRegistered():
            placement = placement_path(event.objects)
            # A Register says all: an option or a query that is gone was taken back. The object is read next.
            kept = dispute.claim if placement and _is_via(dispute.claim, Via.OBJECT) else None
            return replace(dispute, claim=_claimed(event.claim, event.time) or kept, placement=placement)
        case RegistrationUpdated():
            placement = dispute.placement if event.objects is None else placement_path(event.objects)
            # Absent on an Update means unchanged (docs/connecting-a-device.md).
            return replace(dispute, claim=_claimed(event.claim, event.time) or dispute.claim, placement=placement)
        case ReadingsReported() if dispute.claim is None or _is_via(dispute.claim, Via.OBJECT):
            said = _reported(event)
            return dispute if said is None else replace(dispute, claim=Claimed(canonical(said), Via.OBJECT, event.time))
        case RequestRefused() if dispute.arrival is Arrival.WAITING and event.reason == NOT_APPROVED:
            said_now = _claimed(event.claim, event.time)
            return dispute if _is_same(said_now, dispute.claim) else replace(dispute, claim=said_now)
        case _:
            return dispute


def judge(dispute: Dispute, owners: Mapping[str, TenantId]) -> Dispute:
    """The same with its state."""
    said = dispute.claim.enclosure if dispute.claim else None
    if said and said == dispute.refused:
        return replace(dispute, state=PlaceState.AGREED)
    match check(dispute.place, said, owners):
        case Agreed() | TakePlace():
            # The device has come round: what was refused once may be asked again another time.
            return replace(dispute, state=PlaceState.AGREED, refused=None)
        case Mismatch() if dispute.arrival is Arrival.WAITING and dispute.place.enclosure is None:
            # A person is about to look at it anyway.
            return replace(dispute, state=PlaceState.AGREED, refused=None)
        case Mismatch():
            return replace(dispute, state=PlaceState.MISMATCH, refused=None)
        case Foreign():
            return replace(dispute, state=PlaceState.FOREIGN, refused=None)
        case Unknown():
            return replace(dispute, state=PlaceState.UNKNOWN, refused=None)


def arrives(dispute: Dispute) -> EnclosureId | None:
    """The enclosure of its own tenant that a device takes which was admitted by itself and hangs nowhere yet."""
    is_nowhere = dispute.place.enclosure is None
    if dispute.arrival is not Arrival.ADMITTED or dispute.state is not PlaceState.MISMATCH or not is_nowhere:
        return None
    return EnclosureId(dispute.claim.enclosure) if dispute.claim else None


def arrived(dispute: Dispute, place: Place) -> Dispute:
    """The same where it says it is."""
    return replace(dispute, place=place, state=PlaceState.AGREED, arrival=None)


def to_tell(dispute: Dispute, event: AnyDeviceEvent) -> EnclosureId | None:
    """The enclosure that the device must be told now: it has just said that it does not know its own."""
    if dispute.placement is None or not isinstance(event, ReadingsReported):
        return None
    said = _reported(event)
    if said != "" or not _is_via(dispute.claim, Via.OBJECT):
        return None
    return dispute.place.enclosure


def tells_place(event: AnyDeviceEvent) -> bool:
    """Whether an event says where the device is, or that it does not know."""
    match event:
        case DeviceRegistered() | RegistrationUpdated():
            return event.claim is not None
        case RequestRefused():
            return event.reason == NOT_APPROVED
        case ReadingsReported():
            return _reported(event) is not None
        case _:
            return False


def claims_of(event: AnyDeviceEvent) -> str | None:
    """The enclosure that an event claims, in canonical form: whose it is must be known before it can be judged."""
    match event:
        case DeviceRegistered() | RegistrationUpdated() | RequestRefused():
            return canonical(event.claim.enclosure) if event.claim else None
        case ReadingsReported():
            said = _reported(event)
            return canonical(said) if said else None
        case _:
            return None


def canonical(said: str) -> str:
    """An enclosure id as we write it, or what was said, when that is no enclosure id."""
    try:
        return parse_id(said, Prefix.ENCLOSURE)
    except Rejected:
        return said.strip()[:CLAIM_CHARACTERS_MAX]


def placement_path(objects: Sequence[tuple[str, str | None]]) -> str | None:
    """Where a device with a Placement object keeps its enclosure: resource 0 of the first instance that it registered."""
    return next((f"{path}/0" for path, _version in objects if _INSTANCE.fullmatch(path)), None)


def _reported(event: ReadingsReported) -> str | None:
    """What the Placement object says, None when the event does not tell of it."""
    for reading in reversed(event.readings):
        if _ENCLOSURE.fullmatch(reading.path):
            return "" if reading.value is None else str(reading.value)
    return None


def _claimed(said: Claim | None, at: datetime) -> Claimed | None:
    return None if said is None else Claimed(canonical(said.enclosure), Via(said.via), at)


def _is_same(one: Claimed | None, other: Claimed | None) -> bool:
    """Whether both say the same, whenever that was."""
    return (one and (one.enclosure, one.via)) == (other and (other.enclosure, other.via))


def _is_via(claim: Claimed | None, via: Via) -> bool:
    return claim is not None and claim.via is via
