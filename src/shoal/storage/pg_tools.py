"""PostgreSQL's own tools for a copy of a database: `pg_dump` and `pg_restore`, which know all that can be in one."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url

from shoal.errors import Rejected, Unavailable

# Where Debian keeps the tools of each major version; the newest reads all older servers.
DEBIAN: Final = Path("/usr/lib/postgresql")
# Others that are connected, and tables that are there: our own session is not among them.
_OTHERS: Final = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_TABLES: Final = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"
_SCHEMA: Final = "SELECT version_num FROM alembic_version"


def dump(url: str, target: Path) -> None:
    """Writes the whole database as it is at this moment into a file. Blocks; the database may be in use.

    Raises:
        Unavailable: the tools are missing, or the server is away or refuses.
    """
    _run("pg_dump", ["--format=custom", "--no-owner", "--no-privileges", f"--file={target}"], url)


def restore(url: str, source: Path) -> None:
    """Puts a dump in place of what is there, in one transaction: all of it, or nothing is changed. Blocks.

    Raises:
        Unavailable: the tools are missing, or the server is away or refuses.
    """
    given = ["--clean", "--if-exists", "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    _run("pg_restore", [*given, str(source)], url)


def tables(url: str) -> int:
    """How many tables there are. Raises Unavailable."""
    return int(_asked(url, _TABLES))


def others(url: str) -> int:
    """How many others are connected to the database. Raises Unavailable."""
    return int(_asked(url, _OTHERS))


def schema(url: str) -> str:
    """The migration that the tables are at. Raises Unavailable."""
    return _asked(url, _SCHEMA)


def _asked(url: str, query: str) -> str:
    return _run("psql", ["--no-psqlrc", "--tuples-only", "--no-align", f"--command={query}"], url).strip()


def _run(tool: str, arguments: Sequence[str], url: str) -> str:
    place, password = _without_password(url)
    # Other users of this machine see command lines, but not the environment of a process.
    environment = os.environ | ({"PGPASSWORD": password} if password else {})
    command = [str(_path_of(tool)), f"--dbname={place}", "--no-password", *arguments]
    done = subprocess.run(  # noqa: S603  # a program of ours to choose, and arguments of ours
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise Unavailable("database", said[0] if said else f"{tool} ended with {done.returncode}", "See its log")
    return done.stdout


def _without_password(url: str) -> tuple[str, str | None]:
    """The address as the tools take it (libpq: a URI without our driver), and the password."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "postgresql":
        raise Rejected("database", f"{parsed.get_backend_name()} is not PostgreSQL")
    place = URL.create(
        "postgresql",
        username=parsed.username,
        host=parsed.host,
        port=parsed.port,
        database=parsed.database,
        query=parsed.query,
    )
    return place.render_as_string(), parsed.password


def _path_of(tool: str) -> Path:
    found = shutil.which(tool)
    if found is not None:
        return Path(found)
    versions = [path for path in DEBIAN.glob(f"*/bin/{tool}") if path.parts[-3].isdecimal()]
    if not versions:
        raise Unavailable("database", f"there is no {tool} on PATH or in {DEBIAN}", "Install PostgreSQL's client tools")
    return max(versions, key=lambda path: int(path.parts[-3]))
