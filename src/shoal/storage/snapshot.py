"""A copy of an SQLite database that is in use: one state of it, without keeping its writer waiting."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from shoal.storage import sqlite


def take(source: Path, target: Path) -> None:
    """Copies the database as it is at this moment. Blocks; the database may be in use.

    All pages are copied in one step, which is one read transaction: with a write-ahead log nobody waits for it.

    Raises:
        Unavailable: the database cannot be read, or the copy cannot be written.
    """
    with (
        _translated(source),
        contextlib.closing(_opened(source)) as original,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy, pages=-1)
        # A copy is one file: without this the first one to open it makes two more beside it.
        copy.execute("PRAGMA journal_mode = DELETE")


def check(path: Path) -> None:
    """Reads the whole database and compares what belongs together. Raises Unavailable."""
    with _translated(path), contextlib.closing(_opened(path)) as connection:
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite.damaged(path)


def schema(path: Path) -> str:
    """The migration that the tables are at, empty when there are none."""
    with _translated(path), contextlib.closing(_opened(path)) as connection:
        has_any = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone() if has_any else None
    return str(found[0]) if found else ""


def _opened(path: Path) -> sqlite3.Connection:
    """An existing database; a name that is not there must not become one."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=sqlite.BUSY_MS / 1_000)


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        away = sqlite.unavailable(error, path)
        if away is None:
            raise
        raise away from error
