"""The data folder: everything that Shoal must remember, and the one process, or the several roles, that may touch it."""

import fcntl
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from shoal.errors import Unavailable
from shoal.storage.archive import MANIFEST, Manifest
from shoal.storage.master_key import MASTER_KEY, NEXT

LOCK: Final = "shoal.lock"
DATABASE: Final = "shoal.db"
LOG: Final = "log.db"
ARTIFACTS: Final = "artifacts"
# A backup that was unpacked and found whole: from then on it counts, and what was there before does not.
RESTORED: Final = "restored"
# What we delete, and only where a database of ours says that the folder is ours: it may be somebody's home. The
# databases go last, so that a deletion that was interrupted is taken up by the next one.
OURS: Final = (f"{MASTER_KEY}*", ARTIFACTS, "demo*.json", "web.key", "spool.*", f"{LOG}*", f"{DATABASE}*")


class DataFolder:
    """An open data folder. A second Shoal is refused, because two writers would tear the log apart.

    Roles that are processes of their own share it: what they write there is files that nobody changes.
    The lock is the kernel's: it ends with the process, however that ends. The number in the file is for people.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path, *, is_shared: bool = False) -> "DataFolder":
        """Creates the folder when it is missing, and takes it, alone or together with others that share it.

        Raises:
            Unavailable: in use, or this user may not write there; with what to do about it.
        """
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(
                "data folder",
                f"{path}: {error.strerror}",
                "Give the user that runs Shoal the right to write there, or name another folder with --data",
            ) from error
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise Unavailable(
                "data folder",
                f"{path} is in use by process {holder}",
                "Stop that one first, or name another folder with --data",
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise Unavailable(
                "data folder", f"{path}: {error.strerror}", "Use a folder on a local disk, which can be locked"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        folder = cls(path, descriptor)
        if not is_shared:
            folder.finish_restore()
        return folder

    @property
    def database_url(self) -> str:
        """Where the database is."""
        return database_url(self.path)

    def forget(self) -> None:
        """Deletes what Shoal made in the folder, and nothing else."""
        if any(self.path.glob(f"{DATABASE}*")):
            _delete(found for pattern in OURS for found in self.path.glob(pattern))

    def finish_restore(self) -> None:
        """Puts an unpacked backup into its place; the old master key stays where the backup has none.

        Each step may be done again: whoever takes the folder next goes on where a power cut ended this.
        """
        restored = self.path / RESTORED
        if not restored.exists():
            return
        if (restored / MANIFEST).exists():
            manifest = msgspec.json.decode((restored / MANIFEST).read_bytes(), type=Manifest)
            kept = manifest.names() | {ARTIFACTS}
            if MASTER_KEY not in kept:
                kept |= {MASTER_KEY, NEXT}
            found = [found for pattern in OURS for found in self.path.glob(pattern)]
            _delete(path for path in found if path.name not in kept)
            for unpacked in restored.iterdir():
                if unpacked.name != MANIFEST:
                    place = self.path / unpacked.name
                    if place.is_dir():
                        shutil.rmtree(place)
                    unpacked.replace(place)
            (restored / MANIFEST).unlink()
        restored.rmdir()

    def close(self) -> None:
        """Lets the next process in. The file stays: removing it would let two in at once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def database_url(folder: Path) -> str:
    """Where the database of a data folder is."""
    return f"sqlite:///{folder.resolve() / DATABASE}"


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
