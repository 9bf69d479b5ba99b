"""What operators see of a process: whether what it cannot work without is there."""

from collections.abc import Callable

from sqlalchemy import text

from shoal.api.operations import Probe
from shoal.storage.database import Database


def answers(database: Database) -> Probe:
    """Whether the database answers."""

    async def probe() -> str | None:
        async with database.reading() as connection:
            await connection.execute(text("SELECT 1"))
        return None

    return probe


def failing(failure: Callable[[], Exception | None]) -> Probe:
    """Whether somebody has noticed a failure that lasts."""

    async def probe() -> str | None:
        found = failure()
        return None if found is None else str(found)

    return probe
