"""Two transactions at once, on purpose: one has done its work and not kept it yet when the other begins.

Only PostgreSQL lets two write at once; on SQLite the second waits for the first, and there is nothing to see.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

import pytest
from sqlalchemy import text

from shoal.storage.database import Database, Transaction
from tests.harness.databases import SERVER

Result = TypeVar("Result")
Other = TypeVar("Other")

needs_two_writers: Final = pytest.mark.skipif(SERVER is None, reason="SQLite has one writer: nobody meets anybody")

# Longer than anything here takes on a busy machine; then the second neither ends nor waits for a lock.
LOOKS_MAX: Final = 1_000
LOOK_EVERY_S: Final = 0.01


class Unhurried(Database):
    """A database that waits once, with its work done and not kept, until `go` is set. `stands` says that it does."""

    def __init__(self, engine: Any) -> None:
        super().__init__(engine)
        self.stands = asyncio.Event()
        self.go = asyncio.Event()

    async def stand(self) -> None:
        """Waits here. Who never asks for it waits at the end of the first transaction."""
        self.stands.set()
        await self.go.wait()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with super().transaction() as tx:
            yield tx
            await self.stand()


async def overtaken(
    url: str, first: Callable[[Unhurried], Awaitable[Result]], second: Callable[[Database], Awaitable[Other]]
) -> tuple[Result | Exception, Other | Exception]:
    """What both returned or raised: `second` begins when `first` has done the work of its first transaction.

    That is kept when `second` waits for it, or when `second` is over because nothing made it wait.
    """
    slow = await Unhurried.open(url, migrate=False)
    quick = await Database.open(url, migrate=False)
    assert isinstance(slow, Unhurried)
    try:
        async with asyncio.TaskGroup() as tasks:
            one = tasks.create_task(_outcome(first(slow)))
            one.add_done_callback(lambda _: slow.stands.set())
            await slow.stands.wait()
            assert not one.done(), f"ended before its transaction was to be kept: {one.result()!r}"
            other = tasks.create_task(_outcome(second(quick)))
            await _until_it_waits(url, other)
            slow.go.set()
        return one.result(), other.result()
    finally:
        await slow.close()
        await quick.close()


async def _outcome(work: Awaitable[Result]) -> Result | Exception:
    try:
        return await work
    except Exception as error:  # noqa: BLE001  # an outcome like any other
        return error


async def _until_it_waits(url: str, other: "asyncio.Future[Any]") -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    watcher = await Database.open(url, migrate=False)
    try:
        for _ in range(LOOKS_MAX):
            async with watcher.reading() as connection:
                if other.done() or await connection.scalar(waiting):
                    return
            await asyncio.sleep(LOOK_EVERY_S)
    finally:
        await watcher.close()
    raise AssertionError("the second neither ended nor waited for the first")
