"""A command's states, walked completely: every trigger in every state."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shoal.access.decision import Place
from shoal.commands.command import (
    TRANSITIONS,
    UNFINISHED,
    Command,
    Operation,
    State,
    Trigger,
    after,
    check_cancel,
    trigger_for,
)
from shoal.errors import Conflict, Rejected
from shoal.ids import CommandId, DeviceId, TenantId

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
COMMAND = Command(
    number=1,
    id=CommandId("cmd-1"),
    device=DeviceId("dev-1"),
    place=Place(tenant=TenantId("ten-1"), device=DeviceId("dev-1")),
    operation=Operation.READ,
    path="/3",
    body=None,
    state=State.QUEUED,
    wait_for_wake=True,
    by=None,
    created_at=NOW,
    expires_at=NOW + timedelta(hours=1),
)

# What should happen, written down a second time and on purpose: row by state, column by trigger, `.` changes nothing.
WALK = """
            send  answer    refuse   expire     cancel     time_out
queued      sent  answered  refused  expired    cancelled  timed_out
sent        .     answered  refused  timed_out  .          timed_out
answered    .     .         .        .          .          .
refused     .     .         .        .          .          .
expired     .     answered  refused  .          .          .
cancelled   .     answered  refused  .          .          .
timed_out   .     answered  refused  .          .          .
"""


def walked() -> list[tuple[State, Trigger, State | None]]:
    head, *rows = [line.split() for line in WALK.strip().splitlines()]
    return [
        (State(state), Trigger(trigger), None if following == "." else State(following))
        for state, *cells in rows
        for trigger, following in zip(head, cells, strict=True)
    ]


@pytest.mark.parametrize(("state", "trigger", "following"), walked())
def test_a_trigger_leads_where_the_table_says(state: State, trigger: Trigger, following: State | None) -> None:
    assert after(state, trigger) is following


def test_the_walk_leaves_no_pair_out() -> None:
    assert {(state, trigger) for state, trigger, _ in walked()} == {(s, t) for s in State for t in Trigger}
    assert set(TRANSITIONS) == {(state, trigger) for state, trigger, following in walked() if following}


def test_no_state_comes_twice_so_that_its_event_has_an_id_of_its_own() -> None:
    reachable = {
        state: {following for (before, _), following in TRANSITIONS.items() if before is state} for state in State
    }
    for state in State:
        seen: set[State] = set()
        frontier = set(reachable[state])
        while frontier:
            seen |= frontier
            frontier = {following for each in frontier for following in reachable[each]} - seen
        assert state not in seen


def test_only_what_waits_or_was_sent_is_unfinished() -> None:
    assert set(UNFINISHED) == {state for state in State if state.is_unfinished} == {State.QUEUED, State.SENT}


@pytest.mark.parametrize(
    ("outcome", "trigger"),
    [
        ("sent", Trigger.SEND),
        ("answered", Trigger.ANSWER),
        ("refused", Trigger.REFUSE),
        ("timed_out", Trigger.TIME_OUT),
        ("expired", Trigger.EXPIRE),
        ("cancelled", Trigger.CANCEL),
        ("unregistered", Trigger.REFUSE),
        ("too_many", Trigger.REFUSE),
    ],
)
def test_every_outcome_of_the_core_means_something(outcome: str, trigger: Trigger) -> None:
    assert trigger_for(outcome) is trigger


def test_a_word_that_the_core_does_not_have_is_refused() -> None:
    with pytest.raises(Rejected):
        trigger_for("exploded")


def test_only_reading_and_discovery_can_be_asked_twice_without_harm() -> None:
    repeatable = {operation for operation in Operation if operation.changes_nothing}

    assert repeatable == {Operation.READ, Operation.READ_COMPOSITE, Operation.DISCOVER}


@pytest.mark.parametrize("state", State)
def test_only_what_has_not_left_can_be_called_back(state: State) -> None:
    command = replace(COMMAND, state=state)

    if state is State.QUEUED:
        check_cancel(command)
    else:
        with pytest.raises(Conflict) as caught:
            check_cancel(command)
        assert caught.value.facts["state"] == state.value


@pytest.mark.parametrize(
    ("operation", "path", "body", "paths"),
    [
        (Operation.READ_COMPOSITE, "/", b'{"paths":["/3/0/9","/3303/0"]}', ("/3/0/9", "/3303/0")),
        (Operation.WRITE_COMPOSITE, "/", b'{"values":{"/3/0/14":"+01"}}', ("/3/0/14",)),
        (Operation.WRITE, "/3/0/14", b'{"value":"+01"}', ()),
    ],
)
def test_a_composite_names_its_paths(operation: Operation, path: str, body: bytes, paths: tuple[str, ...]) -> None:
    command = replace(COMMAND, operation=operation, path=path, body=body)

    assert command.paths == paths
