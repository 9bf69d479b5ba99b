"""Keys that are shown once, written into a file that a label printer can take: CSV, a row a device, with its code."""

import contextlib
import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from shoal.app.desk import open_new
from shoal.errors import Unavailable
from shoal.onboarding.adding import Added
from shoal.onboarding.label import code_text

COLUMNS: Final = ("id", "endpoint", "name", "enclosure", "place", "identity", "key", "code")


class KeyFile:
    """A file that is not there yet, and can be read by its owner only; made with the first key.

    A key is in it before it counts. One whose device did not come to be after all opens nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def keep(self, added: Sequence[Added]) -> None:
        """Writes the keys that were made here, down to the disk.

        Raises:
            Rejected: the file is there, or cannot be made. Unavailable: the disk is full; nothing of these is in it.
        """
        rows = [key_row(one) for one in added if one.key is not None]
        if not rows or self._path is None:
            return
        if self._file is None:
            self._file = os.fdopen(open_new(self._path, is_secret=True), "wb", buffering=0)
            rows.insert(0, COLUMNS)
        before = self._file.tell()
        try:
            _write(self._file, csv_of(rows))
            os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(before)
            if not before:
                self._path.unlink(missing_ok=True)
            raise Unavailable(str(self._path), error.strerror or "cannot be written", "Make room first") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()


def _write(file: BinaryIO, content: bytes) -> None:
    """All of it: a file without a buffer takes as much as there is room for."""
    while content:
        content = content[file.write(content) :]


def key_row(added: Added) -> tuple[str, ...]:
    """A device and the key that was made for it; in the order of the columns."""
    device, identity, key = added.device, added.new.credential.identity if added.new else "", added.key or ""
    place = ", ".join(name for name in (device.enclosure_name, device.farm_name) if name)
    code = code_text(device.endpoint, identity, key, device.enclosure)
    return (device.id, device.endpoint, device.name, device.enclosure or "", place, identity, key, code)


def csv_of(rows: Sequence[Sequence[str]]) -> bytes:
    """Rows as CSV (RFC 4180)."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
