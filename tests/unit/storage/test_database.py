"""The database keeps all of a transaction or nothing, and tells of it only afterwards."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, Table, Text, insert, select

from shoal.errors import Rejected, Unavailable
from shoal.events.condition import StatusChanged
from shoal.storage.database import Database, Transaction, before_commit, metadata, upsert
from tests.harness.databases import fresh_database, looks_into_files

things = Table(
    "test_things",
    metadata,
    Column("id", Text, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("color", Text),
)


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    opened = await fresh_database()
    yield opened
    await opened.close()


def event(name: str) -> StatusChanged:
    return StatusChanged(
        id=name,
        time=datetime(2026, 11, 1, tzinfo=UTC),
        tenant="ten-1",
        device="dev-1",
        farm="frm-1",
        status="silent",
        was="healthy",
        cause=None,
    )


async def sizes(database: Database) -> dict[str, int]:
    async with database.reading() as connection:
        return {row.id: row.size for row in await connection.execute(select(things.c.id, things.c.size))}


async def test_a_failed_transaction_leaves_nothing_behind(database: Database) -> None:
    told: list[str] = []

    async def fail(tx: Transaction) -> None:
        await tx.execute(insert(things), {"id": "a", "size": 1})
        tx.publish(event("e-1"))
        tx.after_commit(lambda: told.append("kept"))
        raise KeyError

    database.on("outbox_events", lambda: told.append("outbox"))
    with pytest.raises(KeyError):
        async with database.transaction() as tx:
            await fail(tx)

    assert await sizes(database) == {}
    assert await database.outbox(10) == []
    assert told == []


async def test_a_change_and_its_event_are_kept_together(database: Database) -> None:
    told: list[str] = []
    database.on("outbox_events", lambda: told.append("outbox"))

    async with database.transaction() as tx:
        await tx.execute(insert(things), {"id": "a", "size": 1})
        tx.publish(event("e-1"))
        tx.publish(event("e-2"))
        tx.after_commit(lambda: told.append("kept"))
        assert told == []

    rows = await database.outbox(10)
    assert [(row.topic, row.key) for row in rows] == [("shoal.condition.v1", "frm-1")] * 2
    assert await database.outbox_waiting() == 2
    assert told == ["kept", "outbox"]

    await database.outbox_carried(rows[0].id)

    assert await database.outbox_waiting() == 1


async def test_a_callback_that_fails_does_not_hide_the_others(database: Database) -> None:
    told: list[str] = []

    async with database.transaction() as tx:
        tx.after_commit(lambda: told.remove("never there"))
        tx.after_commit(lambda: told.append("second"))

    assert told == ["second"]


async def test_readers_see_the_state_before_a_transaction_until_it_is_kept(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute(insert(things), {"id": "a", "size": 1})
        assert await sizes(database) == {}

    assert await sizes(database) == {"a": 1}


async def test_writers_that_ask_for_it_wait_for_each_other(database: Database) -> None:
    async def add_one() -> None:
        async with database.transaction() as tx:
            await tx.in_order("things")
            size = await tx.scalar(select(things.c.size).where(things.c.id == "a")) or 0
            await asyncio.sleep(0)
            await upsert(tx, things, [{"id": "a", "size": size + 1}], ["id"])

    await asyncio.gather(*(add_one() for _ in range(20)))

    assert await sizes(database) == {"a": 20}


async def test_upsert_replaces_what_it_is_told_to(database: Database) -> None:
    async with database.transaction() as tx:
        await upsert(
            tx, things, [{"id": "a", "size": 5, "color": "red"}, {"id": "b", "size": 5, "color": "red"}], ["id"]
        )
        await upsert(tx, things, [{"id": "a", "size": 9, "color": "blue"}], ["id"], update=["size"])
        await upsert(tx, things, [{"id": "b", "size": 9, "color": "blue"}], ["id"], update=())
        await upsert(tx, things, [{"id": "c", "size": 1, "color": None}], ["id"])
        await upsert(
            tx,
            things,
            [{"id": "a", "size": 8, "color": "old"}, {"id": "c", "size": 8, "color": "new"}],
            ["id"],
            where=lambda excluded: things.c.size < excluded.size,
        )
        await upsert(tx, things, [], ["id"])
        rows = await tx.rows(select(things).order_by(things.c.id))

    assert [tuple(row) for row in rows] == [("a", 9, "red"), ("b", 5, "red"), ("c", 8, "new")]


async def test_upsert_adds_up_what_it_is_told_to(database: Database) -> None:
    async with database.transaction() as tx:
        for size in (3, 4):
            row = {"id": "a", "size": size, "color": "red" if size == 3 else "blue"}
            await upsert(tx, things, [row], ["id"], update=["color"], added=["size"])
        rows = await tx.rows(select(things))

    assert [tuple(row) for row in rows] == [("a", 7, "blue")]


async def test_upsert_takes_more_rows_than_one_statement(database: Database) -> None:
    async with database.transaction() as tx:
        await upsert(tx, things, [{"id": f"{n:05}", "size": n} for n in range(2_500)], ["id"])

    assert len(await sizes(database)) == 2_500


async def test_changes_tells_whether_anything_was_written(database: Database) -> None:
    async with database.transaction() as tx:
        before = tx.changes
        await tx.rows(select(things))
        assert tx.changes == before
        await tx.execute(insert(things), {"id": "a", "size": 1})
        assert tx.changes > before
        between = tx.changes
        tx.publish(event("e-1"))
        assert tx.changes > between


async def test_a_file_keeps_what_was_committed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shoal.db'}"
    first = await Database.open(url, migrate=False)
    async with first.transaction() as tx:
        await tx.execute(insert(things), {"id": "a", "size": 1})
    await first.close()

    second = await Database.open(url, migrate=False)

    assert await sizes(second) == {"a": 1}
    await second.close()


@looks_into_files
async def test_a_private_database_leaves_no_file(database: Database) -> None:
    other = await fresh_database()
    folder = Path(other.where).parent
    assert folder.exists()

    await other.close()

    assert not folder.exists()


@pytest.mark.parametrize("migrate", [True, False])
async def test_a_damaged_file_is_told_with_its_path_and_what_to_do(tmp_path: Path, migrate: bool) -> None:
    path = tmp_path / "shoal.db"
    path.write_bytes(b"this was a database once" * 1_000)

    with pytest.raises(Unavailable) as caught:
        await Database.open(f"sqlite:///{path}", migrate=migrate)

    assert str(path) in caught.value.reason
    assert "damaged" in caught.value.reason
    assert "backup" in caught.value.remedy
    assert path.exists()


async def test_damage_in_the_middle_is_found_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "shoal.db"
    healthy = await Database.open(f"sqlite:///{path}", migrate=False)
    async with healthy.transaction() as tx:
        await upsert(tx, things, [{"id": f"{n:05}", "size": n} for n in range(5_000)], ["id"])
    await healthy.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 4))

    with pytest.raises(Unavailable, match="damaged"):
        await Database.open(f"sqlite:///{path}", migrate=False)


async def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not a folder"):
        await Database.open(f"sqlite:///{tmp_path}/none/shoal.db")


async def test_another_engine_is_refused() -> None:
    with pytest.raises(Rejected, match="mysql is not supported"):
        await Database.open("mysql://localhost/shoal")


async def test_a_disk_without_space_is_not_a_fault_of_ours(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'shoal.db'}", migrate=False)
    async with database.transaction() as tx:
        # What SQLite does when a file may not grow is what it does when the disk is full.
        await tx.connection.exec_driver_sql("PRAGMA max_page_count = 1")

    with pytest.raises(Unavailable, match="disk is full") as caught:
        async with database.transaction() as tx:
            await upsert(tx, things, [{"id": f"{n:09}", "size": n, "color": "x" * 500} for n in range(900)], ["id"])

    assert caught.value.remedy
    assert await sizes(database) == {}
    await database.close()


async def test_what_is_kept_with_a_change_is_kept_with_it_or_undoes_it(database: Database) -> None:
    """Who asked for a change, say: no change without that."""
    seen: list[Transaction] = []

    async def kept_with(tx: Transaction) -> None:
        seen.append(tx)
        if len(seen) == 2:
            raise RuntimeError

    async def change(name: str) -> None:
        async with database.transaction() as tx:
            await tx.execute(insert(things), {"id": name, "size": 1})

    token = before_commit.set(kept_with)
    try:
        await change("north")
        with pytest.raises(RuntimeError):
            await change("south")
    finally:
        before_commit.reset(token)
    await change("west")

    assert await sizes(database) == {"north": 1, "west": 1}
    assert len(seen) == 2
