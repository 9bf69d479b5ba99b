"""Files that devices may fetch: which, and who may. The core serves them block by block and asks nobody.

What may be fetched is not told to the gateway but looked up: it follows from the updates that are under way, so a restart
and a lost message change nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeAlias

from shoal.errors import Unavailable
from shoal.lwm2m.dataplane import DataPlane
from shoal.storage.poke import Poke

log = logging.getLogger(__name__)

# The core serves files below this path only, and knows them by the rest of it.
ROOT: Final = "/fw/"
# The net under a lost poke.
LOOK_EVERY: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class DeviceFile:
    """A file that one device may fetch now."""

    path: str
    etag: bytes
    file: Path
    device: str


# All files that devices may be fetching now. Raises Unavailable.
Fetching: TypeAlias = Callable[[], Awaitable[Sequence[DeviceFile]]]


@dataclass(frozen=True, slots=True)
class _Shelved:
    etag: bytes
    file: Path
    devices: frozenset[str]


class Shelf:
    """What lies there for whom, kept in step with what is being fetched."""

    def __init__(self, core: DataPlane, fetching: Fetching) -> None:
        self._core = core
        self._fetching = fetching
        self._shelved: dict[str, _Shelved] = {}
        self._following = asyncio.Lock()
        self.poke: Final = Poke()
        # Files that the core could not take, and why; each is logged once.
        self.refused: dict[str, str] = {}

    async def follow(self) -> None:
        """Takes over what may be fetched now.

        Raises:
            Unavailable: the database is away; what lies there goes on to be served.
        """
        async with self._following:
            wanted: dict[str, _Shelved] = {}
            for one in await self._fetching():
                before = wanted.get(one.path)
                devices = before.devices if before else frozenset()
                wanted[one.path] = _Shelved(one.etag, one.file, devices | {one.device})
            for path in self._shelved.keys() - wanted.keys():
                self._core.remove_file(path.removeprefix(ROOT))
                del self._shelved[path]
            for path in self.refused.keys() - wanted.keys():
                del self.refused[path]
            for path, shelved in wanted.items():
                if self._shelved.get(path) != shelved:
                    self._put(path, shelved)

    async def run(self) -> None:
        """Follows until it is cancelled."""
        while True:
            try:
                await self.follow()
            except Unavailable as error:
                log.warning("shelf.waits", extra={"neighbour": error.neighbour, "reason": error.reason})
            await self.poke.wait(LOOK_EVERY)

    def _put(self, path: str, shelved: _Shelved) -> None:
        try:
            self._core.put_file(path.removeprefix(ROOT), shelved.file, shelved.etag, sorted(shelved.devices))
        except (OSError, ValueError) as error:
            # Its updates end by their deadlines; the others must go on.
            if self.refused.get(path) != str(error):
                log.error("shelf.refused", extra={"path": path, "reason": str(error)})
            self.refused[path] = str(error)
            return
        self._shelved[path] = shelved
        self.refused.pop(path, None)
