"""A copy of a database in use."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from shoal.errors import Unavailable
from shoal.storage import snapshot
from shoal.storage.database import Database


def test_a_copy_holds_one_state_while_a_writer_goes_on(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.db", tmp_path / "copy.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE pens (name TEXT)")
        writer.execute("INSERT INTO pens VALUES ('north')")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO pens VALUES ('not yet')")

        snapshot.take(path, copy)

        writer.execute("COMMIT")
    with contextlib.closing(sqlite3.connect(copy)) as copied:
        assert copied.execute("SELECT * FROM pens").fetchall() == [("north",)]
    snapshot.check(copy)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.db", "copy.db"]


async def test_it_tells_which_migration_the_tables_are_at(tmp_path: Path) -> None:
    path = tmp_path / "shoal.db"
    await (await Database.open(f"sqlite:///{path}")).close()
    contextlib.closing(sqlite3.connect(tmp_path / "empty.db")).__enter__().close()

    assert snapshot.schema(path) >= "0001"
    assert snapshot.schema(tmp_path / "empty.db") == ""


def test_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "shoal.db"
    path.write_bytes(b"no database" * 1_000)

    with pytest.raises(Unavailable, match="is damaged"):
        snapshot.check(path)
    with pytest.raises(Unavailable, match="is damaged"):
        snapshot.take(path, tmp_path / "copy.db")


def test_a_mistyped_name_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be opened"):
        snapshot.check(tmp_path / "absent.db")

    assert list(tmp_path.iterdir()) == []
