"""Whoever watches sees what comes from now on."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shoal.clock import FakeClock
from shoal.events.codec import encode
from shoal.events.device import DeviceRemoved
from shoal.events.topics import ALERT, DEVICE
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.log import Entry
from shoal.stream.tail import Tail

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def log(tmp_path: Path, clock: FakeClock) -> AsyncIterator[EmbeddedLog]:
    opened = EmbeddedLog(tmp_path, partitions=2, clock=clock)
    await opened.start()
    yield opened
    await opened.close()


async def append(log: EmbeddedLog, *names: str) -> None:
    for name in names:
        event = DeviceRemoved(id=name, time=NOW, device=f"dev-{name}", tenant="ten-1")
        await log.append(DEVICE, [Entry(event.key, encode(event))])


async def test_only_what_comes_after_the_beginning_is_seen(log: EmbeddedLog) -> None:
    await append(log, "old")

    async with Tail(log, [DEVICE, ALERT]) as events:
        await append(log, "a", "b", "c")
        seen = {(await anext(events)).id for _ in range(3)}

    assert seen == {"a", "b", "c"}


async def test_what_cannot_be_read_is_left_to_the_workers(log: EmbeddedLog) -> None:
    async with Tail(log, [DEVICE]) as events:
        await log.append(DEVICE, [Entry("dev-a", b"no event")])
        await append(log, "a")
        async for event in events:
            assert event.id == "a"
            break


async def test_leaving_ends_the_reading(log: EmbeddedLog) -> None:
    async with Tail(log, [DEVICE]):
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) > 2

    assert asyncio.all_tasks() - {asyncio.current_task(), log._expiring} == set()


async def test_a_watcher_that_retention_passed_goes_on_with_what_is_there(log: EmbeddedLog, clock: FakeClock) -> None:
    tail = Tail(log, [DEVICE])
    await append(log, "a")
    await append(log, "a")
    clock.advance(DEVICE.retention * 2)
    await log.expire(clock.now())
    for partition in range(2):
        # As if it had stood at the beginning all the time.
        tail._tasks.append(asyncio.create_task(tail._follow(DEVICE, partition, 0)))
    for _ in range(10):
        await asyncio.sleep(0)
    await append(log, "b")

    assert (await asyncio.wait_for(anext(tail), timedelta(seconds=30).total_seconds())).id == "b"
    await tail.__aexit__(None, None, None)
