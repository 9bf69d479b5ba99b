"""The file with the master key: made at the first start, named by a setting, or replaced by a new one.

A new key waits as `master.key.next` in the data folder until no secret is left under the old one. From the moment that
it is there both open secrets, and only the new one makes them: whatever interrupts the change, everything stays readable.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from shoal.errors import Unavailable
from shoal.storage.secrets import KEY_BYTES, key_id

MASTER_KEY: Final = "master.key"
NEXT: Final = "master.key.next"

_OTHERS_READ: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


class MasterKey:
    """The master key of a data folder; `file` is where it is when it was named by a setting."""

    def __init__(self, folder: Path, file: Path | None = None) -> None:
        self.path = file or folder / MASTER_KEY
        self.next = folder / NEXT
        self._is_named = file is not None

    def read(self) -> list[bytes]:
        """The key that makes secrets, and the one before while it is being replaced. Empty when there is none yet.

        Raises:
            Unavailable: a key cannot be read, is not a key, or others may read it; a named file is not there.
        """
        keys = [self._read(path) for path in (self.next, self.path) if path.exists() or path == self._required()]
        if len(keys) == 2 and keys[0] == keys[1]:
            # Whoever keeps the key elsewhere has put the new one there: it is the only one now.
            self.next.unlink()
            return keys[:1]
        return keys

    def create(self) -> bytes:
        """Makes the key of a new data folder; what another process made meanwhile holds.

        Raises:
            Unavailable: the folder cannot be written.
        """
        return self._create(self.path)

    def begin(self) -> bytes:
        """The key that is to take the place of this one; the same again after an interruption. Raises Unavailable."""
        return self._create(self.next)

    def finish(self) -> bool:
        """No secret needs the old key any more: the new one takes its place. False when that is for others to do.

        Raises:
            Unavailable: the folder cannot be written.
        """
        if self._is_named:
            return False
        try:
            self.next.replace(self.path)
            _sync(self.path.parent)
        except OSError as error:
            raise Unavailable("master key", f"{self.path}: {error.strerror}", "Run it again") from error
        return True

    def ids(self) -> list[str]:
        """Which keys there are, without a word about what is wrong with them."""
        found = [path.read_bytes() for path in (self.next, self.path) if path.is_file()]
        return sorted({key_id(key) for key in found})

    def _required(self) -> Path | None:
        """A named file must be there: a new key instead, because a folder was not mounted, would help nobody."""
        return self.path if self._is_named else None

    def _read(self, path: Path) -> bytes:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            key = path.read_bytes()
        except FileNotFoundError as error:
            raise Unavailable("master key", f"there is no {path}", "Mount it, or name another master_key") from error
        except OSError as error:
            raise Unavailable(
                "master key", f"{path}: {error.strerror}", "Give this user the right to read it"
            ) from error
        # Who mounts a secret into a container decides who reads it, and 0444 is usual there. Nobody else may change it.
        if path != self._required() and mode & _OTHERS_READ:
            raise Unavailable("master key", f"other users may read {path}", f"Run: chmod 600 {path}")
        if mode & _OTHERS_WRITE:
            raise Unavailable("master key", f"other users may change {path}", f"Run: chmod go-w {path}")
        if len(key) != KEY_BYTES:
            raise Unavailable("master key", f"{path} holds {len(key)} bytes, not {KEY_BYTES}", "Restore it")
        return key

    def _create(self, path: Path) -> bytes:
        try:
            if not path.exists():
                _write(path)
        except OSError as error:
            raise Unavailable(
                "master key", f"{path}: {error.strerror}", "Give this user the right to write there"
            ) from error
        return self._read(path)


def _write(path: Path) -> None:
    """All of the key or none of it: it is written beside, and then given its name."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(KEY_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(beside, path)
    except FileExistsError:
        pass  # another process was faster: its key holds
    finally:
        beside.unlink()
    # Before a secret is made under it: a power cut must not leave the secret and take the key.
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
