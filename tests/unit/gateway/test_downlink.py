"""Commands go down and answers come up, also over a restart."""

import asyncio
import json
from datetime import timedelta

from shoal import tracing
from shoal.commands.command import Operation, State, Trigger
from shoal.commands.store import Mark
from shoal.gateway.downlink import Downlink
from tests.harness.site import Site
from tests.harness.spans import recording

REGISTERED_WITHIN = timedelta(seconds=20)


async def test_a_command_reaches_the_device_and_its_answer_the_queue(site: Site) -> None:
    device = await site.device()
    async with site.client() as client:
        client.set("/3/0/9", 87)
        await client.registered(REGISTERED_WITHIN)

        done = await site.finished(await site.ask(device, Operation.READ, "/3/0/9"))

    assert done.state is State.ANSWERED
    assert done.code == "2.05"
    assert json.loads(done.answer or b"")["content"] == [{"path": "/3/0/9", "value": 87, "type": "integer"}]
    assert done.sent_at is not None
    assert done.trip_ms is not None


async def test_a_devices_refusal_keeps_its_code(site: Site) -> None:
    device = await site.device()
    async with site.client() as client:
        await client.registered(REGISTERED_WITHIN)

        done = await site.finished(await site.ask(device, Operation.READ, "/3/0/4711"))

    assert (done.state, done.code) == (State.REFUSED, "4.04")


async def test_a_command_waits_for_a_device_that_is_not_there_yet(site: Site) -> None:
    device = await site.device()
    command = await site.ask(device, Operation.WRITE, "/26241/0/0", b'{"value": "enc-1"}')
    await site.until(lambda: _held(site))

    async with site.client() as client:
        client.set("/26241/0/0", "")
        done = await site.finished(command)

    assert (done.state, done.code) == (State.ANSWERED, "2.04")


async def test_what_is_called_back_never_leaves(site: Site) -> None:
    device = await site.device()
    command = await site.ask(device, Operation.EXECUTE, "/3/0/4")
    await site.until(lambda: _held(site))
    async with site.shoal.database.transaction() as tx:
        await site.commands.cancel(tx, site.tenant, command.id)
    await site.until(lambda: _held(site, 0))
    executed: list[str] = []

    async with site.client() as client:
        client.on_execute("/3/0/4", lambda path, _: executed.append(path))
        await client.registered(REGISTERED_WITHIN)
        await site.finished(await site.ask(device, Operation.DISCOVER, "/3"))

    assert executed == []


async def test_after_a_restart_what_may_have_been_done_is_not_done_again(site: Site) -> None:
    device = await site.device()
    restart = await site.ask(device, Operation.EXECUTE, "/3/0/4")
    read = await site.ask(device, Operation.READ, "/3/0/9")
    await site.until(lambda: _held(site, 2))
    async with site.shoal.database.transaction() as tx:
        await site.commands.mark_all(
            tx,
            [Mark(number=asked.number, trigger=Trigger.SEND, at=asked.created_at) for asked in (restart, read)],
        )

    gateway = site.gateway
    fresh = Downlink(
        gateway.core, site.commands, site.shoal.database, gateway._settle, site.shoal.clock, gateway.nodes.serves
    )
    await fresh.carry()
    await fresh.carry()

    assert (await site.finished(restart)).state is State.TIMED_OUT
    assert "not known" in (await site.finished(restart)).detail
    assert fresh.held == 1


async def _held(site: Site, count: int = 1) -> bool:
    await asyncio.sleep(0)
    return site.gateway.downlink.held == count


async def test_a_commands_trace_shows_how_long_it_waited_and_how_long_the_device_took(site: Site) -> None:
    device = await site.device()
    with recording() as spans:
        async with site.client() as client:
            client.set("/3/0/9", 87)
            await client.registered(REGISTERED_WITHIN)
            with tracing.span("click", kind="server", begins=True):
                asked = await site.ask(device, Operation.READ, "/3/0/9")
            done = await site.finished(asked)
            # Nobody asked in a trace: no span of it.
            await site.finished(await site.ask(device, Operation.READ, "/3/0/4711"))
        found = spans()

    assert done.state is State.ANSWERED
    assert found.keys() == {"click", "command waits", "device answers"}
    click, waits, answers = found["click"], found["command waits"], found["device answers"]
    assert waits.parent is not None
    assert answers.parent is not None
    assert waits.parent.span_id == answers.parent.span_id == click.context.span_id
    assert answers.attributes == {"outcome": "answered", "code": "2.05"}
    assert waits.end_time == answers.start_time
    assert site.gateway.downlink._traced == {}
