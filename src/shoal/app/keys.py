"""The master key and what hangs on it: opened at the start, replaced by a new one, given up when it is lost."""

import contextlib
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from shoal.errors import Rejected, Unavailable
from shoal.settings import Settings
from shoal.storage import pg_tools, sealed
from shoal.storage.database import Database
from shoal.storage.folder import DataFolder
from shoal.storage.master_key import MasterKey
from shoal.storage.sealed import Sealed
from shoal.storage.secrets import Vault, key_id


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a new master key changed. `damaged` are those whose secrets nothing could read: they need new ones.

    `left_at` is where the new key is when somebody must put it into its place.
    """

    key_id: str
    secrets: int
    damaged: Collection[str]
    left_at: Path | None


async def open_vault(database: Database, folder: Path, file: Path | None) -> Vault:
    """The vault over this database; its key is made where nothing needs an older one.

    Raises:
        Unavailable: the key is not there, or not the right one; says what cannot be read, and what to do.
    """
    key = MasterKey(folder, file)
    keys = key.read()
    vault = Vault(*keys) if keys else None
    lost = await sealed.unreadable(database, vault)
    if lost:
        is_there = f"{key.path} is another key ({key_id(keys[0])})" if keys else f"{key.path} is missing"
        wanted = ", ".join(sorted({one for kind in lost for one in kind.key_ids}))
        raise Unavailable(
            "master key",
            f"{is_there}, and without {wanted} nobody can read {_listed(lost)}",
            f"Put that key back as {key.path}; if it is lost for good: shoal key forget",
        )
    return vault or Vault(key.create())


async def rotate(settings: Settings) -> Rotated:
    """Makes a new master key and puts all secrets under it. What was interrupted goes on where it was.

    Raises:
        Unavailable: Shoal runs; or the old key is not there.
    """
    async with _stopped(settings) as (folder, database):
        await open_vault(database, folder.path, settings.master_key)
        key = MasterKey(folder.path, settings.master_key)
        new = key.begin()
        total, damaged = await sealed.reencrypt(database, Vault(*key.read()))
        is_in_place = key.finish()
        return Rotated(key_id(new), total, damaged, None if is_in_place else key.next)


async def unreadable(settings: Settings) -> list[Sealed]:
    """What `forget` would drop. Raises Unavailable: Shoal runs."""
    async with _stopped(settings) as (folder, database):
        return await sealed.unreadable(database, _vault(settings, folder))


async def forget(settings: Settings, word: str) -> list[Sealed]:
    """Drops what the master key does not open: devices and channels need new secrets. What was dropped.

    Raises:
        Rejected: `word` is not that of `confirmation`.
        Unavailable: Shoal runs.
    """
    async with _stopped(settings) as (folder, database):
        vault = _vault(settings, folder)
        lost = await sealed.unreadable(database, vault)
        if word != confirmation(lost):
            raise Rejected("word", f"it is {confirmation(lost)!r} now; look at what would be dropped first")
        await sealed.give_up(database, vault)
        return lost


def confirmation(lost: Sequence[Sealed]) -> str:
    """The word that says that somebody has read how much would be dropped."""
    return f"forget-{sum(len(kind.contexts) for kind in lost)}"


def _listed(lost: Sequence[Sealed]) -> str:
    return ", ".join(str(kind) for kind in lost)


def _vault(settings: Settings, folder: DataFolder) -> Vault | None:
    keys = MasterKey(folder.path, settings.master_key).read()
    return Vault(*keys) if keys else None


@contextlib.asynccontextmanager
async def _stopped(settings: Settings) -> AsyncIterator[tuple[DataFolder, Database]]:
    """The folder and the database of a Shoal that does not run: it would go on with keys that it has in memory."""
    if not settings.data.is_dir():
        raise Rejected("data", f"there is no Shoal in {settings.data}; name another --data")
    folder = DataFolder.open(settings.data)
    try:
        if settings.postgres is not None and (connected := pg_tools.others(settings.postgres)):
            raise Unavailable("database", f"{connected} others are connected to it", "Stop all of Shoal first")
        database = await Database.open(settings.database_url)
        try:
            yield folder, database
        finally:
            await database.close()
    finally:
        folder.close()
