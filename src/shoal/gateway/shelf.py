"""Files that devices may fetch: which, and who may. The core serves them block by block and asks nobody."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from shoal.lwm2m.dataplane import DataPlane

# The core serves files below this path only, and knows them by the rest of it.
ROOT: Final = "/fw/"


@dataclass(frozen=True, slots=True)
class _Shelved:
    etag: bytes
    file: Path
    devices: frozenset[str]


class Shelf:
    """What lies there for whom. A file is taken down when nobody may fetch it any more."""

    def __init__(self, core: DataPlane) -> None:
        self._core = core
        self._shelved: dict[str, _Shelved] = {}

    def serve(self, path: str, etag: bytes, file: Path, device: str) -> None:
        """Lets a device fetch a file; calling it again changes nothing.

        Raises:
            OSError: the file cannot be read.
            ValueError: more files than the core serves at a time.
        """
        before = self._shelved.get(path)
        devices = before.devices if before else frozenset()
        self._put(path, _Shelved(etag, file, devices | {device}))

    def withdraw(self, path: str, device: str) -> None:
        """The device has it, or will not get it."""
        shelved = self._shelved.get(path)
        if shelved is None:
            return
        left = replace(shelved, devices=shelved.devices - {device})
        if left.devices:
            self._put(path, left)
        else:
            del self._shelved[path]
            self._core.remove_file(path.removeprefix(ROOT))

    def _put(self, path: str, shelved: _Shelved) -> None:
        self._core.put_file(path.removeprefix(ROOT), shelved.file, shelved.etag, sorted(shelved.devices))
        self._shelved[path] = shelved
