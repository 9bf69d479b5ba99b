"""Commands wait in the database, one queue per device; each state they come into is told once."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from shoal import metrics, tracing
from shoal.access.decision import Place
from shoal.commands.command import Command, Operation, State, Trigger
from shoal.commands.queue import ANSWER_WAIT, WAITING_PER_DEVICE_MAX
from shoal.commands.store import Commands, Mark
from shoal.errors import Conflict, NotFound, Rejected
from shoal.events.device import CommandChanged
from shoal.ids import CommandId, DeviceId, EnclosureId, FarmId, Prefix, TenantId, parse_id
from tests.harness.installation import Installation, installation
from tests.harness.spans import recording

TENANT, OTHER = TenantId("ten-OURS0000"), TenantId("ten-THEIRS00")
OXY = Place(tenant=TENANT, farm=FarmId("frm-1"), enclosure=EnclosureId("enc-1"), device=DeviceId("dev-OXY00000"))
CAM = Place(tenant=TENANT, device=DeviceId("dev-CAM00000"))
HOUR = timedelta(hours=1)


async def ask(
    shoal: Installation,
    place: Place = OXY,
    operation: Operation = Operation.WRITE,
    path: str = "/1/0/1",
    body: bytes | None = b'{"value":5}',
    lives: timedelta = HOUR,
) -> Command:
    async with shoal.database.transaction() as tx:
        return await shoal.commands.enqueue(
            tx, place, operation, path, body=body, time_to_live=lives, by="usr-1", wait_for_wake=True
        )


async def mark(shoal: Installation, command: Command, trigger: Trigger, **more: object) -> Command | None:
    async with shoal.database.transaction() as tx:
        return await shoal.commands.mark(
            tx,
            Mark(number=command.number, trigger=trigger, at=shoal.clock.now(), **more),  # type: ignore[arg-type]
        )


async def told(shoal: Installation) -> list[CommandChanged]:
    return [event for event in await shoal.events() if isinstance(event, CommandChanged)]


async def test_what_is_asked_waits_for_the_gateway_which_is_poked(shoal: Installation) -> None:
    command = await ask(shoal)

    [event] = await told(shoal)
    assert parse_id(command.id, Prefix.COMMAND) == command.id
    assert (command.state, command.place, command.body, command.by) == (State.QUEUED, OXY, b'{"value":5}', "usr-1")
    assert command.expires_at == shoal.clock.now() + HOUR
    assert await shoal.commands.unfinished(0) == [command]
    assert await shoal.commands.command(TENANT, command.id) == command
    assert shoal.pokes == 1
    assert (event.state, event.device, event.enclosure, event.operation, event.path) == (
        "queued",
        OXY.device,
        "enc-1",
        "write",
        "/1/0/1",
    )


async def test_the_gateway_carries_them_in_the_order_in_which_they_were_asked(shoal: Installation) -> None:
    asked = [await ask(shoal, place) for place in (OXY, CAM, OXY)]

    assert [command.number for command in await shoal.commands.unfinished(0)] == [each.number for each in asked]
    assert await shoal.commands.unfinished(asked[0].number, limit=1) == [asked[1]]
    assert [command.id for command in await shoal.commands.of_device(TENANT, DeviceId("dev-OXY00000"))] == [
        asked[2].id,
        asked[0].id,
    ]


async def test_a_command_goes_its_way_and_each_state_is_told(shoal: Installation) -> None:
    command = await ask(shoal, operation=Operation.READ, path="/3/0/9", body=None)
    shoal.clock.advance(timedelta(seconds=1))
    sent = await mark(shoal, command, Trigger.SEND)
    shoal.clock.advance(timedelta(seconds=2))
    answered = await mark(shoal, command, Trigger.ANSWER, code="2.05", answer=b'{"value":87}', trip_ms=41.5)

    assert sent is not None
    assert answered is not None
    assert (sent.state, sent.sent_at, sent.finished_at) == (State.SENT, command.created_at + timedelta(seconds=1), None)
    assert answered == await shoal.commands.command(TENANT, command.id)
    assert (answered.state, answered.code, answered.answer, answered.trip_ms) == (
        State.ANSWERED,
        "2.05",
        b'{"value":87}',
        41.5,
    )
    assert answered.finished_at == shoal.clock.now()
    events = await told(shoal)
    assert [event.state for event in events] == ["queued", "sent", "answered"]
    assert len({event.id for event in events}) == 3
    assert events[2].body == msgspec.Raw(b'{"value":87}')
    assert await shoal.commands.unfinished(0) == []


async def test_an_outcome_that_changes_nothing_is_not_told(shoal: Installation) -> None:
    command = await ask(shoal)
    await mark(shoal, command, Trigger.REFUSE, code="4.05", detail="not now")

    for trigger in Trigger:
        assert await mark(shoal, command, trigger) is None

    refused = await shoal.commands.command(TENANT, command.id)
    assert (refused.state, refused.code, refused.detail) == (State.REFUSED, "4.05", "not now")
    assert [event.state for event in await told(shoal)] == ["queued", "refused"]
    async with shoal.database.transaction() as tx:
        assert await shoal.commands.mark_all(tx, [Mark(number=99, trigger=Trigger.SEND, at=shoal.clock.now())]) == []


async def test_several_outcomes_of_one_command_count_in_their_order(shoal: Installation) -> None:
    first, second = await ask(shoal), await ask(shoal)
    marks = [
        Mark(number=first.number, trigger=Trigger.SEND, at=shoal.clock.now()),
        Mark(number=second.number, trigger=Trigger.SEND, at=shoal.clock.now()),
        Mark(number=first.number, trigger=Trigger.ANSWER, at=shoal.clock.now(), code="2.04"),
    ]

    async with shoal.database.transaction() as tx:
        changed = await shoal.commands.mark_all(tx, marks)

    assert [(command.number, command.state) for command in changed] == [
        (first.number, State.ANSWERED),
        (second.number, State.SENT),
    ]
    assert changed[0].sent_at == shoal.clock.now()
    assert await shoal.commands.states([first.number, second.number, 99]) == {
        first.number: State.ANSWERED,
        second.number: State.SENT,
    }


async def test_the_same_question_joins_the_one_that_waits(shoal: Installation) -> None:
    first = await ask(shoal, operation=Operation.READ, path="/3/0", body=None)
    joined = await ask(shoal, operation=Operation.READ, path="/3/0", body=None)
    other = await ask(shoal, CAM, Operation.READ, "/3/0", None)

    assert joined == first
    assert other.id != first.id
    assert len(await shoal.commands.unfinished(0)) == 2


async def test_a_device_with_too_much_to_do_takes_no_more_until_something_is_over(shoal: Installation) -> None:
    waiting = [await ask(shoal) for _ in range(WAITING_PER_DEVICE_MAX)]

    with pytest.raises(Conflict) as caught:
        await ask(shoal)
    await ask(shoal, CAM)
    await mark(shoal, waiting[0], Trigger.ANSWER, code="2.04")
    await ask(shoal)

    assert caught.value.facts["waiting"] == WAITING_PER_DEVICE_MAX


async def test_what_cannot_be_asked_leaves_nothing_behind(shoal: Installation) -> None:
    with pytest.raises(Rejected):
        await ask(shoal, Place(tenant=TENANT))
    with pytest.raises(Rejected):
        await ask(shoal, body=b"{")
    with pytest.raises(Rejected):
        await ask(shoal, lives=timedelta(days=15))

    assert await shoal.commands.unfinished(0) == []
    assert await told(shoal) == []
    assert shoal.pokes == 0


async def test_a_command_can_be_called_back_until_it_has_left(shoal: Installation) -> None:
    command, sent = await ask(shoal), await ask(shoal)
    await mark(shoal, sent, Trigger.SEND)
    async with shoal.database.transaction() as tx:
        cancelled = await shoal.commands.cancel(tx, TENANT, command.id)
        for id_ in (command.id, sent.id):
            with pytest.raises(Conflict):
                await shoal.commands.cancel(tx, TENANT, id_)
        with pytest.raises(NotFound):
            await shoal.commands.cancel(tx, OTHER, sent.id)
        with pytest.raises(NotFound):
            await shoal.commands.cancel(tx, TENANT, CommandId("cmd-NOBODY00"))

    assert (cancelled.state, cancelled.finished_at) == (State.CANCELLED, shoal.clock.now())
    assert shoal.pokes == 3
    assert (await shoal.commands.states([command.number]))[command.number] is State.CANCELLED


async def test_what_the_device_says_after_all_is_the_truth(shoal: Installation) -> None:
    command = await ask(shoal)
    async with shoal.database.transaction() as tx:
        await shoal.commands.cancel(tx, TENANT, command.id)

    late = await mark(shoal, command, Trigger.ANSWER, code="2.04")

    assert late is not None
    assert late.state is State.ANSWERED


async def test_all_that_waits_for_a_device_goes_with_it(shoal: Installation) -> None:
    queued, sent, other = await ask(shoal), await ask(shoal), await ask(shoal, CAM)
    await mark(shoal, sent, Trigger.SEND)
    async with shoal.database.transaction() as tx:
        assert await shoal.commands.cancel_all(tx, OTHER, DeviceId("dev-OXY00000")) == 0
        assert await shoal.commands.cancel_all(tx, TENANT, DeviceId("dev-OXY00000")) == 1

    assert await shoal.commands.states([queued.number, sent.number, other.number]) == {
        queued.number: State.CANCELLED,
        sent.number: State.SENT,
        other.number: State.QUEUED,
    }


async def test_time_runs_out_for_what_waits_and_later_for_what_has_left(shoal: Installation) -> None:
    waits, left, long = await ask(shoal), await ask(shoal), await ask(shoal, lives=HOUR * 9)
    await mark(shoal, left, Trigger.SEND)

    shoal.clock.advance(HOUR - timedelta(seconds=1))
    early = await shoal.commands.overdue(shoal.clock.now())
    shoal.clock.advance(timedelta(seconds=1))
    due = await shoal.commands.overdue(shoal.clock.now())
    shoal.clock.advance(ANSWER_WAIT)
    later = await shoal.commands.overdue(shoal.clock.now())

    assert early == []
    assert [command.id for command in due] == [waits.id]
    assert [command.id for command in later] == [waits.id, left.id]
    assert long.id not in {command.id for command in later}


async def test_another_tenant_finds_nothing(shoal: Installation) -> None:
    command = await ask(shoal)

    with pytest.raises(NotFound):
        await shoal.commands.command(OTHER, command.id)
    assert await shoal.commands.of_device(OTHER, command.device) == []
    with pytest.raises(Rejected):
        await shoal.commands.unfinished(0, limit=501)


async def test_the_history_of_a_device_comes_page_by_page(shoal: Installation) -> None:
    asked = [await ask(shoal) for _ in range(3)]
    await mark(shoal, asked[1], Trigger.ANSWER, code="2.04")
    device = DeviceId("dev-OXY00000")

    first = await shoal.commands.of_device(TENANT, device, limit=2)
    second = await shoal.commands.of_device(TENANT, device, before=first[-1].number, limit=2)

    assert [command.number for command in (*first, *second)] == [each.number for each in reversed(asked)]
    assert [command.number for command in await shoal.commands.of_device(TENANT, device, is_unfinished=False)] == [
        asked[1].number
    ]
    assert len(await shoal.commands.of_device(TENANT, device, is_unfinished=True)) == 2


async def test_only_what_was_over_long_ago_is_forgotten_and_no_number_comes_again(shoal: Installation) -> None:
    over, waits = await ask(shoal), await ask(shoal, lives=timedelta(days=14))
    await mark(shoal, over, Trigger.ANSWER, code="2.04")
    newest = await ask(shoal)
    await mark(shoal, newest, Trigger.ANSWER, code="2.04")
    async with shoal.database.transaction() as tx:
        assert await shoal.commands.forget(tx, shoal.clock.now()) == 0
        assert await shoal.commands.forget(tx, shoal.clock.now() + timedelta(seconds=1)) == 2

    again = await ask(shoal)

    assert [command.id for command in await shoal.commands.unfinished(0)] == [waits.id, again.id]
    assert again.number > newest.number


async def test_what_was_asked_outlives_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shoal.db'}"
    async with installation(tmp_path, url) as before:
        queued, sent = await ask(before), await ask(before)
        await mark(before, sent, Trigger.SEND)

    async with installation(tmp_path, url) as after:
        found = await after.commands.unfinished(0)

    assert [(command.id, command.state, command.body) for command in found] == [
        (queued.id, State.QUEUED, b'{"value":5}'),
        (sent.id, State.SENT, b'{"value":5}'),
    ]


async def test_a_collision_of_ids_is_drawn_again(shoal: Installation) -> None:
    drawn = iter(["cmd-A", "cmd-A", "cmd-B"])
    shoal.commands = Commands(shoal.database, shoal.clock, draw=lambda _: next(drawn))

    assert [(await ask(shoal)).id, (await ask(shoal)).id] == ["cmd-A", "cmd-B"]


async def test_nothing_is_asked_and_nobody_poked_when_the_transaction_fails(shoal: Installation) -> None:
    async def ask_and_fail() -> None:
        async with shoal.database.transaction() as tx:
            await shoal.commands.enqueue(tx, OXY, Operation.READ, "/3", time_to_live=HOUR, by=None, wait_for_wake=True)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ask_and_fail()

    assert await shoal.commands.unfinished(0) == []
    assert await told(shoal) == []
    assert shoal.pokes == 0


async def test_a_command_keeps_the_trace_in_which_it_was_asked_and_tells_it_on(shoal: Installation) -> None:
    with recording():
        with tracing.span("click", kind="server", begins=True):
            carried = tracing.carried()
            asked = await ask(shoal)
        other = await ask(shoal, path="/1/0/2")
    await mark(shoal, asked, Trigger.ANSWER, code="2.04")

    assert carried is not None
    assert (await shoal.commands.command(TENANT, asked.id)).trace == carried
    assert other.trace is None
    assert {event.trace for event in await told(shoal) if event.command == asked.id} == {carried}


async def test_every_command_is_counted_once_by_how_it_ended(shoal: Installation) -> None:
    def counted(outcome: str) -> float:
        labels = {"operation": "write", "outcome": outcome}
        return metrics.REGISTRY.get_sample_value("shoal_commands_total", labels) or 0.0

    answered, refused = counted("answered"), counted("refused")
    first, second = await ask(shoal), await ask(shoal, path="/1/0/2")

    for command in (first, second):
        await mark(shoal, command, Trigger.SEND)
    await mark(shoal, first, Trigger.ANSWER, code="2.04")
    await mark(shoal, first, Trigger.ANSWER, code="2.04")
    await mark(shoal, second, Trigger.REFUSE, code="4.04")

    assert (counted("answered"), counted("refused")) == (answered + 1, refused + 1)
