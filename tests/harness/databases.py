"""A database of its own for each test: a private SQLite file, or a new PostgreSQL database.

`SHOAL_TEST_POSTGRES` is the URL of a server whose user may create databases; then all tests that ask here run on it.
"""

import os
from typing import Final

import psycopg
import pytest
from sqlalchemy import URL, create_engine, make_url

from shoal.storage.database import Database, metadata
from tests.harness.schema import import_tables

SERVER: Final = os.environ.get("SHOAL_TEST_POSTGRES")
_TEMPLATE: Final = f"template_{os.getpid()}"
_made: list[str] = []
# Databases of the last tests; one test may have a few.
KEPT: Final = 24


looks_into_files: Final = pytest.mark.skipif(SERVER is not None, reason="PostgreSQL's files are its own business")


async def fresh_database() -> Database:
    """An empty database with all tables. The caller closes it."""
    return await Database.open(fresh_url(), migrate=False)


async def another_process(database: Database) -> Database:
    """The same database, as another process has it; on PostgreSQL only. The caller closes it."""
    return await Database.open(
        database._engine.writers.url.render_as_string(hide_password=False).replace("+psycopg", ""), migrate=False
    )


def fresh_url() -> str:
    """Where a new database with all tables is: several may open it when it is on PostgreSQL."""
    if SERVER is None:
        return "sqlite://"
    if not _made:
        import_tables()
        _create(_TEMPLATE, "template0")
        engine = create_engine(make_url(_url(_TEMPLATE)).set(drivername="postgresql+psycopg"))
        metadata.create_all(engine)
        engine.dispose()
    return _new("test", _TEMPLATE)


def empty_url() -> str:
    """Where a new database without any table is, on PostgreSQL."""
    return _new("empty", "template0")


def _new(kind: str, template: str) -> str:
    name = f"{kind}_{os.getpid()}_{len(_made)}"
    _made.append(name)
    _create(name, template)
    if len(_made) > KEPT:
        # Each takes 8 MB, and whoever asked for this one is done with it.
        _run(f"DROP DATABASE IF EXISTS {_made[-KEPT - 1]} WITH (FORCE)")
    return _url(name)


def _url(name: str) -> str:
    assert SERVER is not None
    server: URL = make_url(SERVER)
    return server.set(database=name).render_as_string(hide_password=False)


def _create(name: str, template: str) -> None:
    _run(f"CREATE DATABASE {name} TEMPLATE {template}")


def _run(statement: str) -> None:
    assert SERVER is not None
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(statement.encode())
