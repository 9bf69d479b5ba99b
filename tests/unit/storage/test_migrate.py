"""Migrations run by themselves, once each."""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import (
    Boolean,
    Column,
    Engine,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    NullPool,
    Table,
    Text,
    create_engine,
    func,
    insert,
    select,
    text,
)

import shoal
from shoal.ids import Prefix, parse_id
from shoal.storage.database import Database
from shoal.storage.migrate import MIGRATIONS, revisions, upgrade
from shoal.storage.tables import metadata
from tests.harness import databases
from tests.harness.schema import FILES, draft, import_tables

needs_postgres = pytest.mark.skipif(databases.SERVER is None, reason="runs in the suite `postgres`")

FIRST = """
import sqlalchemy as sa
from alembic import op
revision = "0001"
down_revision = None
def upgrade():
    op.create_table("pens", sa.Column("id", sa.Text, primary_key=True))
"""
SECOND = """
import sqlalchemy as sa
from alembic import op
revision = "0002"
down_revision = "0001"
def upgrade():
    with op.batch_alter_table("pens") as pens:
        pens.add_column(sa.Column("name", sa.Text, nullable=False, server_default=""))
"""


def migrations(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("versions", "__pycache__"))
    (folder / "versions").mkdir()
    return folder


def test_an_older_database_is_brought_up_to_date_and_keeps_its_rows(tmp_path: Path) -> None:
    folder = migrations(tmp_path)
    # A percent sign in a path is nothing special, although Alembic's configuration thinks so.
    path = tmp_path / "100%.db"
    (folder / "versions" / "0001_first.py").write_text(FIRST)
    upgrade(f"sqlite:///{path}", folder=folder)
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO pens VALUES ('north')")
    connection.close()

    (folder / "versions" / "0002_second.py").write_text(SECOND)
    upgrade(f"sqlite:///{path}", folder=folder)
    upgrade(f"sqlite:///{path}", folder=folder)

    connection = sqlite3.connect(path)
    assert connection.execute("SELECT * FROM pens").fetchall() == [("north", "")]
    connection.close()


@pytest.fixture
def defined() -> MetaData:
    """The tables of the product, without those that tests define for themselves."""
    import_tables()
    product = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        if not table.name.startswith("test_"):
            table.to_metadata(product)
    return product


def schema(path: Path) -> dict[str, list[str]]:
    """Every table and index with its parts as SQLite keeps them; their order within a table means nothing.

    A column that was added later stands on the line of the last one, so a comma begins a part as well.
    """
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {
        name: sorted(
            part for line in re.split(r"[\n,]", sql.replace('"', "")) if (part := re.sub(r"\s+", " ", line).strip(" )"))
        )
        for name, sql in rows
        if name != "alembic_version" and not name.startswith("sqlite_")
    }


def test_a_migrated_database_is_the_one_that_the_code_defines(tmp_path: Path, defined: MetaData) -> None:
    migrated, made = tmp_path / "migrated.db", tmp_path / "made.db"
    upgrade(f"sqlite:///{migrated}")
    engine = create_engine(f"sqlite:///{made}", poolclass=NullPool)
    defined.create_all(engine)
    engine.dispose()

    assert len(defined.tables) > 20
    assert schema(migrated) == schema(made)


def test_alembic_finds_nothing_left_to_migrate(tmp_path: Path, defined: MetaData) -> None:
    path = tmp_path / "shoal.db"
    upgrade(f"sqlite:///{path}")
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        left = compare_metadata(context, defined)
    engine.dispose()

    assert left == []


def test_all_tables_are_defined_where_a_draft_looks_for_them() -> None:
    source = Path(shoal.__file__).parent
    definers = {
        path.stem
        for path in source.rglob("*.py")
        if "migrations" not in path.parts and re.search(r"^\w+(: Final)? = Table\(", path.read_text(), re.MULTILINE)
    }

    assert definers <= FILES


def test_whoever_was_reached_by_mail_still_is(tmp_path: Path) -> None:
    folder = migrations(tmp_path)
    path = tmp_path / "shoal.db"
    shutil.copy(MIGRATIONS / "versions" / "0001_first.py", folder / "versions")
    upgrade(f"sqlite:///{path}", folder=folder)
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO contacts VALUES ('con-1', 'ten-1', 'Kari', 'kari@farm.example', 'high', 0)")
    connection.commit()
    connection.close()

    upgrade(f"sqlite:///{path}")

    connection = sqlite3.connect(path)
    [(channel, address)] = connection.execute("SELECT channel, address FROM contact_methods WHERE contact_id = 'con-1'")
    assert (channel, address) == ("email", "kari@farm.example")
    connection.close()


async def test_a_database_that_was_migrated_is_opened_and_used(tmp_path: Path) -> None:
    import_tables()
    url = f"sqlite:///{tmp_path / 'shoal.db'}"
    for _ in range(2):
        database = await Database.open(url)
        async with database.transaction() as tx:
            assert await tx.scalar(select(func.count()).select_from(metadata.tables["devices"])) == 0
        await database.close()


def test_a_draft_after_the_first_has_the_next_number_and_holds_only_what_is_new(tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    Table("test_new", metadata, Column("id", Text, primary_key=True), Column("word", Text, index=True))

    try:
        written = draft("new words", folder)
    finally:
        metadata.remove(metadata.tables["test_new"])

    text = written.read_text()
    assert written.name == f"{len(revisions()) + 1:04}_new_words.py"
    assert text.startswith('"""New words."""')
    assert '"test_new"' in text
    assert 'op.create_index(op.f("ix_test_new_word"), "test_new", ["word"], unique=False)' in text
    assert '"devices"' not in text
    assert "###" not in text
    upgrade(f"sqlite:///{tmp_path / 'shoal.db'}", folder=folder)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs_postgres)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables, of each kind."""
    return f"sqlite:///{tmp_path / 'shoal.db'}" if request.param == "sqlite" else databases.empty_url()


@contextmanager
def before(revision: str, url: str, tmp_path: Path) -> Iterator[None]:
    """The database as it was before a revision; what is put into it is brought forward at the end."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder / "versions").glob("[0-9]*.py"):
        if path.name >= revision:
            path.unlink()
    upgrade(url, folder=folder)
    yield
    upgrade(url)


def test_an_older_database_keeps_a_row_of_everything(empty: str, tmp_path: Path) -> None:
    folder = migrations(tmp_path)
    shutil.copy(MIGRATIONS / "versions" / "0001_first.py", folder / "versions")
    upgrade(empty, folder=folder)
    before = fill(empty)

    upgrade(empty)

    # Who counted wrong passwords begins anew: a minute of patience, once.
    kept = before - {"login_attempts"}
    assert len(kept) > 20
    assert {name: count for name, count in counts(empty).items() if name in kept} == dict.fromkeys(kept, 1)


def test_every_device_goes_on_with_the_key_that_it_has(empty: str, tmp_path: Path) -> None:
    keys = [(f"dev-{number}", f"sn-{number}", None if number == 2 else b"sealed") for number in range(3)]
    with before("0009", empty, tmp_path), engine_of(empty) as engine, engine.begin() as connection:
        for device, identity, key in keys:
            connection.execute(
                text(
                    "INSERT INTO credentials (device_id, tenant_id, mode, identity, key_encrypted, created_at)"
                    " VALUES (:device, 'ten-1', 'psk', :identity, :key, 5)"
                ),
                {"device": device, "identity": identity, "key": key},
            )

    with engine_of(empty) as engine, engine.connect() as connection:
        kept = connection.execute(
            text("SELECT device_id, identity, key_encrypted, state, mark, id FROM credentials ORDER BY device_id")
        ).all()
    assert [(row[0], row[1], row[2] and bytes(row[2])) for row in kept] == keys
    assert [(row[3], row[4]) for row in kept] == [("current", f"psk:{identity}") for _, identity, _ in keys]
    assert len({parse_id(row[5], Prefix.CREDENTIAL) for row in kept}) == 3


def test_what_a_bootstrap_handed_out_is_known_by_its_column_afterwards(empty: str, tmp_path: Path) -> None:
    with before("0016", empty, tmp_path), engine_of(empty) as engine, engine.begin() as connection:
        for number, by in enumerate(("bootstrap", "Ida Vik", None)):
            connection.execute(
                text(
                    "INSERT INTO credentials (id, device_id, tenant_id, mode, identity, state, created_at, created_by,"
                    " ends_when_seen) VALUES (:id, 'dev-1', 'ten-1', 'psk', 'oxy', 'next', 5, :by, false)"
                ),
                {"id": f"crd-{number}", "by": by},
            )

    with engine_of(empty) as engine, engine.connect() as connection:
        kept = connection.execute(text("SELECT created_by, is_from_bootstrap FROM credentials ORDER BY id")).all()
    assert [(by, bool(is_from)) for by, is_from in kept] == [(None, True), ("Ida Vik", False), (None, False)]


def test_values_that_came_before_readings_had_a_kind_have_none(empty: str, tmp_path: Path) -> None:
    with before("0019", empty, tmp_path), engine_of(empty) as engine, engine.begin() as connection:
        connection.execute(
            text("INSERT INTO last_values (device_id, path, value, time) VALUES ('dev-1', '/49000/0/3', :value, 5)"),
            {"value": '"AAEC"'},
        )

    with engine_of(empty) as engine, engine.connect() as connection:
        kept = connection.execute(text("SELECT device_id, path, value, time, kind FROM last_values")).all()
    assert [tuple(row) for row in kept] == [("dev-1", "/49000/0/3", '"AAEC"', 5, None)]


def test_nothing_is_left_to_migrate_on_either_engine(empty: str, defined: MetaData) -> None:
    upgrade(empty)
    with engine_of(empty) as engine, engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, defined) == []


def fill(url: str) -> set[str]:
    """Puts a row into each table, of whatever its columns can hold; the tables."""
    with engine_of(url) as engine:
        found = MetaData()
        found.reflect(engine)
        tables = [table for table in found.sorted_tables if table.name != "alembic_version"]
        with engine.begin() as connection:
            for table in tables:
                # The same text everywhere: what refers to something finds it.
                row = {column.name: _something(column) for column in table.columns}
                connection.execute(insert(table), row)
    return {table.name for table in tables}


def counts(url: str) -> dict[str, int]:
    with engine_of(url) as engine, engine.connect() as connection:
        found = MetaData()
        found.reflect(engine)
        return {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in found.sorted_tables
        }


@contextmanager
def engine_of(url: str) -> Iterator[Engine]:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    try:
        yield engine
    finally:
        engine.dispose()


def _something(column: Column[Any]) -> object:
    match column.type:
        case Boolean():
            return True
        case Integer():
            return 1
        case Float():
            return 1.5
        case LargeBinary():
            return b"x"
        case _:
            return "x"
