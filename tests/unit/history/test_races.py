"""Several processes keep one past: the newest value wins in whatever order they write, and one of them forgets."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from shoal.history.readings import Sample
from shoal.history.store import History, mark_forgotten, write_last_values, write_samples
from shoal.storage.database import Database
from tests.harness.databases import fresh_url
from tests.harness.races import needs_two_writers, overtaken

pytestmark = needs_two_writers

NOW: Final = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def written(value: float, at: datetime) -> Callable[[Database], Awaitable[None]]:
    """A reading, as the worker writes it."""
    samples = [Sample("dev-1", "/3303/0/5700", at, value, None, value)]

    async def run(database: Database) -> None:
        async with database.transaction() as tx:
            await write_samples(tx, samples)
            await write_last_values(tx, samples)

    return run


async def test_of_two_values_that_are_written_at_once_the_newer_stays_the_last() -> None:
    url = fresh_url()

    await overtaken(url, written(9.2, NOW), written(8.8, NOW - timedelta(minutes=1)))

    database = await Database.open(url, migrate=False)
    assert [last.value for last in await History(database).last_values("dev-1")] == [9.2]
    chart = await History(database).chart("dev-1", "/3303/0/5700", NOW - timedelta(hours=1), NOW + timedelta(1), 1)
    assert [(point.min, point.max, point.count) for point in chart] == [(8.8, 9.2, 2)]
    await database.close()


async def test_one_process_forgets_at_a_time() -> None:
    url = fresh_url()
    database = await Database.open(url, migrate=False)
    await written(9.2, NOW)(database)
    async with database.transaction() as tx:
        await mark_forgotten(tx, ["dev-1"])

    first, second = await overtaken(
        url, lambda slow: History(slow).forget(NOW), lambda quick: History(quick).forget(NOW)
    )

    assert (first, second) == (1, 0)
    assert await History(database).forget(NOW) == 1
    await database.close()
