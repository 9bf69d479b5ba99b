"""What an event changes about a device, and what follows from it for others."""

from dataclasses import replace
from datetime import UTC, datetime

from shoal.access.decision import Place
from shoal.events.device import Claim, DeviceRegistered, Reading, ReadingsReported, RegistrationUpdated
from shoal.ids import DeviceId, EnclosureId, FarmId, Prefix, TenantId, derived_id
from shoal.inventory.claim import Arrival, Dispute, PlaceState, Via
from shoal.inventory.device import Device, Kind, Security
from shoal.inventory.profile import ProfileId
from shoal.inventory.tracking import Effects, Track, on_event, take_place

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
OURS = TenantId("ten-ours")
HERE, THERE = (EnclosureId(derived_id(Prefix.ENCLOSURE, seed)) for seed in (b"here", b"there"))
OWNERS: dict[str, TenantId] = {HERE: OURS, THERE: OURS}
TRACK = Track(
    Device(
        id=DeviceId("dev-1"),
        tenant=OURS,
        farm=FarmId("frm-1"),
        farm_name="Storholmen",
        enclosure=HERE,
        enclosure_name="Pen 1",
        endpoint="oxy-1",
        name="oxy-1",
        kind=Kind.SENSOR,
        security=Security.PSK,
        profile=ProfileId("prf-1"),
        place_state=PlaceState.AGREED,
        claim=None,
        registration=None,
        created_at=NOW,
        version=1,
    ),
    Dispute(Place(tenant=OURS, farm=FarmId("frm-1"), enclosure=HERE, device=DeviceId("dev-1"))),
)


def registered(claim: Claim | None = None) -> DeviceRegistered:
    return DeviceRegistered(
        id="event",
        time=NOW,
        device="dev-1",
        tenant=OURS,
        registration="reg-1",
        version="1.1",
        lifetime_s=300,
        binding="U",
        queue_mode=False,
        secure=True,
        address="192.0.2.1:5683",
        objects=[("/26241/0", None)],
        claim=claim,
    )


def test_a_registration_without_a_claim_is_no_news_of_the_place() -> None:
    track, effects = on_event(TRACK, registered(), OWNERS)

    assert track.registration is not None
    assert track.dispute.placement == "/26241/0/0"
    assert track.device.version == 1
    assert effects == Effects()


def test_the_first_claim_is_news_even_when_it_agrees() -> None:
    track, effects = on_event(TRACK, registered(Claim(enclosure=HERE, via="option")), OWNERS)
    again, silence = on_event(track, registered(Claim(enclosure=HERE, via="option")), OWNERS)

    assert (track.device.place_state, track.device.version, effects.is_place_news) == (PlaceState.AGREED, 2, True)
    assert track.device.claim is not None
    assert (track.device.claim.enclosure, track.device.claim.via) == (HERE, Via.OPTION)
    assert (again.device.version, silence.is_place_news) == (2, False)


def test_a_device_that_arrives_hangs_where_it_says_and_that_is_one_change() -> None:
    nowhere = Track(
        replace(TRACK.device, farm=None, enclosure=None, arrival=Arrival.ADMITTED),
        Dispute(Place(tenant=OURS, device=DeviceId("dev-1")), arrival=Arrival.ADMITTED),
    )
    track, effects = on_event(nowhere, registered(Claim(enclosure=THERE, via="query")), OWNERS)
    place = Place(tenant=OURS, farm=FarmId("frm-1"), enclosure=THERE, device=DeviceId("dev-1"))

    placed = take_place(track, place, "Pen 2", is_told=effects.is_place_news)

    assert (placed.device.place, placed.dispute.place, placed.device.enclosure_name) == (place, place, "Pen 2")
    assert (placed.device.place_state, placed.device.arrival) == (PlaceState.AGREED, None)
    assert placed.device.version == 2
    assert take_place(track, place, "Pen 2", is_told=False).device.version == 3


def test_a_claim_of_another_pen_leaves_the_device_where_it_was() -> None:
    track, effects = on_event(TRACK, registered(Claim(enclosure=THERE, via="query")), OWNERS)

    assert (track.device.place_state, track.device.enclosure) == (PlaceState.MISMATCH, HERE)
    assert effects.is_place_news


def test_the_end_of_a_dispute_is_news() -> None:
    disputed, _ = on_event(TRACK, registered(Claim(enclosure=THERE, via="option")), OWNERS)

    back = RegistrationUpdated(
        id="event",
        time=NOW,
        device="dev-1",
        tenant=OURS,
        registration="reg-1",
        claim=Claim(enclosure=HERE, via="option"),
    )
    settled, effects = on_event(disputed, back, OWNERS)

    assert (settled.device.place_state, settled.device.version) == (PlaceState.AGREED, 3)
    assert effects.is_place_news


def test_a_device_that_does_not_know_its_pen_is_to_be_told() -> None:
    track, _ = on_event(TRACK, registered(), OWNERS)
    asked = ReadingsReported(
        id="event", time=NOW, device="dev-1", tenant=OURS, via="read", readings=[Reading(path="/26241/0/0", value="")]
    )

    track, effects = on_event(track, asked, OWNERS)

    assert effects == Effects(is_place_news=False, tell=("/26241/0/0", HERE))
    assert track.device.place_state is PlaceState.AGREED
