"""Commands end in time even when no gateway is there to end them."""

import asyncio
from datetime import timedelta

import pytest

from shoal.access.decision import Place
from shoal.commands import worker
from shoal.commands.command import Operation, State, Trigger
from shoal.commands.queue import ANSWER_WAIT
from shoal.commands.store import Mark
from shoal.commands.worker import KEPT
from shoal.errors import Unavailable
from shoal.events.device import CommandChanged
from shoal.ids import DeviceId, TenantId
from tests.harness.installation import Installation

PLACE = Place(tenant=TenantId("ten-OURS0000"), device=DeviceId("dev-OXY00000"))


async def ask(shoal: Installation, lives: timedelta = timedelta(hours=1)) -> int:
    async with shoal.database.transaction() as tx:
        command = await shoal.commands.enqueue(
            tx, PLACE, Operation.EXECUTE, "/3/0/4", time_to_live=lives, by=None, wait_for_wake=True
        )
    return command.number


async def test_what_is_overdue_ends_and_is_told(shoal: Installation) -> None:
    waits, left, lives = await ask(shoal), await ask(shoal), await ask(shoal, timedelta(days=2))
    async with shoal.database.transaction() as tx:
        await shoal.commands.mark(tx, Mark(number=left, trigger=Trigger.SEND, at=shoal.clock.now()))

    shoal.clock.advance(timedelta(hours=1))
    first = await shoal.expiry.sweep()
    shoal.clock.advance(ANSWER_WAIT)
    second = await shoal.expiry.sweep()
    third = await shoal.expiry.sweep()

    assert (first, second, third) == (1, 1, 0)
    assert await shoal.commands.states([waits, left, lives]) == {
        waits: State.EXPIRED,
        # It may have reached the device: nobody knows.
        left: State.TIMED_OUT,
        lives: State.QUEUED,
    }
    states = [event.state for event in await shoal.events() if isinstance(event, CommandChanged)]
    assert states == ["queued", "queued", "queued", "sent", "expired", "timed_out"]


async def test_more_than_one_query_full_ends_in_one_sweep(shoal: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        await ask(shoal)
    monkeypatch.setattr(worker, "COMMANDS_PER_QUERY_MAX", 2)
    whole = shoal.commands.overdue
    monkeypatch.setattr(shoal.commands, "overdue", lambda now: whole(now, 2))
    shoal.clock.advance(timedelta(hours=1))

    assert await shoal.expiry.sweep() == 5


async def test_what_was_over_long_ago_is_forgotten(shoal: Installation) -> None:
    number = await ask(shoal)
    shoal.clock.advance(timedelta(hours=1))
    await shoal.expiry.sweep()

    shoal.clock.advance(KEPT)
    assert await shoal.expiry.tidy() == 0
    shoal.clock.advance(timedelta(seconds=1))
    assert await shoal.expiry.tidy() == 1
    assert await shoal.commands.states([number]) == {}


async def test_a_database_that_is_away_is_asked_again(shoal: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    number = await ask(shoal)
    shoal.clock.advance(timedelta(hours=1))
    monkeypatch.setattr(worker, "SWEEP_EVERY", timedelta(milliseconds=1))
    whole, failures, ended = shoal.expiry.sweep, iter([True]), asyncio.Event()

    async def sweep() -> int:
        if next(failures, False):
            raise Unavailable("database", "locked")
        count = await whole()
        ended.set()
        return count

    monkeypatch.setattr(shoal.expiry, "sweep", sweep)

    running = asyncio.create_task(shoal.expiry.run())
    await ended.wait()

    assert (await shoal.commands.states([number]))[number] is State.EXPIRED
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
