"""Backups: all that Shoal remembers in one file, taken while it runs, and put back while it does not."""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from shoal import __version__
from shoal.errors import Rejected, Unavailable
from shoal.gateway import node_store
from shoal.gateway import store as gateway_store
from shoal.settings import Settings
from shoal.storage import archive, pg_tools, snapshot
from shoal.storage.archive import Manifest, Part
from shoal.storage.database import Database
from shoal.storage.folder import ARTIFACTS, DATABASE, LOCK, LOG, RESTORED, DataFolder
from shoal.storage.master_key import MASTER_KEY, NEXT, MasterKey
from shoal.storage.migrate import revisions

# What PostgreSQL's dump is called in a backup.
DUMP: Final = "database.dump"


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup that was made or put back: what is in it, how large the file is, which master keys are not here."""

    manifest: Manifest
    bytes: int
    missing_keys: frozenset[str]

    @property
    def has_key(self) -> bool:
        return MASTER_KEY in self.manifest.names()


async def migrate(settings: Settings) -> str:
    """Brings the tables up to date, as each start does; the migration that they are at then.

    Raises:
        Rejected: there is no data folder.
        Unavailable: Shoal runs on it, or the database is away or damaged.
    """
    if settings.postgres is None:
        _existing(settings)
    folder = DataFolder.open(settings.data)
    try:
        database = await Database.open(settings.database_url)
        await database.close()
        return await asyncio.to_thread(_schema, settings)
    finally:
        folder.close()


async def backup(settings: Settings, target: Path, *, with_key: bool = False) -> Kept:
    """Writes a backup, also while Shoal runs.

    The database is copied before the log, and the log before the artifacts: what the first one tells of is in the next.

    Raises:
        Rejected: there is nothing to keep, or a file of that name is there.
        Unavailable: something cannot be read or written.
    """
    return await asyncio.to_thread(_backup, settings, target, with_key)


def _backup(settings: Settings, target: Path, with_key: bool) -> Kept:
    _existing(settings)
    if target.exists():
        raise Rejected("file", f"{target} is there already")
    try:
        scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=".shoal-backup-"))
    except OSError as error:
        raise Unavailable("backup", f"{target.parent}: {error.strerror}", "Name a folder that you may write") from error
    try:
        found: list[tuple[str, Path]] = []
        if settings.postgres is None:
            schema = _copied(settings.data / DATABASE, scratch, found)
        else:
            schema = pg_tools.schema(settings.postgres)
            pg_tools.dump(settings.postgres, scratch / DUMP)
            found.append((DUMP, scratch / DUMP))
        if settings.kafka is None and (settings.data / LOG).exists():
            _copied(settings.data / LOG, scratch, found)
        # An upload that is still coming in has no digest for a name.
        found.extend(
            (f"{ARTIFACTS}/{path.name}", path) for path in sorted((settings.data / ARTIFACTS).glob("[0-9a-f]" * 64))
        )
        key = MasterKey(settings.data, settings.master_key)
        if with_key:
            if not key.read():
                raise Rejected("with-key", f"there is no {key.path}")
            found.extend((name, path) for name, path in ((MASTER_KEY, key.path), (NEXT, key.next)) if path.exists())
        files = [(archive.part(name, path), path) for name, path in found]
        manifest = _manifest(settings, schema, [part for part, _ in files])
        archive.pack(target, manifest, files)
    finally:
        shutil.rmtree(scratch)
    return _kept(settings, manifest, target)


def _kept(settings: Settings, manifest: Manifest, file: Path) -> Kept:
    here = MasterKey(settings.data, settings.master_key).ids()
    return Kept(manifest, file.stat().st_size, frozenset(manifest.master_keys) - set(here))


def _copied(source: Path, scratch: Path, found: list[tuple[str, Path]]) -> str:
    copy = scratch / source.name
    snapshot.take(source, copy)
    found.append((source.name, copy))
    return snapshot.schema(copy)


def _manifest(settings: Settings, schema: str, parts: list[Part]) -> Manifest:
    return Manifest(
        shoal=__version__,
        schema=schema,
        database="sqlite" if settings.postgres is None else "postgresql",
        made_at=datetime.now(UTC),
        master_keys=MasterKey(settings.data, settings.master_key).ids(),
        parts=parts,
    )


async def restore(settings: Settings, source: Path, *, force: bool = False) -> Kept:
    """Puts a backup into the data folder, in place of what is there when that is asked for with `force`.

    All of it is unpacked beside, compared with its checksums, opened and brought up to date first: what was there before
    stays untouched until then.

    Raises:
        Rejected: no whole backup, of a newer Shoal or for another kind of database; or the folder is not empty.
        Unavailable: Shoal runs on the folder, or something cannot be read or written.
    """
    manifest = await asyncio.to_thread(archive.manifest_of, source)
    _check_versions(settings, manifest)
    folder = DataFolder.open(settings.data)
    try:
        await asyncio.to_thread(_check_room, settings, manifest, force)
        fresh = folder.path / f"{RESTORED}.part"
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        try:
            await asyncio.to_thread(archive.unpack, source, fresh)
            await _prove(settings, fresh)
            fresh.replace(folder.path / RESTORED)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        folder.finish_restore()
    finally:
        folder.close()
    return _kept(settings, manifest, source)


def _check_versions(settings: Settings, manifest: Manifest) -> None:
    if _numbers(manifest.shoal) > _numbers(__version__):
        raise Rejected("file", f"made by Shoal {manifest.shoal}, this one is {__version__}: restore it with that one")
    if manifest.schema not in revisions():
        raise Rejected("file", f"its tables ({manifest.schema}) are newer than this Shoal knows them")
    ours = "sqlite" if settings.postgres is None else "postgresql"
    if manifest.database != ours:
        raise Rejected("file", f"holds a database of {manifest.database}, and this Shoal is set to {ours}")


def _check_room(settings: Settings, manifest: Manifest, force: bool) -> None:
    """Nothing that is there is written over without a second word."""
    if settings.postgres is not None:
        if connected := pg_tools.others(settings.postgres):
            raise Unavailable("database", f"{connected} others are connected to it", "Stop all of Shoal first")
        if not force and pg_tools.tables(settings.postgres):
            raise Rejected("database", "it is not empty; --force puts the backup in the place of what is there")
    # A master key that was put there before is what the backup needs, unless that brings another one.
    expected = {LOCK} if MASTER_KEY in manifest.names() else {LOCK, MASTER_KEY, NEXT}
    there = sorted(path.name for path in settings.data.iterdir() if path.name not in expected)
    if there and not force:
        raise Rejected(
            "data",
            f"{settings.data} is not empty ({', '.join(there[:3])}); --force puts the backup in the place of what is there",
        )


async def _prove(settings: Settings, fresh: Path) -> None:
    """Opens what was unpacked, which brings its tables up to date."""
    if settings.postgres is None:
        path = fresh / DATABASE
        await asyncio.to_thread(snapshot.check, path)
        database = await Database.open(f"sqlite:///{path.resolve()}")
    else:
        await asyncio.to_thread(pg_tools.restore, settings.postgres, fresh / DUMP)
        (fresh / DUMP).unlink()
        database = await Database.open(settings.postgres)
    try:
        # A session that goes on from where it was then would use its nonces a second time.
        await gateway_store.forget_all(database)
        await node_store.forget_all(database)
    finally:
        await database.close()
    if (fresh / LOG).exists():
        await asyncio.to_thread(snapshot.check, fresh / LOG)


def _existing(settings: Settings) -> None:
    """A typing error in --data must not make a new folder, or back an empty one up."""
    if not settings.data.is_dir() or (settings.postgres is None and not (settings.data / DATABASE).is_file()):
        raise Rejected("data", f"there is no Shoal in {settings.data}; name another --data")


def _schema(settings: Settings) -> str:
    if settings.postgres is None:
        return snapshot.schema(settings.data / DATABASE)
    return pg_tools.schema(settings.postgres)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
