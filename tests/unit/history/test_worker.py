"""The past is written down as it happens, once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shoal.clock import FakeClock
from shoal.errors import Unavailable
from shoal.events.codec import encode
from shoal.events.device import SecurityEvent
from shoal.events.envelope import Event
from shoal.history import worker as worker_module
from shoal.history.refusal_store import RefusalFilter
from shoal.history.store import History
from shoal.history.worker import HistoryHandler, forget_now_and_then
from shoal.storage.database import Database
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.log import Entry
from shoal.stream.worker import Worker
from tests.harness.databases import fresh_database
from tests.harness.findings import NOON, at, opened
from tests.harness.voices import Voice


class World:
    """All topics, and the history worker over them."""

    def __init__(self, log: EmbeddedLog, database: Database) -> None:
        self.log = log
        self.database = database
        self.history = History(database)
        self.worker = Worker(log, database, HistoryHandler(), FakeClock(NOON))

    async def hear(self, *events: Event) -> None:
        for event in events:
            await self.log.append(event.topic, [Entry(event.key, encode(event))])
        await self.worker.drain()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    log = EmbeddedLog(tmp_path, partitions=1, clock=FakeClock(NOON))
    await log.start()
    database = await fresh_database()
    yield World(log, database)
    await database.close()
    await log.close()


async def test_readings_conditions_and_registrations_are_found_again(world: World) -> None:
    voice = Voice()

    await world.hear(
        voice.registered(NOON), voice.reported(at(1), {"/3303/0/5700": 8.1, "/3/0/3": "1.4"}), opened(when=2)
    )

    [mark] = await world.history.chart("dev-1", "/3303/0/5700", NOON, at(60), 10)
    assert (mark.time, mark.mean) == (at(1), 8.1)
    assert {value.path: value.value for value in await world.history.last_values("dev-1")} == {
        "/3303/0/5700": 8.1,
        "/3/0/3": "1.4",
    }
    assert [line.kind for line in await world.history.timeline("dev-1", None, 50)] == ["condition", "registration"]


async def test_a_replay_adds_nothing(world: World) -> None:
    voice = Voice()
    story = (voice.registered(NOON), voice.reported(at(1), {"/3303/0/5700": 8.1}), opened(when=2))
    await world.hear(*story)
    before = await world.history.timeline("dev-1", None, 50)

    await world.hear(*story)

    assert await world.history.timeline("dev-1", None, 50) == before
    [mark] = await world.history.chart("dev-1", "/3303/0/5700", NOON, at(60), 10)
    assert mark.count == 1


async def test_two_reports_of_one_moment_in_one_batch_are_no_fault(world: World) -> None:
    voice = Voice()

    await world.hear(voice.reported(at(1), {"/3303/0/5700": 8.1}), voice.reported(at(1), {"/3303/0/5700": 8.2}))

    assert [value.value for value in await world.history.last_values("dev-1")] == [8.2]


async def test_the_past_of_a_removed_device_is_forgotten(world: World) -> None:
    voice = Voice()
    await world.hear(voice.registered(NOON), voice.reported(at(1), {"/3303/0/5700": 8.1}), voice.removed(at(2)))

    while await world.history.forget(at(3)):
        pass

    assert await world.history.timeline("dev-1", None, 50) == []
    assert await world.history.last_values("dev-1") == []


async def test_forgetting_goes_on_after_the_database_was_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "FORGET_EVERY", timedelta())
    asked: list[str] = []
    gone_on = asyncio.Event()

    class Away(History):
        async def forget(self, now: object) -> int:
            asked.append("away" if not asked else "there")
            if asked == ["away"]:
                raise Unavailable("database", "away")
            gone_on.set()
            return 0

    running = asyncio.create_task(forget_now_and_then(Away(world.database), FakeClock(NOON)))
    async with asyncio.timeout(30):
        await gone_on.wait()
    running.cancel()

    assert asked[:2] == ["away", "there"]


async def test_a_stranger_stands_in_the_security_log_and_on_no_timeline(world: World) -> None:
    await world.hear(SecurityEvent(id="s-1", time=NOON, reason="unknown_identity", identity="who"))

    [entry] = await world.history.refusals("ten-1", RefusalFilter(), None, 9, with_strangers=True)
    assert entry.refusal.identity == "who"
    assert await world.history.timeline("", None, 9) == []


async def test_the_refusals_of_a_removed_device_are_forgotten_with_it(world: World) -> None:
    voice = Voice()
    await world.hear(voice.registered(NOON), voice.intruded(at(1)), voice.removed(at(2)))
    assert len(await world.history.refusals("ten-1", RefusalFilter(), None, 9, with_strangers=False)) == 1

    while await world.history.forget(at(3)):
        pass

    assert await world.history.refusals("ten-1", RefusalFilter(), None, 9, with_strangers=False) == []
