"""The bytes of artifacts: files in a folder, each under its digest, so that none is ever changed."""

import asyncio
import contextlib
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from shoal.campaigns.artifact import SIZE_BYTES_MAX
from shoal.errors import Conflict, NotFound, Rejected, Unavailable


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is kept."""

    sha256: str
    size: int


class ArtifactFiles:
    """A folder of artifacts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, chunks: AsyncIterator[bytes]) -> StoredFile:
        """Takes a file in, piece by piece; it appears under its digest when it is whole, or not at all.

        Raises:
            Rejected: empty, or larger than a device can fetch.
            Unavailable: the folder cannot be written.
        """
        digest, size = hashlib.sha256(), 0
        with self._translated():
            path = await asyncio.to_thread(self._new_file)
        try:
            async for chunk in chunks:
                size += len(chunk)
                if size > SIZE_BYTES_MAX:
                    raise Rejected("file", f"larger than {SIZE_BYTES_MAX // 1024**2} MiB")
                digest.update(chunk)
                with self._translated():
                    await asyncio.to_thread(_append, path, chunk)
            if size == 0:
                raise Rejected("file", "empty")
            with self._translated():
                await asyncio.to_thread(_seal, path, self._folder / digest.hexdigest())
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        return StoredFile(sha256=digest.hexdigest(), size=size)

    def path(self, sha256: str) -> Path:
        """Where the file with this digest is.

        Raises:
            NotFound: it is not here.
        """
        path = self._folder / sha256
        if not path.is_file():
            raise NotFound("file", "the bytes of this artifact are not here", sha256=sha256)
        return path

    async def checked(self, sha256: str) -> Path:
        """Where the file with this digest is, after its bytes were compared with it.

        Raises:
            NotFound: it is not here.
            Conflict: it is damaged. To upload it again mends it.
            Unavailable: it cannot be read.
        """
        path = self.path(sha256)
        with self._translated():
            found = await asyncio.to_thread(_digest, path)
        if found != sha256:
            raise Conflict("file", "the bytes of this artifact are damaged: upload it again", sha256=sha256)
        return path

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Only around what we do with the folder: a sender that goes away is no fault of a disk."""
        try:
            yield
        except OSError as error:
            reason = f"{self._folder}: {error.strerror or error}"
            raise Unavailable("artifacts", reason, "Make room, or make the folder writable.") from error

    def _new_file(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix="incoming-", delete=False) as file:
            return Path(file.name)


def _append(path: Path, chunk: bytes) -> None:
    with path.open("ab") as file:
        file.write(chunk)


def _seal(path: Path, target: Path) -> None:
    """The name only after the bytes: a power cut must not leave half a file under the digest of a whole one."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.replace(target)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
