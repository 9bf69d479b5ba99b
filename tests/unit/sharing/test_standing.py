"""How it stands with other servers' rights: each difference has a state and a reason."""

import msgspec

from shoal.access.policy import OF_SERVERS
from shoal.sharing.rights import BOOTSTRAP, Target
from shoal.sharing.shared import Phase
from shoal.sharing.standing import Standing, State, standings
from tests.harness.shared_device import OURS, SUPPLIER, Listed, SharedDevice
from tests.unit.sharing.looks import allow, looked, policies

THREE = Target(3, 0)


def of(found: list[Standing], target: Target = THREE) -> Standing:
    return next(one for one in found if one.target == target)


def stands(device: SharedDevice, *ruling: object, target: Target = THREE) -> Standing:
    judging = policies(*ruling)  # type: ignore[arg-type]  # policies
    return of(standings(looked(device, judging), judging), target)


def test_what_was_taken_is_as_wanted() -> None:
    found = stands(SharedDevice(controls={0: Listed(3, 0)}), allow())

    assert (found.state, found.has_drifted, found.reason) == (State.AS_WANTED, False, "")
    assert (found.wanted, found.found, found.owner) == ({SUPPLIER: 1}, {0: 0, OURS: 15, SUPPLIER: 1}, OURS)


def test_what_was_refused_or_ignored_has_drifted() -> None:
    refused = stands(SharedDevice(controls={0: Listed(3, 0)}, code="4.05"), allow())
    ignored = stands(SharedDevice(controls={0: Listed(3, 0)}, forgets=True), allow())

    assert (refused.state, refused.code, refused.has_drifted) == (State.REFUSED, "4.05", True)
    assert refused.reason == "The device refused it: 4.05"
    assert (ignored.state, ignored.has_drifted) == (State.IGNORED, True)


def test_what_is_not_ours_to_change_has_drifted_and_says_whose_it_is() -> None:
    controls = {0: Listed(3, 0, SUPPLIER, {SUPPLIER: 15}), 1: Listed(9, 0, BOOTSTRAP, {0: 15})}
    foreign = stands(SharedDevice(controls=controls), allow())
    bootstraps = stands(SharedDevice(controls=controls), allow(), target=Target(9, 0))
    creating = stands(
        SharedDevice(controls=controls), allow(operations=OF_SERVERS, path="/3"), target=Target(3, BOOTSTRAP)
    )

    assert (foreign.state, foreign.reason) == (State.FOREIGN, "Server 102 owns it, and only the owner may change it")
    assert (bootstraps.state, bootstraps.reason) == (State.BOOTSTRAP, "Only a bootstrap server may change it")
    assert creating.reason == "Only a bootstrap server may change the right to create instances"
    assert [one.has_drifted for one in (foreign, bootstraps, creating)] == [True] * 3


def test_without_policies_about_servers_all_is_as_bootstrap_left_it() -> None:
    found = stands(SharedDevice(controls={0: Listed(3, 0, OURS, {SUPPLIER: 15})}))

    assert (found.state, found.has_drifted, found.wanted) == (State.LEFT, False, {})


def test_what_is_on_its_way_waits_also_when_policies_have_just_changed() -> None:
    device = SharedDevice(controls={0: Listed(3, 0)})
    shared = looked(device, policies(allow()))
    later = policies(allow(operations=OF_SERVERS))

    assert of(standings(shared, later)).state is State.WAITING
    reading = msgspec.structs.replace(shared, phase=Phase.READING)
    assert of(standings(reading, policies(allow()))).state is State.AS_WANTED
    assert of(standings(reading, later)).state is State.WAITING


def test_what_cannot_be_read_is_unknown_with_the_reason() -> None:
    found = stands(SharedDevice(controls={0: Listed(3, 0)}, is_hidden=True), allow())

    assert (found.state, found.code, found.has_drifted) == (State.UNKNOWN, "4.01", False)
    assert "did not let us read" in found.reason


def test_a_policy_about_less_than_an_instance_is_named_beside_it() -> None:
    part = allow(path="/3/0/9")

    found = stands(SharedDevice(controls={0: Listed(3, 0)}), part)

    assert (found.unsaid, found.wanted, found.state) == ((part,), {}, State.AS_WANTED)
