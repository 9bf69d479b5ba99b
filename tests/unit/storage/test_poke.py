"""A poke wakes the one that waits; those that nobody waited for are remembered as one."""

import asyncio
from datetime import timedelta

from shoal.storage.poke import Poke

LONG, SHORT = timedelta(seconds=60), timedelta(milliseconds=1)


async def test_a_poke_wakes_the_one_that_waits() -> None:
    poke = Poke()
    waiting = asyncio.create_task(poke.wait(LONG))
    await asyncio.sleep(0)

    poke()

    assert await waiting


async def test_pokes_that_nobody_waited_for_are_one() -> None:
    poke = Poke()
    poke()
    poke()

    assert await poke.wait(LONG)
    assert not await poke.wait(SHORT)


async def test_nobody_waits_for_ever() -> None:
    assert not await Poke().wait(SHORT)
