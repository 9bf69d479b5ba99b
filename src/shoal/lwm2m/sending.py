"""Sends what a journal holds, batch by batch and in order, for as long as it takes (Send, OMA LwM2M Core 1.1 §6.4.6)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeAlias

from shoal.lwm2m.journal import Journal


class Answer(NamedTuple):
    """What a server said to a Send: its code, None when it said nothing; with 5.03 perhaps when to try again."""

    code: str | None
    detail: str = ""
    retry_after_s: int | None = None


# Sends readings (path, JSON, Unix seconds), and says what came of it.
Report: TypeAlias = Callable[[list[tuple[str, bytes, float]]], Awaitable[Answer]]

# How long it waits after a Send that nobody answered or took: doubles from the first to the last of these.
PAUSE_FIRST_S: Final = 1.0
PAUSE_LAST_S: Final = 60.0
# A server that says how long it wants to be left alone is believed up to an hour: then it is asked again.
PAUSE_SAID_MAX_S: Final = 3_600.0


def pause_after(answer: Answer, failures: int) -> float | None:
    """Seconds to wait before the same batch is tried again; None: never, the server will not take it."""
    doubled = min(PAUSE_FIRST_S * float(1 << min(failures, 10)), PAUSE_LAST_S)
    if answer.code is None or answer.code == "4.04":
        return doubled  # the registration is lost, or nobody answered: it comes back by itself
    if answer.code.startswith("5.") or answer.code == "4.29":
        return min(max(answer.retry_after_s or doubled, PAUSE_FIRST_S), PAUSE_SAID_MAX_S)
    return None


class Sending:
    """The one that empties the journal of a device. One batch at a time, so that readings arrive in order."""

    def __init__(
        self, endpoint: str, journal: Journal, registered: asyncio.Event, report: Report, changed: Callable[[], None]
    ) -> None:
        self._endpoint = endpoint
        self._journal = journal
        self._registered = registered
        self._report = report
        self._changed = changed  # called when the journal has become shorter
        self._task: asyncio.Task[None] | None = None
        self.reason = ""  # why the last batch was not taken

    def go_on(self) -> None:
        """There may be something to send."""
        if len(self._journal) and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"readings of {self._endpoint}")

    def stop(self) -> None:
        """The device stops; what is left stays in the journal."""
        if self._task is not None:
            self._task.cancel()

    async def all_sent(self) -> None:
        """Waits until the journal is empty."""
        while len(self._journal):
            self.go_on()
            if self._task is not None:
                await asyncio.wait([self._task])
                if not self._task.cancelled():
                    self._task.result()

    async def _run(self) -> None:
        failures = 0
        while len(self._journal):
            await self._registered.wait()
            batch = self._journal.batch()
            answer = await self._report([(reading.path, reading.value, reading.at) for reading in batch])
            if answer.code is not None and answer.code.startswith("2."):
                self._journal.sent(batch)
                failures, self.reason = 0, ""
                self._changed()
                continue
            self.reason = " ".join(word for word in (answer.code, answer.detail) if word)
            pause = pause_after(answer, failures)
            failures += 1
            if pause is None:
                self._journal.refused(batch)
                self._changed()
            else:
                await asyncio.sleep(pause)
