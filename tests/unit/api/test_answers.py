"""When a device would hear us, and how long anybody waits."""

from datetime import UTC, datetime, timedelta

import pytest

from shoal.api.access import Asking
from shoal.api.answers import Reach, ask, parse_span, reach_of
from shoal.api.problems import NoAnswer
from shoal.commands.command import Command, Operation, State, Trigger
from shoal.commands.store import Mark
from shoal.errors import Conflict
from shoal.inventory.presence import EndedBy, Registration
from tests.unit.api.company import Company

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
WINDOW = timedelta(seconds=93)


def registration(queue_mode: bool, heard_ago_s: float, ended: bool = False) -> Registration:
    heard = NOW - timedelta(seconds=heard_ago_s)
    return Registration(
        id="r-1",
        version="1.1",
        lifetime=timedelta(hours=2),
        binding="U",
        queue_mode=queue_mode,
        secure=True,
        address="192.0.2.7:41822",
        objects=(),
        registered_at=heard,
        updated_at=heard,
        last_heard_at=heard,
        expires_at=heard + timedelta(hours=2),
        ended_at=NOW if ended else None,
        ended_by=EndedBy.DEREGISTERED if ended else None,
    )


@pytest.mark.parametrize(
    ("known", "reach"),
    [
        (None, Reach.AWAY),
        (registration(queue_mode=False, heard_ago_s=3_600), Reach.ALWAYS),
        (registration(queue_mode=True, heard_ago_s=92), Reach.AWAKE),
        (registration(queue_mode=True, heard_ago_s=93), Reach.AWAY),
        (registration(queue_mode=False, heard_ago_s=1, ended=True), Reach.AWAY),
    ],
)
def test_a_device_is_heard_while_it_listens(known: Registration | None, reach: Reach) -> None:
    assert reach_of(known, WINDOW, NOW) is reach


@pytest.mark.parametrize(
    ("said", "span"),
    [
        ("30s", timedelta(seconds=30)),
        ("500ms", timedelta(milliseconds=500)),
        ("1.5s", timedelta(seconds=1.5)),
        ("12h", timedelta(hours=12)),
        ("2d", timedelta(days=2)),
        ("5m", timedelta(minutes=5)),
        ("7", timedelta(seconds=7)),
    ],
)
def test_a_span_is_read_as_people_write_it(said: str, span: timedelta) -> None:
    assert parse_span(said) == span


@pytest.mark.parametrize("said", ["", "soon", "-1s", "1 s", "1e9", "99999999999s", "٣s"])
def test_what_is_no_span_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="length of time"):
        parse_span(said)


async def asking(company: Company) -> Asking:
    client = await company.client()
    return await company.asking(client)


@pytest.mark.parametrize(
    ("trigger", "error"), [(Trigger.TIME_OUT, NoAnswer), (Trigger.EXPIRE, NoAnswer), (Trigger.CANCEL, Conflict)]
)
async def test_a_command_that_ended_without_an_answer_is_told_as_that(
    company: Company, trigger: Trigger, error: type[Exception]
) -> None:
    device = await company.registered()
    who = await asking(company)

    async def end(command: Command) -> None:
        async with company.installation.database.transaction() as tx:
            await company.commands.mark(tx, Mark(number=command.number, trigger=trigger, at=company.clock.now()))

    company.gateway.answer = end  # type: ignore[method-assign]

    with pytest.raises(error):
        await ask(company.rooms, who, await company.current(device), Operation.READ, "/3/0/9", None, None)


async def test_a_device_in_its_window_is_waited_for_a_little_and_the_command_stands(company: Company) -> None:
    device = await company.registered(queue_mode=True)

    command = await ask(
        company.rooms,
        await asking(company),
        await company.current(device),
        Operation.READ,
        "/3/0/9",
        None,
        timedelta(milliseconds=40),
    )

    assert command.state is State.QUEUED
    assert command.wait_for_wake


async def test_who_finds_no_seat_to_wait_gets_the_command_at_once(company: Company) -> None:
    device = await company.registered()
    company.rooms.waiting.taken = 500

    command = await ask(
        company.rooms, await asking(company), await company.current(device), Operation.READ, "/3/0/9", None, None
    )

    assert command.state is State.QUEUED


async def test_one_who_does_not_want_to_wait_gets_the_command_at_once(company: Company) -> None:
    device = await company.registered()

    command = await ask(
        company.rooms,
        await asking(company),
        await company.current(device),
        Operation.READ,
        "/3/0/9",
        None,
        timedelta(),
    )

    assert command.state is State.QUEUED
