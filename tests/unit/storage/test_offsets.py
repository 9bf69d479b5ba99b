"""Of two workers that hold the same partition, one wins."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from shoal.storage import offsets
from shoal.storage.database import Database
from shoal.storage.offsets import Position
from tests.harness.databases import fresh_database

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    opened = await fresh_database()
    yield opened
    await opened.close()


async def test_a_new_group_begins_where_the_log_begins_and_stays_there(database: Database) -> None:
    assert await offsets.position(database, "health", "t", 0, 17) == Position(17, 0, None)
    assert await offsets.position(database, "health", "t", 0, 99) == Position(17, 0, None)


async def test_the_second_of_two_equal_moves_finds_nothing(database: Database) -> None:
    held = await offsets.position(database, "health", "t", 0, 0)

    async with database.transaction() as tx:
        first = await offsets.move(tx, "health", "t", 0, held, 10, NOW)
    async with database.transaction() as tx:
        second = await offsets.move(tx, "health", "t", 0, held, 10, NOW)

    assert first == Position(10, 1, NOW)
    assert second is None
    assert await offsets.position(database, "health", "t", 0, 0) == first


async def test_a_pass_with_timers_only_fences_too(database: Database) -> None:
    held = await offsets.position(database, "health", "t", 0, 0)

    async with database.transaction() as tx:
        assert await offsets.move(tx, "health", "t", 0, held, 0, NOW) is not None
        assert await offsets.move(tx, "health", "t", 0, held, 0, NOW) is None


async def test_groups_and_partitions_do_not_touch_each_other(database: Database) -> None:
    held = await offsets.position(database, "health", "t", 0, 0)
    await offsets.position(database, "health", "t", 1, 0)
    await offsets.position(database, "history", "t", 0, 0)

    async with database.transaction() as tx:
        await offsets.move(tx, "health", "t", 0, held, 5, None)

    assert await offsets.positions(database, "health") == {
        ("t", 0): Position(5, 1, None),
        ("t", 1): Position(0, 0, None),
    }
    assert await offsets.positions(database, "history") == {("t", 0): Position(0, 0, None)}
