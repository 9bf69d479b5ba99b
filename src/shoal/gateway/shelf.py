"""Files that devices may fetch: which, and who may. The core serves them block by block and asks nobody."""

from pathlib import Path
from typing import Final

from shoal.lwm2m.dataplane import DataPlane

# The core serves files below this path only, and knows them by the rest of it.
ROOT: Final = "/fw/"


class Shelf:
    """What lies there for whom. A file is taken down when nobody may fetch it any more."""

    def __init__(self, core: DataPlane) -> None:
        self._core = core
        self._readers: dict[str, set[str]] = {}

    def serve(self, path: str, etag: bytes, file: Path, device: str) -> None:
        """Lets a device fetch a file; calling it again changes nothing.

        Raises:
            OSError: the file cannot be read.
            ValueError: more files than the core serves at a time.
        """
        readers = self._readers.get(path, set()) | {device}
        self._core.put_file(path.removeprefix(ROOT), str(file), etag, sorted(readers))
        self._readers[path] = readers

    def withdraw(self, path: str, device: str) -> None:
        """The device has it, or will not get it."""
        readers = self._readers.get(path)
        if readers is None:
            return
        readers.discard(device)
        if not readers:
            del self._readers[path]
            self._core.remove_file(path.removeprefix(ROOT))
