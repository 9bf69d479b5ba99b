"""One shared device: it is told what differs and is ours to tell, once, and then left alone."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.access.policy import OF_SERVERS
from shoal.sharing.rights import BOOTSTRAP, Target
from shoal.sharing.shared import (
    CHANGES_PER_ROUND_MAX,
    TARGETS_MAX,
    Asked,
    Outcome,
    Phase,
    Purpose,
    ended,
    go_on,
    look,
    reconsider,
)
from tests.harness.shared_device import OURS, SUPPLIER, Listed, SharedDevice
from tests.unit.sharing.looks import NOW, allow, answered, looked, policies, registered

THREE = Target(3, 0)


def a_device(**more: object) -> SharedDevice:
    return SharedDevice(controls={0: Listed(3, 0)}, **more)  # type: ignore[arg-type]  # of one test each


def test_what_differs_is_written_and_read_once_more() -> None:
    device = a_device()

    shared = looked(device, policies(allow()))

    assert device.controls[0].acl == {0: 0, OURS: 15, SUPPLIER: 1}
    assert device.asked == [("read", "/1"), ("read", "/2"), ("write", "/2/0/2"), ("read", "/2")]
    assert (shared.phase, shared.problem, shared.told, shared.own) == (Phase.SETTLED, "", {}, OURS)


def test_what_is_as_wanted_is_only_read() -> None:
    device = a_device()
    shared = looked(device, policies(allow()))
    device.asked.clear()

    looked(device, policies(allow()), shared)

    assert device.changes == []


def test_where_no_policy_speaks_of_servers_all_stays_as_bootstrap_left_it() -> None:
    device = SharedDevice(controls={0: Listed(3, 0, OURS, {SUPPLIER: 15})})

    shared = looked(device, policies())

    assert device.changes == []
    assert (shared.is_ruled, shared.phase) == (False, Phase.SETTLED)


def test_what_was_given_is_taken_back_and_then_left_alone() -> None:
    device = a_device()
    shared = looked(device, policies(allow()))

    shared = answered(device, reconsider(shared, policies(), NOW), policies())
    assert device.controls[0].acl == {0: 0, OURS: 15}
    assert not shared.is_ruled

    device.controls[0].acl = {SUPPLIER: 1}
    looked(device, policies(), shared)
    assert device.controls[0].acl == {SUPPLIER: 1}, "bootstrap gave it, and nobody said anything of it"


def test_an_instance_without_a_list_gets_one_when_somebody_is_to_have_a_right() -> None:
    device = SharedDevice(controls={})

    looked(device, policies(allow()))

    assert device.controls[0] == Listed(3, 0, OURS, {0: 0, OURS: 15, SUPPLIER: 1})
    assert [one for one, _ in device.changes] == ["create"]


def test_only_the_owner_writes_and_creating_is_bootstraps_matter() -> None:
    controls = {0: Listed(3, 0, SUPPLIER), 1: Listed(3, BOOTSTRAP, BOOTSTRAP), 2: Listed(1, 0, BOOTSTRAP)}
    device = SharedDevice(controls=controls)

    shared = looked(device, policies(allow(path="*", operations=OF_SERVERS)))

    assert [path for _, path in device.changes] == ["/2"], "server 1 of the device had no list"
    assert device.controls[0].acl == device.controls[1].acl == device.controls[2].acl == {}
    assert shared.phase is Phase.SETTLED


@pytest.mark.parametrize("device", [a_device(code="4.05"), a_device(forgets=True)], ids=["refuses", "forgets"])
def test_what_is_told_in_vain_is_told_once_until_something_else_is_wanted_or_shown(device: SharedDevice) -> None:
    shared = looked(device, policies(allow()))
    shared = looked(device, policies(allow()), shared)
    assert len(device.changes) == 1

    shared = answered(device, reconsider(shared, policies(allow(), allow("103", "/9/0")), NOW), policies(allow()))
    assert len(device.changes) == 1, "it changes nothing here"

    writing = policies(allow(operations=OF_SERVERS))
    shared = answered(device, reconsider(shared, writing, NOW), writing)
    assert len(device.changes) == 2, "something else is wanted"

    device.controls[0].acl = {SUPPLIER: 4}
    looked(device, writing, shared)
    assert len(device.changes) == 3, "something else is shown"


def test_a_change_that_nobody_answered_is_tried_at_the_next_look() -> None:
    device = a_device()
    step = look(registered(device), NOW)
    shared = step.shared
    for request in step.requests:
        _, _, body = device.answer(request.operation, request.path, request.body)
        said = msgspec.json.encode(body)
        shared = ended(shared, request.asked, Outcome.ACCEPTED, code="2.05", detail="", body=said, at=NOW)
    step = go_on(shared, policies(allow()), OURS, NOW)
    lost = ended(step.shared, step.requests[0].asked, Outcome.UNANSWERED, code=None, detail="expired", body=b"", at=NOW)

    shared = answered(device, go_on(lost, policies(allow()), OURS, NOW), policies(allow()))
    assert device.changes == [], "once for each look"
    looked(device, policies(allow()), shared)
    assert device.controls[0].acl[SUPPLIER] == 1


def test_policies_that_change_while_a_device_is_told_count_in_the_same_look() -> None:
    device = a_device()
    reading = look(registered(device), NOW)
    shared = reading.shared
    for request in reading.requests:
        _, _, body = device.answer(request.operation, request.path, request.body)
        said = msgspec.json.encode(body)
        shared = ended(shared, request.asked, Outcome.ACCEPTED, code="2.05", detail="", body=said, at=NOW)
    writing = go_on(shared, policies(allow()), OURS, NOW)
    [change] = writing.requests
    device.answer(change.operation, change.path, change.body)
    told = ended(writing.shared, change.asked, Outcome.ACCEPTED, code="2.04", detail="", body=b"", at=NOW)

    later = policies(allow(operations=OF_SERVERS))
    shared = answered(device, go_on(told, later, OURS, NOW), later)

    assert device.controls[0].acl[SUPPLIER] == 15
    assert (shared.phase, shared.told) == (Phase.SETTLED, {})


def test_what_cannot_be_read_is_a_problem_and_no_reason_to_write() -> None:
    device = a_device(is_hidden=True)

    shared = looked(device, policies(allow()))

    assert device.changes == []
    assert (shared.phase, shared.code) == (Phase.SETTLED, "4.01")
    assert "did not let us read" in shared.problem
    assert reconsider(shared, policies(allow()), NOW).requests == (), "it is not asked again for nothing"


def test_nothing_is_written_where_we_do_not_know_who_we_are() -> None:
    device = a_device(servers={0: SUPPLIER, 1: 103}, shown={0, 1})

    shared = looked(device, policies(allow("103")))

    assert device.changes == []
    assert shared.problem == "Which of its servers we are is not known: it shows 102, 103, and ours is 101"


def test_a_policy_for_a_server_that_the_device_has_not_makes_no_entry() -> None:
    device = a_device(shown={0, 1})

    looked(device, policies(allow(), allow("103")))

    assert device.controls[0].acl == {0: 0, OURS: 15, SUPPLIER: 1}


def test_a_new_look_calls_back_what_did_not_leave_yet() -> None:
    shared = msgspec.structs.replace(
        registered(a_device()),
        phase=Phase.WRITING,
        asked={"cmd-1": Asked(Purpose.CHANGE, THREE), "cmd-2": Asked(Purpose.CONTROLS)},
    )

    step = look(shared, NOW)

    assert step.calls_back == ("cmd-1",), "somebody else may wait for the answer to a read"
    assert step.shared.asked == {}


def test_a_device_that_is_away_or_being_read_is_not_asked_because_of_policies() -> None:
    shared = looked(a_device(), policies())
    away = msgspec.structs.replace(shared, registration=None)
    reading = msgspec.structs.replace(shared, phase=Phase.READING)

    assert reconsider(shared, policies(allow()), NOW).requests
    assert not reconsider(away, policies(allow()), NOW).requests
    assert not reconsider(reading, policies(allow()), NOW).requests


def test_many_changes_go_in_rounds_and_too_many_instances_are_a_problem() -> None:
    many = {number: Listed(9, number) for number in range(40)}
    device = SharedDevice(controls=many)
    looked(device, policies(allow(path="/9")))
    assert len(device.changes) == 40
    assert device.asked[2 + CHANGES_PER_ROUND_MAX] == ("read", "/2"), "half of the queue is for people"

    crowd = SharedDevice(controls={number: Listed(9, number) for number in range(TARGETS_MAX + 1)})
    shared = looked(crowd, policies(allow(path="/9")))
    assert crowd.asked == []
    assert "more than 200" in shared.problem


acls = st.dictionaries(st.sampled_from([0, OURS, SUPPLIER, 103]), st.integers(0, 15), max_size=3)
lists = st.builds(
    Listed,
    st.sampled_from([1, 3, 9]),
    st.sampled_from([0, 1, BOOTSTRAP]),
    st.sampled_from([OURS, SUPPLIER, BOOTSTRAP]),
    acls,
)
devices = st.builds(
    SharedDevice,
    shown=st.sampled_from([set(), {0}, {0, 1}, {1}]),
    controls=st.lists(lists, max_size=5).map(lambda all_of: dict(enumerate(all_of))),
    takes_new=st.booleans(),
    code=st.sampled_from([None, "4.01", "5.00"]),
    forgets=st.booleans(),
    is_hidden=st.booleans(),
)
rulings = st.sampled_from(
    [
        policies(),
        policies(allow()),
        policies(allow("*", "*")),
        policies(allow("103", "/9"), allow("*", "/3", OF_SERVERS, "pol-2")),
    ]
)


@given(devices, st.lists(rulings, min_size=1, max_size=4))
def test_whatever_a_device_does_a_look_ends_and_a_second_one_has_nothing_new_to_say(
    device: SharedDevice, later: list[object]
) -> None:
    shared = None
    for ruling in later:
        shared = looked(device, ruling, shared)  # type: ignore[arg-type]  # policies, drawn
        assert shared.phase is Phase.SETTLED
        before = len(device.changes)
        shared = looked(device, ruling, shared)  # type: ignore[arg-type]
        assert len(device.changes) == before, "told once"
        assert len(device.asked) < 200
