"""Bringing a device in: where it can hang, and how far it has come since it was made."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from pydantic import BaseModel

from shoal.bff import heard, heard_trust
from shoal.bff.screens.device import last_refused
from shoal.bff.screens.security import SecurityLine, security_lines
from shoal.bff.screens.vocabulary import PlaceState, place_state_of

# A device that somebody holds in the hand tries again within this time.
STRANGERS_SINCE: Final = timedelta(minutes=10)
# Enough to find one's own typing error among them.
STRANGERS_MAX: Final = 5


class EnclosureChoice(BaseModel):
    id: str
    name: str


class FarmPlaces(BaseModel):
    id: str
    name: str
    enclosures: list[EnclosureChoice]


class PlacesScreen(BaseModel):
    at: datetime
    farms: list[FarmPlaces]


class NewDevice(BaseModel):
    """A device that was just made. `key` is there when it was generated, this once; else empty."""

    id: str
    endpoint: str
    mode: str
    identity: str
    key: str


class ArrivalScreen(BaseModel):
    """How far a new device has come.

    `refused` is how it was last not let in; `strangers` are unknown identities of the last minutes, in case one of them
    is this device with a typing error.
    """

    at: datetime
    id: str
    endpoint: str
    identity: str
    enclosure_name: str
    registered_at: datetime | None
    place_state: PlaceState
    claimed: str
    reading_at: datetime | None
    refused: SecurityLine | None
    strangers: list[SecurityLine]


def places_screen(at: datetime, farms: Sequence[heard.Farm], enclosures: Sequence[heard.Enclosure]) -> PlacesScreen:
    return PlacesScreen(
        at=at,
        farms=[
            FarmPlaces(
                id=farm.id,
                name=farm.name,
                enclosures=[EnclosureChoice(id=one.id, name=one.name) for one in enclosures if one.farm == farm.id],
            )
            for farm in farms
        ],
    )


def new_device(made: heard_trust.NewDevice, *, is_key_given: bool) -> NewDevice:
    security = made.security
    return NewDevice(
        id=made.id,
        endpoint=made.endpoint,
        mode=security.mode,
        identity=security.identity,
        # What the person brought along is not shown back.
        key="" if is_key_given else security.key,
    )


def arrival_screen(
    at: datetime,
    device: heard.Device,
    tree: Sequence[heard.Object],
    refusals: Sequence[heard_trust.SecurityEvent],
    strangers: Sequence[heard_trust.SecurityEvent],
) -> ArrivalScreen:
    read = [each.at for said in tree for instance in said.instances for each in instance.resources if each.at]
    claim, registration = device.claim, device.registration
    return ArrivalScreen(
        at=at,
        id=device.id,
        endpoint=device.endpoint,
        identity=device.security.identity if device.security else "",
        enclosure_name=device.place.names.enclosure,
        registered_at=registration.registered_at or device.last_heard_at if registration else None,
        place_state=place_state_of(device.place.state),
        claimed=(claim.name or claim.enclosure) if claim else "",
        reading_at=max(read, default=None),
        refused=last_refused(device, refusals),
        strangers=[] if registration else security_lines([one for one in strangers if one.identity]),
    )
