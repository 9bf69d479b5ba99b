"""Backups: taken while Shoal writes, put back whole or not at all."""

import io
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import func, select

from shoal.access.policy import Role
from shoal.app import first_start
from shoal.app.backup import backup, migrate, restore
from shoal.clock import FakeClock
from shoal.errors import Rejected, Unavailable
from shoal.events.topics import DEVICE
from shoal.identity.store import Identity
from shoal.identity.tables import users
from shoal.inventory.store import Inventory
from shoal.settings import Settings
from shoal.storage import pg_tools
from shoal.storage.archive import MANIFEST, Manifest, manifest_of, unpack
from shoal.storage.database import Database
from shoal.storage.folder import DataFolder, database_url
from shoal.storage.master_key import MASTER_KEY, MasterKey
from shoal.storage.migrate import revisions
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.log import Entry
from tests.harness.postgres import Postgres, is_installed

DIGEST = "0123456789abcdef" * 4


async def write(database: Database, name: str) -> None:
    clock = FakeClock()
    tenant = await first_start.any_tenant(database, Inventory(database, clock))
    await Identity(database, clock).create_user(
        tenant.id, email=f"{name}@shoal.example", name=name, role=Role.VIEWER, password="long enough"
    )


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "shoal.lock")


async def people(folder: Path) -> int:
    database = await Database.open(database_url(folder))
    try:
        async with database.reading() as connection:
            return int(await connection.scalar(select(func.count()).select_from(users)) or 0)
    finally:
        await database.close()


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A data folder with a person, an event, an artifact and a key."""
    folder = tmp_path / "data"
    folder.mkdir()
    database = await Database.open(database_url(folder))
    await write(database, "ada")
    await database.close()
    log = EmbeddedLog(folder, partitions=1)
    await log.start()
    await log.append(DEVICE, [Entry("dev-1", b"{}")])
    await log.close()
    MasterKey(folder).create()
    (folder / "artifacts").mkdir()
    (folder / "artifacts" / DIGEST).write_bytes(b"firmware")
    (folder / "artifacts" / "incoming-abc").write_bytes(b"half a file")
    return folder


async def test_a_backup_brings_everything_back_but_the_key(data: Path, tmp_path: Path) -> None:
    file, target = tmp_path / "backup", tmp_path / "elsewhere"

    made = await backup(Settings(data=data), file)
    kept = await restore(Settings(data=target), file)

    assert made.manifest == kept.manifest
    assert not kept.has_key
    assert kept.missing_keys == set(MasterKey(data).ids())
    assert listed(target) == ["artifacts", "log.db", "shoal.db"]
    assert listed(target / "artifacts") == [DIGEST]
    assert await people(target) == 1
    log = EmbeddedLog(target, partitions=1)
    await log.start()
    assert (await log.bounds(DEVICE, 0))[1] == 1
    await log.close()


async def test_the_key_goes_along_only_when_it_is_asked_for(data: Path, tmp_path: Path) -> None:
    kept = await backup(Settings(data=data), tmp_path / "backup", with_key=True)
    await restore(Settings(data=tmp_path / "elsewhere"), tmp_path / "backup")

    assert kept.has_key
    assert (tmp_path / "elsewhere" / MASTER_KEY).read_bytes() == (data / MASTER_KEY).read_bytes()


async def test_a_backup_of_a_running_shoal_is_one_state_of_it(data: Path, tmp_path: Path) -> None:
    folder = DataFolder.open(data)
    database = await Database.open(folder.database_url)
    await write(database, "before")

    async with database.transaction():
        await backup(Settings(data=data), tmp_path / "backup")
    await write(database, "after")

    await database.close()
    folder.close()
    await restore(Settings(data=tmp_path / "elsewhere"), tmp_path / "backup")
    assert await people(tmp_path / "elsewhere") == 2


async def test_a_running_shoal_is_not_restored_over(data: Path, tmp_path: Path) -> None:
    await backup(Settings(data=data), tmp_path / "backup")
    folder = DataFolder.open(data)

    with pytest.raises(Unavailable, match="in use by process"):
        await restore(Settings(data=data), tmp_path / "backup", force=True)
    with pytest.raises(Unavailable, match="in use by process"):
        await migrate(Settings(data=data))
    folder.close()


async def test_what_is_there_is_replaced_only_with_force(data: Path, tmp_path: Path) -> None:
    await backup(Settings(data=data), tmp_path / "backup")
    database = await Database.open(database_url(data))
    await write(database, "later")
    await database.close()
    (data / "notes.txt").write_text("mine")

    with pytest.raises(Rejected, match="--force"):
        await restore(Settings(data=data), tmp_path / "backup")
    assert await people(data) == 2
    kept = await restore(Settings(data=data), tmp_path / "backup", force=True)

    assert kept.missing_keys == frozenset()
    assert await people(data) == 1
    assert (data / "notes.txt").read_text() == "mine"
    assert MasterKey(data).ids() == kept.manifest.master_keys


async def test_a_key_that_was_put_there_first_is_not_written_over(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    MasterKey(target).create()
    await backup(Settings(data=data), tmp_path / "without")
    await backup(Settings(data=data), tmp_path / "with", with_key=True)

    with pytest.raises(Rejected, match=r"master\.key"):
        await restore(Settings(data=target), tmp_path / "with")
    await restore(Settings(data=target), tmp_path / "without")

    assert (target / MASTER_KEY).read_bytes() != (data / MASTER_KEY).read_bytes()


def changed(file: Path, target: Path, **facts: str) -> Path:
    """The backup with another manifest."""
    folder = target.with_name("unpacked")
    folder.mkdir()
    said = msgspec.structs.replace(unpack(file, folder), **facts)
    with tarfile.open(target, "w:gz") as tar:
        head = msgspec.json.encode(said)
        member = tarfile.TarInfo(MANIFEST)
        member.size = len(head)
        tar.addfile(member, io.BytesIO(head))
        for name in sorted(said.names()):
            tar.add(folder / name, name)
    return target


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"shoal": "99.0.0"}, r"made by Shoal 99\.0\.0"),
        ({"schema": "9999"}, "newer than this Shoal"),
        ({"database": "postgresql"}, "holds a database of postgresql"),
    ],
)
async def test_what_this_shoal_cannot_read_is_refused_before_anything_is_touched(
    data: Path, tmp_path: Path, facts: dict[str, str], reason: str
) -> None:
    await backup(Settings(data=data), tmp_path / "backup")
    newer = changed(tmp_path / "backup", tmp_path / "newer", **facts)

    with pytest.raises(Rejected, match=reason):
        await restore(Settings(data=tmp_path / "elsewhere"), newer)

    assert not (tmp_path / "elsewhere").exists()


async def test_a_damaged_backup_leaves_what_was_there(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    await backup(Settings(data=data), file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 3 // 4])
    before = listed(data)

    with pytest.raises(Rejected, match="damaged"):
        await restore(Settings(data=data), file, force=True)

    assert await people(data) == 1
    assert listed(data) == before


async def test_a_backup_is_never_written_over_and_a_mistyped_folder_is_not_made(data: Path, tmp_path: Path) -> None:
    (tmp_path / "backup").write_text("older")

    with pytest.raises(Rejected, match="is there already"):
        await backup(Settings(data=data), tmp_path / "backup")
    with pytest.raises(Rejected, match="there is no Shoal in"):
        await backup(Settings(data=tmp_path / "absent"), tmp_path / "other")
    with pytest.raises(Rejected, match="there is no Shoal in"):
        await migrate(Settings(data=tmp_path / "absent"))
    with pytest.raises(Unavailable, match="No such file"):
        await backup(Settings(data=data), tmp_path / "none" / "backup")

    assert listed(tmp_path) == ["backup", "data"]


async def test_migrating_tells_where_the_tables_are_then(data: Path) -> None:
    assert await migrate(Settings(data=data)) == max(revisions())


async def test_with_kafka_the_log_is_not_ours_to_keep(data: Path, tmp_path: Path) -> None:
    kept = await backup(Settings(data=data, kafka="127.0.0.1:9092"), tmp_path / "backup")

    assert "log.db" not in kept.manifest.names()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Postgres() as running:
        yield running.url


@pytest.mark.skipif(not is_installed(), reason="there is no PostgreSQL: apt-get install postgresql")
async def test_a_database_of_postgresql_goes_along_as_its_own_dump(data: Path, tmp_path: Path, url: str) -> None:
    pg_tools._asked(url, "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('0001')")
    (data / "shoal.db").unlink()
    settings = Settings(data=data, database=url)

    await backup(settings, tmp_path / "backup")

    said: Manifest = manifest_of(tmp_path / "backup")
    assert (said.database, said.schema) == ("postgresql", "0001")
    assert said.names() == {"database.dump", "log.db", f"artifacts/{DIGEST}"}
    assert said.made_at <= datetime.now(UTC)
    with pytest.raises(Rejected, match="it is not empty"):
        await restore(settings, tmp_path / "backup")
