"""Dumps of a real PostgreSQL."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.errors import Rejected, Unavailable
from shoal.storage import pg_tools
from tests.harness.postgres import Postgres, is_installed

needs_server = pytest.mark.skipif(not is_installed(), reason="there is no PostgreSQL: apt-get install postgresql")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Postgres() as running:
        yield running.url


def sql(url: str, statement: str) -> str:
    return pg_tools._asked(url, statement)


@needs_server
def test_a_dump_takes_the_place_of_what_is_there(url: str, tmp_path: Path) -> None:
    assert pg_tools.tables(url) == 0
    sql(url, "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('0007')")
    sql(url, "CREATE TABLE pens (id bigint GENERATED ALWAYS AS IDENTITY, name text UNIQUE)")
    sql(url, "INSERT INTO pens (name) VALUES ('Nørd'), (E'a\\\\b')")

    pg_tools.dump(url, tmp_path / "dump")
    sql(url, "DELETE FROM pens; INSERT INTO pens (name) VALUES ('later')")
    pg_tools.restore(url, tmp_path / "dump")

    assert sql(url, "SELECT string_agg(name, ',' ORDER BY id) FROM pens") == "Nørd,a\\b"
    assert sql(url, "INSERT INTO pens (name) VALUES ('next') RETURNING id").startswith("3")
    assert pg_tools.schema(url) == "0007"
    assert pg_tools.tables(url) == 2
    assert pg_tools.others(url) == 0


@needs_server
def test_a_damaged_dump_changes_nothing(url: str, tmp_path: Path) -> None:
    sql(url, "CREATE TABLE kept (name text); INSERT INTO kept VALUES ('here')")
    pg_tools.dump(url, tmp_path / "dump")
    data = (tmp_path / "dump").read_bytes()
    (tmp_path / "dump").write_bytes(data[: len(data) // 2])

    with pytest.raises(Unavailable, match="pg_restore"):
        pg_tools.restore(url, tmp_path / "dump")

    assert sql(url, "SELECT name FROM kept") == "here"


@needs_server
def test_a_wrong_password_is_told_without_it(url: str, tmp_path: Path) -> None:
    wrong = url.replace(":", ":not-the-", 2).replace("postgresql:not-the-", "postgresql:")

    with pytest.raises(Unavailable, match="password authentication failed") as caught:
        pg_tools.dump(wrong, tmp_path / "dump")

    assert "not-the-" not in str(caught.value)


@needs_server
def test_a_server_that_is_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="refused"):
        pg_tools.dump("postgresql://shoal@127.0.0.1:1/shoal", tmp_path / "dump")


def test_the_password_goes_through_the_environment_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    called: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        called.append((command, env))
        return subprocess.CompletedProcess(command, 0, "", "")

    (tmp_path / "pg_dump").touch(mode=0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", run)

    pg_tools.dump("postgresql+psycopg://me:p%40ss@db.example:5433/shoal?sslmode=verify-full", tmp_path / "dump")

    [(command, environment)] = called
    assert command[1] == "--dbname=postgresql://me@db.example:5433/shoal?sslmode=verify-full"
    assert not any("p@ss" in word or "p%40ss" in word for word in command)
    assert environment["PGPASSWORD"] == "p@ss"


def test_missing_tools_are_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pg_tools, "DEBIAN", tmp_path)

    with pytest.raises(Unavailable, match="there is no pg_dump") as caught:
        pg_tools.dump("postgresql://shoal@127.0.0.1/shoal", tmp_path / "dump")

    assert "client tools" in caught.value.remedy


def test_the_newest_tools_read_all_older_servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for version in ("9", "15", "extra"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "pg_dump").touch()
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(pg_tools, "DEBIAN", tmp_path)

    assert pg_tools._path_of("pg_dump") == tmp_path / "15" / "bin" / "pg_dump"


def test_another_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="not PostgreSQL"):
        pg_tools.dump("sqlite:///x", tmp_path / "dump")
