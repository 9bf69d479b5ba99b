"""Wakes whoever waits for something new in a table (`Database.on`). A lost poke loses nothing: rows stay."""

import asyncio
import contextlib
from datetime import timedelta


class Poke:
    """Anybody may call it, one waits for it. Pokes that nobody waited for are remembered as one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def __call__(self) -> None:
        self._event.set()

    async def wait(self, at_most: timedelta) -> bool:
        """True once it was poked since the last wait, False when the time passed without."""
        # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the poke, and the waiter lives on.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most.total_seconds()):
                await self._event.wait()
        was_poked = self._event.is_set()
        self._event.clear()
        return was_poked
