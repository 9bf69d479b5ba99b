"""Which commands may wait for a device, and which are the same question asked twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shoal.access.decision import Place
from shoal.commands.command import Command, Operation, State
from shoal.commands.queue import (
    BODY_BYTES_MAX,
    TIME_TO_LIVE_MAX,
    WAITING_PER_DEVICE_MAX,
    Add,
    Asked,
    Full,
    Join,
    admit,
    check_asked,
)
from shoal.errors import Rejected
from shoal.ids import CommandId, DeviceId, TenantId

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
READ = Asked(operation=Operation.READ, path="/3/0", body=None, time_to_live=HOUR, wait_for_wake=True, by="usr-1")
WAITING = Command(
    number=1,
    id=CommandId("cmd-1"),
    device=DeviceId("dev-1"),
    place=Place(tenant=TenantId("ten-1"), device=DeviceId("dev-1")),
    operation=Operation.READ,
    path="/3/0",
    body=None,
    state=State.QUEUED,
    wait_for_wake=True,
    by="usr-2",
    created_at=NOW,
    expires_at=NOW + HOUR,
)


def test_the_same_question_is_asked_once() -> None:
    assert admit(READ, [WAITING], NOW) == Join(WAITING)
    assert admit(READ, [], NOW) == Add()


@pytest.mark.parametrize(
    "other",
    [
        replace(WAITING, path="/3/1"),
        replace(WAITING, operation=Operation.DISCOVER),
        replace(WAITING, state=State.SENT),  # its answer may be older than the question
        replace(WAITING, wait_for_wake=False),
        replace(WAITING, expires_at=NOW + HOUR / 2 - timedelta(seconds=1)),  # it would let the asker down
    ],
)
def test_another_question_is_another_command(other: Command) -> None:
    assert admit(READ, [other], NOW) == Add()


def test_who_asks_after_a_change_sees_it() -> None:
    write = replace(WAITING, number=2, operation=Operation.WRITE, path="/3/0/14")
    later = replace(WAITING, number=3)

    assert admit(READ, [WAITING, write], NOW) == Add()
    assert admit(READ, [WAITING, write, later], NOW) == Join(later)


def test_several_paths_are_the_same_question_if_all_of_them_are() -> None:
    several = replace(READ, operation=Operation.READ_COMPOSITE, path="/", body=b'{"paths":["/3/0/9","/3303/0"]}')
    waiting = replace(WAITING, operation=several.operation, path="/", body=several.body)

    assert admit(several, [waiting], NOW) == Join(waiting)
    assert admit(replace(several, body=b'{"paths":["/3/0/9"]}'), [waiting], NOW) == Add()


@pytest.mark.parametrize("operation", [each for each in Operation if not each.changes_nothing])
def test_what_changes_something_is_done_as_often_as_it_was_asked(operation: Operation) -> None:
    assert admit(replace(READ, operation=operation), [replace(WAITING, operation=operation)], NOW) == Add()


def test_a_device_has_only_so_much_waiting() -> None:
    waiting = [replace(WAITING, number=n, path=f"/3303/{n}") for n in range(WAITING_PER_DEVICE_MAX)]

    assert admit(READ, waiting[:-1], NOW) == Add()
    assert admit(READ, waiting, NOW) == Full(WAITING_PER_DEVICE_MAX)
    # Joining adds nothing.
    assert admit(replace(READ, path="/3303/0"), waiting, NOW) == Join(waiting[0])


@pytest.mark.parametrize("body", [None, b"{}", b'{"value":5}', b'"' + b"x" * (BODY_BYTES_MAX - 2) + b'"'])
def test_a_body_is_json_of_a_bounded_size(body: bytes | None) -> None:
    assert check_asked(replace(READ, body=body)).body == body


@pytest.mark.parametrize("body", [b"", b"{", b"value=5", b"\xff", b'"' + b"x" * BODY_BYTES_MAX + b'"'])
def test_a_body_that_cannot_be_sent_is_refused(body: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        check_asked(replace(READ, body=body))

    assert caught.value.subject == "body"


@pytest.mark.parametrize("lives", [timedelta(), timedelta(seconds=-1), TIME_TO_LIVE_MAX + timedelta(seconds=1)])
def test_a_command_lives_between_a_second_and_two_weeks(lives: timedelta) -> None:
    check_asked(replace(READ, time_to_live=TIME_TO_LIVE_MAX))
    check_asked(replace(READ, time_to_live=timedelta(seconds=1)))

    with pytest.raises(Rejected):
        check_asked(replace(READ, time_to_live=lives))
