"""Published events reach the log in order, each at least once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shoal.errors import Unavailable
from shoal.events.condition import StatusChanged
from shoal.events.device import DeviceRemoved
from shoal.events.envelope import Event
from shoal.events.topics import CONDITION, DEVICE, Topic
from shoal.storage.database import Database
from shoal.stream import relay as relay_module
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.log import Entry
from shoal.stream.relay import Relay
from tests.harness.databases import fresh_database

NOW = datetime(2026, 11, 1, tzinfo=UTC)


class FlakyLog(EmbeddedLog):
    """Writes down what comes, and fails when told to."""

    fails = 0
    came: list[tuple[str, int]]
    failed: asyncio.Event

    async def append(self, topic: Topic, entries: Sequence[Entry]) -> None:
        if self.fails:
            self.fails -= 1
            self.failed.set()
            raise Unavailable("log", "away")
        await super().append(topic, entries)
        self.came.append((topic.name, len(entries)))


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    opened = await fresh_database()
    yield opened
    await opened.close()


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[FlakyLog]:
    opened = FlakyLog(tmp_path, partitions=1)
    opened.came = []
    opened.failed = asyncio.Event()
    await opened.start()
    yield opened
    await opened.close()


def removed(name: str) -> DeviceRemoved:
    return DeviceRemoved(id=name, time=NOW, device="dev-1", tenant="ten-1")


def status(name: str) -> StatusChanged:
    return StatusChanged(
        id=name, time=NOW, tenant="ten-1", device="dev-1", farm=None, status="silent", was="new", cause=None
    )


async def publish(database: Database, *events: Event) -> None:
    async with database.transaction() as tx:
        for event in events:
            tx.publish(event)


async def count(log: EmbeddedLog, topic: Topic) -> int:
    return (await log.bounds(topic, 0))[1]


async def test_events_travel_in_order_and_leave_the_outbox(database: Database, log: FlakyLog) -> None:
    await publish(database, removed("a"), removed("b"), status("c"), removed("d"))
    relay = Relay(database, log)

    assert await relay.carry() == 4

    assert log.came == [(DEVICE.name, 2), (CONDITION.name, 1), (DEVICE.name, 1)]
    part = await log.read(DEVICE, 0, 0, limit=10, wait=timedelta())
    assert [record.value[:30].decode().split('"id":')[1][:3] for record in part.records] == ['"a"', '"b"', '"d"']
    assert await database.outbox_waiting() == 0
    assert await relay.carry() == 0


async def test_a_log_that_is_away_loses_nothing(database: Database, log: FlakyLog) -> None:
    await publish(database, removed("a"))
    log.fails = 1
    relay = Relay(database, log)

    with pytest.raises(Unavailable):
        await relay.carry()

    assert await database.outbox_waiting() == 1
    assert await relay.carry() == 1


async def test_a_crash_after_the_append_repeats_and_loses_nothing(
    database: Database, log: FlakyLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(database, removed("a"))

    async def crash(_last: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(database, "outbox_carried", crash)
        with pytest.raises(KeyboardInterrupt):
            await Relay(database, log).carry()
    await Relay(database, log).carry()

    assert await count(log, DEVICE) == 2
    assert await database.outbox_waiting() == 0


async def test_it_runs_by_itself_and_gets_over_an_outage(
    database: Database, log: FlakyLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "BACK_OFF", timedelta())
    # It must be poked by the database, not wake up by chance.
    monkeypatch.setattr(relay_module, "LOOK_EVERY", timedelta(hours=1))
    relay = Relay(database, log)
    running = asyncio.create_task(relay.run())
    log.fails = 2
    await publish(database, removed("a"))
    await log.read(DEVICE, 0, 0, limit=1, wait=timedelta(seconds=30))
    await publish(database, removed("b"))
    part = await log.read(DEVICE, 0, 1, limit=1, wait=timedelta(seconds=30))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert len(part.records) == 1
    assert relay.failure is None


async def test_a_failure_is_there_to_be_shown(
    database: Database, log: FlakyLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "BACK_OFF", timedelta(hours=1))
    log.fails = 1
    await publish(database, removed("a"))
    relay = Relay(database, log)
    running = asyncio.create_task(relay.run())
    await log.failed.wait()
    while relay.failure is None:  # noqa: ASYNC110  # nothing tells
        await asyncio.sleep(0.001)
    running.cancel()

    assert relay.failure is not None
    assert relay.failure.reason == "away"
