"""May this one do that, there, on this path? Deny wins, no grant means no, and nothing reaches into another tenant."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.access.decision import (
    ANOTHER_TENANT,
    EVERYWHERE,
    Allowed,
    Bearing,
    Denied,
    Place,
    Policies,
    Reach,
    Subject,
    Zone,
    may,
    require,
    server_subject,
    zone_of,
)
from shoal.access.pattern import ALL, Pattern
from shoal.access.policy import BUILT_IN, EVERYBODY, OTHER_SERVERS, Effect, Operation, Policy, Role, Who, WhoKind
from shoal.errors import Forbidden, NotFound
from shoal.ids import DeviceId, EnclosureId, FarmId, TenantId
from shoal.lwm2m.path import Path

MINE = TenantId("ten-1")
# A small world, so that what is drawn meets: two farms, two pens on the first, a device in each and one in none.
PLACES = (
    Place(tenant=MINE),
    Place(tenant=MINE, farm=FarmId("frm-1")),
    Place(tenant=MINE, farm=FarmId("frm-2")),
    Place(tenant=MINE, farm=FarmId("frm-1"), enclosure=EnclosureId("enc-1")),
    Place(tenant=MINE, farm=FarmId("frm-1"), enclosure=EnclosureId("enc-2")),
    Place(tenant=MINE, farm=FarmId("frm-1"), enclosure=EnclosureId("enc-1"), device=DeviceId("dev-1")),
    Place(tenant=MINE, farm=FarmId("frm-1"), enclosure=EnclosureId("enc-2"), device=DeviceId("dev-2")),
    Place(tenant=MINE, device=DeviceId("dev-3")),
)
TEMPERATURE = Path(3303, 0, 5700)

held = st.frozensets(st.sampled_from(["frm-1", "frm-2", "enc-1", "enc-2"]), max_size=2)
people = st.builds(
    Subject, tenant=st.just(MINE), role=st.sampled_from(Role), id=st.just("usr-1"), name=st.just("Kari"), places=held
)
programs = st.builds(
    Subject,
    tenant=st.just(MINE),
    role=st.sampled_from(Role),
    id=st.just("usr-1"),
    name=st.just("Kari"),
    places=held,
    token=st.just("tok-1"),
    person=st.none() | people,
)
subjects = people | programs
operations = st.sampled_from(Operation)
places = st.sampled_from(PLACES)
paths = st.none() | st.sampled_from([Path(3), Path(3, 0), Path(3, 0, 9), Path(3, 0, 11, 1), Path(5, 0, 1), TEMPERATURE])
patterns = st.sampled_from([Pattern.parse(raw) for raw in ("*", "/", "/3/*", "/3/0/*", "/3/0/9", "/5/*", "/3303/*")])
whos = st.sampled_from(
    [EVERYBODY, Who(WhoKind.USER, "usr-1"), Who(WhoKind.USER, "usr-2"), Who(WhoKind.TOKEN, "tok-1")]
    + [Who(WhoKind.ROLE, role.value) for role in Role]
)
rows = st.lists(
    st.builds(
        Policy,
        id=st.uuids().map(str),
        effect=st.sampled_from(Effect),
        who=whos,
        operations=st.frozensets(operations, min_size=1, max_size=4),
        place=st.sampled_from(["ten-1", "frm-1", "frm-2", "enc-1", "enc-2", "dev-1", "dev-2", "dev-3"]),
        paths=st.lists(patterns, min_size=1, max_size=2).map(tuple),
    ),
    max_size=6,
)


def person(role: Role, *at: str, id_: str = "usr-1") -> Subject:
    return Subject(tenant=MINE, role=role, id=id_, name="Kari", places=frozenset(at))


def policy(effect: Effect, who: Who, place: str, *operations: Operation, paths: tuple[Pattern, ...] = (ALL,)) -> Policy:
    return Policy(id="pol-1", effect=effect, who=who, operations=frozenset(operations), place=place, paths=paths)


@given(subjects, operations, places, paths, rows)
def test_another_tenant_never(
    subject: Subject, operation: Operation, place: Place, path: Path | None, written: list[Policy]
) -> None:
    theirs = replace(place, tenant=TenantId("ten-2"))

    assert Policies(MINE, written).decide(subject, operation, theirs, path) == Denied(ANOTHER_TENANT, is_hidden=True)
    assert Policies(TenantId("ten-2"), written).decide(subject, operation, theirs, path).is_hidden  # type: ignore[union-attr]


@given(subjects, operations, places, paths, rows, st.randoms())
def test_the_order_of_policies_does_not_matter(
    subject: Subject,
    operation: Operation,
    place: Place,
    path: Path | None,
    written: list[Policy],
    chance: random.Random,
) -> None:
    shuffled = list(written)
    chance.shuffle(shuffled)

    one = Policies(MINE, written).decide(subject, operation, place, path)
    other = Policies(MINE, shuffled).decide(subject, operation, place, path)

    assert isinstance(one, Allowed) == isinstance(other, Allowed)


@given(subjects, operations, places, paths, rows)
def test_whatever_denies_wins_and_what_nobody_grants_is_not_allowed(
    subject: Subject, operation: Operation, place: Place, path: Path | None, written: list[Policy]
) -> None:
    """The index finds what reading every row would find."""
    policies = Policies(MINE, written)

    assert may(policies, subject, operation, place, path) == _by_reading_all(written, subject, operation, place, path)


@given(subjects, operations, places, paths, rows, rows)
def test_another_denial_never_allows_anything(
    subject: Subject, operation: Operation, place: Place, path: Path | None, written: list[Policy], more: list[Policy]
) -> None:
    denials = [replace(one, effect=Effect.DENY) for one in more]

    if may(Policies(MINE, [*written, *denials]), subject, operation, place, path):
        assert may(Policies(MINE, written), subject, operation, place, path)


@given(operations, places, paths, rows, st.sampled_from(Role), held)
def test_a_role_held_at_places_never_does_more_than_the_same_role_held_everywhere(
    operation: Operation, place: Place, path: Path | None, written: list[Policy], role: Role, at: frozenset[str]
) -> None:
    grants = Policies(MINE, [one for one in written if one.effect is Effect.ALLOW])

    if may(grants, person(role, *at), operation, place, path):
        assert may(grants, person(role), operation, place, path)
    is_inside = not at or bool(at & set(place.ids))
    if not is_inside:
        roleless = Policies(MINE, [one for one in written if one.who.kind is not WhoKind.ROLE])
        assert may(grants, person(role, *at), operation, place, path) == may(
            Policies(MINE, [one for one in roleless.all if one.effect is Effect.ALLOW and not one.is_built_in]),
            person(role, *at),
            operation,
            place,
            path,
        )


@given(programs, operations, places, paths, rows)
def test_a_program_of_a_person_does_nothing_that_the_person_may_not(
    program: Subject, operation: Operation, place: Place, path: Path | None, written: list[Policy]
) -> None:
    policies = Policies(MINE, written)

    if program.person is not None and may(policies, program, operation, place, path):
        assert may(policies, program.person, operation, place, path)


@given(subjects, operations, places, rows)
def test_lists_show_exactly_what_could_be_opened(
    subject: Subject, operation: Operation, place: Place, written: list[Policy]
) -> None:
    policies = Policies(MINE, written)
    reach = policies.reach(subject, operation)

    assert reach.covers(place.farm, place.enclosure, place.device) == may(policies, subject, operation, place)
    if reach.covers_surely(place.farm, place.enclosure, place.device):
        assert reach.covers(place.farm, place.enclosure, place.device)
    if reach.is_everywhere:
        assert may(policies, subject, operation, place)
    if reach.is_nowhere:
        assert not may(policies, subject, operation, place)


@given(subjects, operations, places, paths, rows)
def test_the_explanation_agrees_with_the_decision(
    subject: Subject, operation: Operation, place: Place, path: Path | None, written: list[Policy]
) -> None:
    policies = Policies(MINE, written)

    said = [bearing for _, bearing in policies.bearings(subject, operation, place, path)]

    decision = policies.decide(subject, operation, place, path)
    assert (Bearing.DENIES in said) == (isinstance(decision, Denied) and decision.because is not None) or (
        # Where a person's program has no grant of its own, what denies its person is not looked for.
        subject.person is not None
    )
    if isinstance(decision, Allowed):
        assert Bearing.ALLOWS in said
        assert Bearing.DENIES not in said
    assert said == sorted(said, key=list(Bearing).index)


def test_a_technician_of_one_farm_is_one_there_only() -> None:
    kari, policies = person(Role.TECHNICIAN, "frm-1"), Policies(MINE)
    here, there = PLACES[5], replace(PLACES[5], farm=FarmId("frm-2"))

    assert may(policies, kari, Operation.EXECUTE, here, Path(3, 0, 4))
    assert not may(policies, kari, Operation.EXECUTE, here, Path(3, 0, 5)), "a factory reset is no reboot"
    assert not may(policies, kari, Operation.READ, there)
    assert not may(policies, kari, Operation.READ, Place(tenant=MINE))


def test_reading_an_object_takes_all_of_its_resources() -> None:
    denied = policy(Effect.DENY, EVERYBODY, "ten-1", Operation.READ, paths=(Pattern.parse("/3/0/9"),))
    kari, policies = person(Role.VIEWER), Policies(MINE, [denied])

    assert not may(policies, kari, Operation.READ, PLACES[5], Path(3, 0, 9))
    assert not may(policies, kari, Operation.READ, PLACES[5], Path(3)), "the object holds what is denied"
    assert may(policies, kari, Operation.READ, PLACES[5], Path(3, 0, 10))
    assert may(policies, kari, Operation.READ, PLACES[5]), "the device itself is not hidden"


@given(subjects, operations, places, paths, rows)
def test_what_is_allowed_on_any_path_is_offered(
    subject: Subject, operation: Operation, place: Place, path: Path | None, written: list[Policy]
) -> None:
    policies = Policies(MINE, written)

    if may(policies, subject, operation, place, path):
        reach = policies.reach(subject, operation, on_some_path=True)
        assert reach.covers(place.farm, place.enclosure, place.device)


def test_a_policy_of_a_place_says_which_one_decided() -> None:
    granted = policy(Effect.ALLOW, Who(WhoKind.USER, "usr-1"), "enc-1", Operation.WRITE)

    decision = Policies(MINE, [granted]).decide(person(Role.VIEWER), Operation.WRITE, PLACES[5], TEMPERATURE)

    assert isinstance(decision, Allowed)
    assert decision.because is granted


def test_what_one_may_not_read_is_not_told_to_exist() -> None:
    kari, policies = person(Role.TECHNICIAN, "frm-2"), Policies(MINE)

    with pytest.raises(NotFound) as caught:
        require(policies, kari, Operation.EXECUTE, PLACES[5], Path(3, 0, 4))
    assert str(caught.value) == "dev-1: no such device"
    with pytest.raises(NotFound) as caught:
        require(policies, kari, Operation.READ, PLACES[5], thing="alr-7")
    assert str(caught.value) == "alr-7: no such alert"


def test_a_refusal_names_what_was_missing() -> None:
    denied = policy(Effect.DENY, EVERYBODY, "dev-1", Operation.WRITE)
    policies = Policies(MINE, [denied])

    with pytest.raises(Forbidden) as caught:
        require(policies, person(Role.OPERATOR), Operation.WRITE, PLACES[5], TEMPERATURE)
    assert (caught.value.subject, caught.value.reason) == ("write", "a policy denies it")
    assert caught.value.facts == {"role": "operator", "policy": "pol-1", "place": "dev-1", "path": "/3303/0/5700"}
    with pytest.raises(Forbidden) as caught:
        require(policies, person(Role.VIEWER), Operation.EXECUTE, Place(tenant=MINE))
    assert (caught.value.reason, caught.value.facts["policy"]) == ("no policy allows it", None)


def test_a_device_reports_everything_until_a_policy_denies_it() -> None:
    camera = Subject(tenant=MINE, role=None, id="dev-1", name="cam", device_kind="camera")
    denied = policy(
        Effect.DENY, Who(WhoKind.DEVICES, "camera"), "frm-1", Operation.WRITE, paths=(Pattern.parse("/3303/*"),)
    )

    assert may(Policies(MINE), camera, Operation.WRITE, PLACES[5], TEMPERATURE)
    assert not may(Policies(MINE, [denied]), camera, Operation.WRITE, PLACES[5], TEMPERATURE)
    assert may(Policies(MINE, [denied]), camera, Operation.WRITE, PLACES[5], Path(3, 0, 9))
    assert not may(Policies(MINE), camera, Operation.READ, PLACES[5])


def test_zones_meet_where_both_hold() -> None:
    assert Zone(farm="frm-1").within(Zone(enclosure="enc-1")) == Zone(farm="frm-1", enclosure="enc-1")
    assert Zone(farm="frm-1").within(Zone(farm="frm-2")) is None
    assert zone_of("ten-1") == zone_of("") == Zone()
    assert Reach(()).is_everywhere
    assert EVERYWHERE.is_everywhere


def _by_reading_all(
    written: list[Policy], subject: Subject, operation: Operation, place: Place, path: Path | None
) -> bool:
    numbers = None if path is None else path.identifiers
    is_held = not subject.places or bool(subject.places & set(place.ids))
    named = [
        one
        for one in [*BUILT_IN, *written]
        if one.who in subject.who
        and (one.who.kind is not WhoKind.ROLE or is_held)
        and operation in one.operations
        and one.place in place.ids
    ]
    if any(path_.touches(numbers) for one in named if one.effect is Effect.DENY for path_ in one.paths):
        return False
    if not any(path_.covers(numbers) for one in named if one.effect is Effect.ALLOW for path_ in one.paths):
        return False
    return subject.person is None or _by_reading_all(written, subject.person, operation, place, path)


def test_a_policy_about_servers_is_none_about_people_nor_the_other_way_round() -> None:
    server, kari = server_subject(MINE, "102"), Subject(tenant=MINE, role=Role.VIEWER, id="usr-1", name="Kari")
    granting = Policy(
        id="pol-1", effect=Effect.ALLOW, who=OTHER_SERVERS, operations=frozenset({Operation.WRITE}), place="frm-1"
    )
    judging = Policies(MINE, [granting])

    assert may(judging, server, Operation.WRITE, PLACES[1], Path(3, 0))
    assert not may(judging, server, Operation.READ, PLACES[1], Path(3, 0))
    assert not may(judging, kari, Operation.WRITE, PLACES[1], Path(3, 0))
    assert judging.about_servers(PLACES[3]) == [granting]
    assert judging.about_servers(PLACES[2]) == []
    assert server_subject(MINE, "*").who == (OTHER_SERVERS,)
