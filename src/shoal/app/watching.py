"""What operators see of a process: whether what it cannot work without is there."""

from collections.abc import Callable

import httpx
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


def is_alive(client: httpx.AsyncClient) -> Probe:
    """Whether another process of ours answers."""

    async def probe() -> str | None:
        try:
            answer = await client.get("/healthz")
        except httpx.TransportError as error:
            return type(error).__name__
        return None if answer.is_success else f"answered {answer.status_code}"

    return probe


def failing(failure: Callable[[], Exception | None]) -> Probe:
    """Whether somebody has noticed a failure that lasts."""

    async def probe() -> str | None:
        found = failure()
        return None if found is None else str(found)

    return probe
