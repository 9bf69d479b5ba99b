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
from shoal.events.topics import DEVICE
from shoal.history import store as store_module
from shoal.history import worker as worker_module
from shoal.history.store import History
from shoal.history.worker import STRANGERS_PER_BATCH_MAX, HistoryHandler, forget_now_and_then
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


async def test_a_flood_of_strangers_is_told_by_a_few_of_them(world: World) -> None:
    flood = [
        SecurityEvent(id=f"s-{number}", time=NOON, endpoint="same", reason="unknown_identity", identity=f"i-{number}")
        for number in range(3 * STRANGERS_PER_BATCH_MAX)
    ]

    await world.log.append(DEVICE, [Entry("same", encode(event)) for event in flood])
    await world.worker.drain()

    told = await world.history.timeline_of_tenant("ten-1", ["security"], None, 200, with_strangers=True)
    assert len(told) == STRANGERS_PER_BATCH_MAX
    assert await world.history.timeline_of_tenant("ten-1", ["security"], None, 200) == []


async def test_of_strangers_only_the_newest_lines_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "STRANGERS_LINES_MAX", 2)
    for minute in range(4):
        await world.hear(SecurityEvent(id=f"s-{minute}", time=at(60 * minute), reason="unknown_identity"))

    while await world.history.forget(NOON):
        pass

    told = await world.history.timeline_of_tenant("ten-1", ["security"], None, 200, with_strangers=True)
    assert [line.id for _, line in told] == ["s-3", "s-2"]
