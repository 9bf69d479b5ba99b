"""A backup as one file: a packed tar with a manifest first, which tells the versions and the checksum of every part."""

import contextlib
import hashlib
import io
import os
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Final

import msgspec

from shoal.errors import Rejected, Unavailable

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
# 100,000 artifacts have a manifest of 15 MB; whatever is longer was not written by us.
MANIFEST_BYTES_MAX: Final = 32 << 20
# The quickest level: databases shrink to a third, and firmware does not shrink at any level.
PACKED_LEVEL: Final = 1

_PIECE_BYTES: Final = 1 << 20
# What a backup may bring into a data folder. A name of another kind would lead out of it.
_NAMES: Final = re.compile(r"shoal\.db|database\.dump|log\.db|master\.key(?:\.next)?|artifacts/[0-9a-f]{64}")


class Part(msgspec.Struct, frozen=True):
    """One file of a backup, under its name in the data folder."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is: who made it and when, which tables it has, which master key its secrets need.

    `database` is `sqlite` or `postgresql`, `schema` the migration that the tables were at, `master_keys` the ids of those
    that open its secrets.
    """

    format: int = FORMAT
    shoal: str
    schema: str
    database: str
    made_at: datetime
    master_keys: list[str]
    parts: list[Part]

    def names(self) -> set[str]:
        """The names of all parts."""
        return {part.name for part in self.parts}


def part(name: str, path: Path) -> Part:
    """What the manifest says of a file. Reads all of it."""
    with path.open("rb") as file:
        return Part(name=name, size=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def pack(target: Path, manifest: Manifest, files: Sequence[tuple[Part, Path]]) -> None:
    """Writes the backup, readable by its owner alone: whole under its name, or not at all.

    Raises:
        Rejected: there is a file of that name; a backup is never written over.
        Unavailable: it cannot be written, or a part changed meanwhile.
    """
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with _translated(target):
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                with tarfile.open(fileobj=file, mode="w:gz", compresslevel=PACKED_LEVEL) as tar:
                    head = msgspec.json.format(msgspec.json.encode(manifest))
                    _add(tar, MANIFEST, len(head), io.BytesIO(head), manifest.made_at)
                    for said, path in files:
                        with path.open("rb") as source:
                            _add(tar, said.name, said.size, source, manifest.made_at)
                os.fsync(file.fileno())
            os.link(beside, target)
    except FileExistsError as error:
        raise Rejected("file", f"{target} is there already") from error
    finally:
        beside.unlink(missing_ok=True)


def manifest_of(source: Path) -> Manifest:
    """The manifest of a backup.

    Raises:
        Rejected: not a backup of ours, damaged, or of a newer format.
        Unavailable: it cannot be read.
    """
    with _translated(source), _opened(source) as tar:
        return _manifest(tar, source)


def unpack(source: Path, folder: Path) -> Manifest:
    """Writes all parts into an empty folder, each compared with its checksum; the manifest.

    Raises:
        Rejected: not a backup of ours, damaged, or of a newer format.
        Unavailable: it cannot be read, or the folder cannot be written.
    """
    with _translated(source), _opened(source) as tar:
        manifest = _manifest(tar, source)
        said = {part.name: part for part in manifest.parts}
        (folder / "artifacts").mkdir()
        while (member := tar.next()) is not None:
            expected = said.pop(member.name, None)
            if expected is None or not member.isfile() or member.size != expected.size:
                raise _damaged(source, f"{member.name!r} is not what the manifest says")
            piece = tar.extractfile(member)
            assert piece is not None  # noqa: S101  # a file has content
            with piece:
                _write(folder / expected.name, piece, expected, source)
        if said:
            raise _damaged(source, f"{min(said)} is missing")
        (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return manifest


def _add(tar: tarfile.TarFile, name: str, size: int, content: IO[bytes], made_at: datetime) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(made_at.timestamp())
    tar.addfile(member, content)


def _manifest(tar: tarfile.TarFile, source: Path) -> Manifest:
    member = tar.next()
    if member is None or member.name != MANIFEST or not member.isfile() or member.size > MANIFEST_BYTES_MAX:
        raise Rejected("file", f"{source} is no backup of Shoal")
    piece = tar.extractfile(member)
    assert piece is not None  # noqa: S101  # a file has content
    raw = piece.read()
    try:
        if msgspec.json.decode(raw, type=_Format).format > FORMAT:
            raise Rejected("file", f"{source} was made by a newer Shoal: restore it with that one")
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(source, "its manifest cannot be read") from error
    strange = next((one.name for one in manifest.parts if not _NAMES.fullmatch(one.name)), None)
    if strange is not None:
        raise _damaged(source, f"{strange!r} has no place in a data folder")
    return manifest


class _Format(msgspec.Struct):
    format: int


def _write(target: Path, content: IO[bytes], expected: Part, source: Path) -> None:
    digest = hashlib.sha256()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while piece := content.read(_PIECE_BYTES):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != expected.sha256:
        raise _damaged(source, f"{expected.name} does not have its checksum")


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(source, mode="r:gz") as tar:
            yield tar
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise _damaged(source, str(error) or "it ends too early") from error


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    # zlib and gzip tell damage by errors of their own; the others are the disk's.
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno is None:
            raise _damaged(path, str(error)) from error
        reason = f"{error.filename or path}: {error.strerror}"
        raise Unavailable("backup", reason, "Look at the folder, its rights and the room on its disk") from error


def _damaged(source: Path, reason: str) -> Rejected:
    return Rejected("file", f"{source} is damaged: {reason}; nothing was restored")
