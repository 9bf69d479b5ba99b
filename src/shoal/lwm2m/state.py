"""What a device must not forget when it is started again: what servers wrote, made, deleted and set, and unsent readings.

One JSON file, replaced as a whole: it is written beside the old one, brought to the disk, and then takes its name. So
there is always either the old state or the new one, whenever the power goes.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Final

import msgspec

from shoal.errors import Rejected

FORMAT: Final = 1
# Readings are written down together: a flash memory does not live for ever. What a server said is written at once.
READINGS_EVERY_S: Final = 5.0


@dataclass
class Begun:
    """What came of a file whose fetch broke off. Give it to the next fetch, which goes on there and keeps it up to date.

    It means something only together with its ETag: of another file it is thrown away.
    """

    data: bytes = b""
    etag: bytes | None = None


class State(msgspec.Struct, kw_only=True):
    """The content of the file. Values are JSON as the core takes it, by path: `values` are what servers wrote, `own` what
    the owner said since, or wants to be kept. `accounts` are what a bootstrap server wrote: the file then holds keys."""

    format: int = FORMAT
    values: dict[str, str] = {}
    own: dict[str, str] = {}
    attributes: dict[str, str] = {}
    made: list[str] = []
    gone: list[str] = []
    readings: list[tuple[str, str, float]] = []
    accounts: dict[str, str] = {}


def load(file: FilePath) -> State:
    """The state in a file; an empty one when there is no file.

    Raises:
        Rejected: it is damaged, or of a newer program, or in a folder that is not there. Whoever wants to begin afresh
            takes the file away.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        if not file.parent.is_dir():
            raise Rejected("state", f"{file} cannot be kept: make its folder first") from error
        return State()
    except OSError as error:
        raise Rejected("state", f"{file} cannot be read: {error.strerror}") from error
    try:
        state = msgspec.json.decode(content, type=State)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected("state", f"{file} is damaged: {error}") from error
    if state.format != FORMAT:
        raise Rejected("state", f"{file} has the format {state.format} of another version of this program")
    return state


def save(file: FilePath, content: bytes) -> None:
    """Replaces the file, so that a power cut leaves the old content or the new, and never half of it."""
    beside = file.with_name(f".{file.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as new:
        new.write(content)
        new.flush()
        os.fsync(new.fileno())
    beside.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Keeper:
    """Writes a state down after it changed: in a thread, one write after another. `snapshot` says what is to be kept."""

    def __init__(self, file: FilePath, snapshot: Callable[[], State]) -> None:
        self._file = file
        self._snapshot = snapshot
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._hurry = asyncio.Event()

    def note(self, *, soon: bool) -> None:
        """Something changed. `soon`: it is to be on the disk in a moment, and not only with what comes after it."""
        self._changed.set()
        if soon:
            self._hurry.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._keep())

    async def _keep(self) -> None:
        while self._changed.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), READINGS_EVERY_S)
            self._changed.clear()
            self._hurry.clear()
            try:
                await asyncio.to_thread(save, self._file, msgspec.json.encode(self._snapshot()))
            except OSError as error:
                # The next change tries again; a device goes on without a disk.
                context = {"message": f"{self._file} cannot be written", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)

    async def close(self) -> None:
        """Writes all of it, now.

        Raises:
            OSError: it cannot be written.
        """
        self._hurry.set()
        if self._task is not None:
            await self._task
        await asyncio.to_thread(save, self._file, msgspec.json.encode(self._snapshot()))
