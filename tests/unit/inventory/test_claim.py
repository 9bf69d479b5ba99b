"""What a device says of its enclosure, and how that stands to the place that the inventory gave it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.access.decision import Place
from shoal.events.device import (
    AnyDeviceEvent,
    Claim,
    DeviceAwake,
    DeviceRegistered,
    Reading,
    ReadingsReported,
    RegistrationUpdated,
    RequestRefused,
)
from shoal.ids import DeviceId, EnclosureId, FarmId, Prefix, TenantId, derived_id
from shoal.inventory.claim import (
    CLAIM_CHARACTERS_MAX,
    Agreed,
    Arrival,
    Claimed,
    Dispute,
    Foreign,
    Mismatch,
    PlaceState,
    TakePlace,
    Unknown,
    Via,
    arrived,
    arrives,
    canonical,
    check,
    claims_of,
    judge,
    on_event,
    placement_path,
    tells_place,
    to_tell,
)

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
OURS, THEIRS = TenantId("ten-ours"), TenantId("ten-theirs")
HERE, THERE, ELSEWHERE, NOWHERE = (
    EnclosureId(derived_id(Prefix.ENCLOSURE, seed)) for seed in (b"here", b"there", b"elsewhere", b"nowhere")
)
OWNERS: dict[str, TenantId] = {HERE: OURS, THERE: OURS, ELSEWHERE: THEIRS}
PLACED = Place(tenant=OURS, farm=FarmId("frm-1"), enclosure=HERE, device=DeviceId("dev-1"))
UNPLACED = Place(tenant=OURS, device=DeviceId("dev-1"))
PLACEMENT: list[tuple[str, str | None]] = [("/3/0", None), ("/26241/0", "1.0")]


def registered(
    claim: Claim | None = None, objects: list[tuple[str, str | None]] | None = None, at: datetime = NOW
) -> DeviceRegistered:
    return DeviceRegistered(
        id="event",
        time=at,
        device="dev-1",
        tenant=OURS,
        registration="reg-1",
        version="1.1",
        lifetime_s=300,
        binding="U",
        queue_mode=False,
        secure=True,
        address="192.0.2.1:5683",
        objects=objects or [],
        claim=claim,
    )


def updated(claim: Claim | None = None, objects: list[tuple[str, str | None]] | None = None) -> RegistrationUpdated:
    return RegistrationUpdated(
        id="event", time=NOW, device="dev-1", tenant=OURS, registration="reg-1", claim=claim, objects=objects
    )


def reported(value: str | int | None, path: str = "/26241/0/0", at: datetime = NOW) -> ReadingsReported:
    return ReadingsReported(
        id="event", time=at, device="dev-1", tenant=OURS, via="read", readings=[Reading(path=path, value=value)]
    )


@pytest.mark.parametrize(
    ("place", "said", "finding"),
    [
        (PLACED, HERE, Agreed()),
        (PLACED, None, TakePlace(HERE)),
        (PLACED, "", TakePlace(HERE)),
        (PLACED, THERE, Mismatch(THERE)),
        (PLACED, ELSEWHERE, Foreign(ELSEWHERE)),
        (PLACED, NOWHERE, Unknown(NOWHERE)),
        (PLACED, "pen four", Unknown("pen four")),
        (UNPLACED, None, Agreed()),
        (UNPLACED, THERE, Mismatch(THERE)),
        (UNPLACED, ELSEWHERE, Foreign(ELSEWHERE)),
    ],
)
def test_a_claim_is_compared_with_the_place(place: Place, said: str | None, finding: object) -> None:
    assert check(place, said, OWNERS) == finding


@given(
    st.sampled_from([PLACED, UNPLACED]), st.none() | st.text(max_size=20) | st.sampled_from([HERE, THERE, ELSEWHERE])
)
def test_what_another_tenant_owns_is_never_a_mismatch_that_one_click_accepts(place: Place, said: str | None) -> None:
    finding = check(place, said, OWNERS)

    if isinstance(finding, Mismatch):
        assert OWNERS[finding.enclosure] == place.tenant
    if said == ELSEWHERE:
        assert finding == Foreign(ELSEWHERE)


@pytest.mark.parametrize(
    ("said", "state", "is_quarantined"),
    [
        (HERE, PlaceState.AGREED, False),
        (THERE, PlaceState.MISMATCH, False),
        (ELSEWHERE, PlaceState.FOREIGN, True),
        (NOWHERE, PlaceState.UNKNOWN, True),
    ],
)
def test_only_what_cannot_be_the_tenants_own_is_quarantined(said: str, state: PlaceState, is_quarantined: bool) -> None:
    judged = judge(Dispute(PLACED, claim=Claimed(said, Via.OPTION, NOW)), OWNERS)

    assert judged.state is state
    assert judged.state.is_quarantined is is_quarantined


@pytest.mark.parametrize(
    ("arrival", "place", "said", "state", "taken"),
    [
        (Arrival.ADMITTED, UNPLACED, THERE, PlaceState.MISMATCH, THERE),
        (Arrival.ADMITTED, UNPLACED, ELSEWHERE, PlaceState.FOREIGN, None),
        (Arrival.ADMITTED, UNPLACED, "pen four", PlaceState.UNKNOWN, None),
        (Arrival.ADMITTED, UNPLACED, "", PlaceState.AGREED, None),
        (Arrival.ADMITTED, PLACED, THERE, PlaceState.MISMATCH, None),
        (Arrival.WAITING, UNPLACED, THERE, PlaceState.AGREED, None),
        (Arrival.WAITING, UNPLACED, ELSEWHERE, PlaceState.FOREIGN, None),
        (Arrival.WAITING, PLACED, THERE, PlaceState.MISMATCH, None),
        (None, UNPLACED, THERE, PlaceState.MISMATCH, None),
    ],
)
def test_who_came_by_itself_takes_the_first_place_of_its_own_tenant_once_it_is_let_in(
    arrival: Arrival | None, place: Place, said: str, state: PlaceState, taken: EnclosureId | None
) -> None:
    judged = judge(Dispute(place, claim=Claimed(said, Via.QUERY, NOW), arrival=arrival), OWNERS)

    assert (judged.state, arrives(judged)) == (state, taken)
    if taken is not None:
        there = replace(place, farm=FarmId("frm-1"), enclosure=taken)
        assert judge(arrived(judged, there), OWNERS) == arrived(judged, there), "and has it from then on"
        assert arrives(arrived(judged, there)) is None


def test_what_a_device_says_that_waits_is_noted_when_it_is_something_new() -> None:
    def refused(claim: Claim | None, reason: str = "not_approved", at: datetime = NOW) -> RequestRefused:
        return RequestRefused(
            id="event",
            time=at,
            device="dev-1",
            tenant=OURS,
            operation="register",
            code="4.03",
            reason=reason,
            claim=claim,
        )

    here = Claim(enclosure=HERE, via="query")
    noted = on_event(Dispute(UNPLACED, arrival=Arrival.WAITING), refused(here))

    assert noted.claim == Claimed(HERE, Via.QUERY, NOW)
    assert on_event(noted, refused(here, at=NOW + timedelta(minutes=1))) is noted
    assert on_event(noted, refused(None)).claim is None
    assert on_event(Dispute(UNPLACED), refused(here)).claim is None, "of one that waits, and of nobody else"
    assert [tells_place(refused(here)), tells_place(refused(here, "claim_denied"))] == [True, False]


def test_the_option_and_the_query_come_with_the_registration() -> None:
    by_option = on_event(Dispute(PLACED), registered(Claim(enclosure=THERE, via="option")))
    by_query = on_event(Dispute(PLACED), registered(Claim(enclosure=THERE, via="query")))

    assert by_option.claim == Claimed(THERE, Via.OPTION, NOW)
    assert by_query.claim == Claimed(THERE, Via.QUERY, NOW)


def test_an_update_without_a_claim_leaves_the_one_that_was_made() -> None:
    dispute = on_event(Dispute(PLACED), registered(Claim(enclosure=THERE, via="query")))

    assert on_event(dispute, updated()).claim == dispute.claim
    assert on_event(dispute, updated(Claim(enclosure=HERE, via="option"))).claim == Claimed(HERE, Via.OPTION, NOW)


def test_a_register_without_the_option_takes_it_back() -> None:
    dispute = on_event(Dispute(PLACED), registered(Claim(enclosure=THERE, via="option")))

    assert on_event(dispute, registered()).claim is None


def test_what_the_placement_object_says_counts_when_nothing_goes_before_it() -> None:
    silent = on_event(Dispute(PLACED), registered(objects=PLACEMENT))
    loud = on_event(Dispute(PLACED), registered(Claim(enclosure=HERE, via="option"), PLACEMENT))

    assert on_event(silent, reported(THERE)).claim == Claimed(THERE, Via.OBJECT, NOW)
    assert on_event(loud, reported(THERE)).claim == Claimed(HERE, Via.OPTION, NOW)


def test_what_the_object_said_outlives_a_new_registration_only_with_the_object() -> None:
    dispute = Dispute(PLACED, claim=Claimed(THERE, Via.OBJECT, NOW), placement="/26241/0/0")

    assert on_event(dispute, registered(objects=PLACEMENT)).claim == dispute.claim
    assert on_event(dispute, registered()).claim is None


def test_other_readings_and_events_tell_nothing_of_the_place() -> None:
    dispute = Dispute(PLACED, claim=Claimed(THERE, Via.OBJECT, NOW), placement="/26241/0/0")
    awake = DeviceAwake(id="event", time=NOW, device="dev-1", tenant=OURS, registration="reg-1")

    assert on_event(dispute, reported(3.2, "/26241/0/1")) == dispute  # type: ignore[arg-type]  # the mounting depth
    assert on_event(dispute, awake) == dispute


def test_the_last_of_several_values_is_what_the_device_says() -> None:
    readings = [Reading(path="/26241/0/0", value=THERE), Reading(path="/26241/0/0", value=HERE)]
    event = ReadingsReported(id="event", time=NOW, device="dev-1", tenant=OURS, via="send", readings=readings)

    assert on_event(Dispute(PLACED), event).claim == Claimed(HERE, Via.OBJECT, NOW)
    assert claims_of(event) == HERE


def test_a_claim_that_was_refused_is_not_brought_up_again_until_the_device_says_something_else() -> None:
    refused = judge(Dispute(PLACED, claim=Claimed(THERE, Via.OPTION, NOW), refused=THERE), OWNERS)
    other = judge(replace(refused, claim=Claimed(ELSEWHERE, Via.OPTION, NOW)), OWNERS)
    home = judge(replace(refused, claim=Claimed(HERE, Via.OPTION, NOW)), OWNERS)

    assert (refused.state, refused.refused) == (PlaceState.AGREED, THERE)
    assert (other.state, other.refused) == (PlaceState.FOREIGN, None)
    assert (home.state, home.refused) == (PlaceState.AGREED, None)


def test_a_device_that_says_it_does_not_know_is_told_where_it_is() -> None:
    asked = reported("")
    dispute = on_event(Dispute(PLACED, placement="/26241/0/0"), asked)

    assert to_tell(dispute, asked) == HERE
    assert to_tell(on_event(Dispute(UNPLACED, placement="/26241/0/0"), asked), asked) is None


def test_a_device_is_not_told_what_its_option_would_deny() -> None:
    asked = reported("")
    dispute = Dispute(PLACED, claim=Claimed(THERE, Via.OPTION, NOW), placement="/26241/0/0")

    assert to_tell(on_event(dispute, asked), asked) is None


def test_a_device_that_names_its_enclosure_is_not_told() -> None:
    named: AnyDeviceEvent = reported(THERE)
    dispute = on_event(Dispute(PLACED, placement="/26241/0/0"), named)

    assert to_tell(dispute, named) is None
    assert to_tell(dispute, updated()) is None


@pytest.mark.parametrize("typed", [HERE, HERE.lower(), f"  {HERE} ", HERE.replace("0", "O").replace("1", "I")])
def test_an_id_is_understood_however_it_was_typed(typed: str) -> None:
    assert canonical(typed) == HERE


@given(st.text(max_size=300))
def test_whatever_a_device_claims_is_bounded_and_stable(said: str) -> None:
    once = canonical(said)

    assert len(once) <= CLAIM_CHARACTERS_MAX
    assert canonical(once).strip() == once.strip()


@pytest.mark.parametrize(
    ("objects", "path"),
    [
        (PLACEMENT, "/26241/0/0"),
        ([("/26241/7", None)], "/26241/7/0"),
        ([("/26241", None), ("/3/0", None)], None),
        ([("/262410/0", None)], None),
        ([], None),
    ],
)
def test_the_placement_object_is_found_among_what_was_registered(
    objects: list[tuple[str, str | None]], path: str | None
) -> None:
    assert placement_path(objects) == path


def test_later_claims_carry_their_own_time() -> None:
    later = NOW + timedelta(minutes=5)
    dispute = on_event(Dispute(PLACED), registered(Claim(enclosure=THERE, via="option")))

    assert on_event(dispute, registered(Claim(enclosure=THERE, via="option"), at=later)).claim == Claimed(
        THERE, Via.OPTION, later
    )
