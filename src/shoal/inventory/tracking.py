"""What an event from the gateway changes about a device: its registration, its claim, and how that stands to its place."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from shoal.access.decision import Place
from shoal.events.device import (
    AnyDeviceEvent,
    DeviceDeregistered,
    DeviceRegistered,
    ObservationChanged,
    RegistrationExpired,
    RegistrationUpdated,
)
from shoal.ids import EnclosureId, TenantId
from shoal.inventory import claim, presence
from shoal.inventory.claim import Dispute
from shoal.inventory.device import Claim, Device
from shoal.inventory.presence import Registration


@dataclass(frozen=True, slots=True)
class Track:
    """A device while its events are folded: as the inventory has it, and what is known about where it is."""

    device: Device
    dispute: Dispute

    @property
    def registration(self) -> Registration | None:
        return self.device.registration


@dataclass(frozen=True, slots=True)
class Effects:
    """What follows from an event, beyond the new state."""

    # The other rooms must hear that the place is agreed, or in dispute, or claimed for the first time.
    is_place_news: bool = False
    # The device does not know its enclosure and can be told: where to write which.
    tell: tuple[str, EnclosureId] | None = None


def on_event(track: Track, event: AnyDeviceEvent, owners: Mapping[str, TenantId]) -> tuple[Track, Effects]:
    """The device after an event. `owners` says whose the enclosures are that the event claims."""
    device = replace(track.device, registration=presence.on_event(track.registration, event))
    noted = claim.on_event(track.dispute, event)
    if noted == track.dispute:
        return Track(device, noted), Effects()
    judged = claim.judge(noted, owners)
    is_news = _is_news(track.dispute, judged)
    device = replace(
        device,
        place_state=judged.state,
        claim=_shown(judged),
        version=device.version + 1 if is_news else device.version,
    )
    enclosure = claim.to_tell(judged, event)
    tell = (judged.placement, enclosure) if judged.placement and enclosure else None
    return Track(device, judged), Effects(is_news, tell)


def take_place(track: Track, place: Place, enclosure_name: str | None, *, is_told: bool) -> Track:
    """The device in the enclosure that it claims. `is_told`: its version has risen for this event already."""
    dispute = claim.arrived(track.dispute, place)
    device = replace(
        track.device,
        farm=place.farm,
        enclosure=place.enclosure,
        enclosure_name=enclosure_name,
        place_state=dispute.state,
        arrival=None,
        version=track.device.version if is_told else track.device.version + 1,
    )
    return Track(device, dispute)


def changes_more(event: AnyDeviceEvent) -> bool:
    """Whether an event may change more of a device than when it was last heard."""
    return isinstance(event, _OF_REGISTRATION) or claim.tells_place(event)


_OF_REGISTRATION = (
    DeviceRegistered | RegistrationUpdated | DeviceDeregistered | RegistrationExpired | ObservationChanged
)


def _is_news(before: Dispute, after: Dispute) -> bool:
    said_before = before.claim.enclosure if before.claim else ""
    said_after = after.claim.enclosure if after.claim else ""
    return before.state is not after.state or (said_after not in {"", said_before})


def _shown(dispute: Dispute) -> Claim | None:
    if dispute.claim is None:
        return None
    return Claim(enclosure=dispute.claim.enclosure, via=dispute.claim.via, at=dispute.claim.at)
