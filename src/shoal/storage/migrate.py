"""Brings the tables of an older Shoal up to date, with Alembic and without an ini file.

Migrations are files in `migrations/versions`. A new one is drafted from the difference between the tables that the code
defines and those of a database at the latest migration: `revise("what changed")`; read it before it is kept.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, create_engine, make_url, pool

from shoal.errors import Unavailable

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def upgrade(url: str | URL, *, folder: Path = MIGRATIONS) -> None:
    """Runs all migrations that this database has not seen. Blocks: call it before anything else is open.

    Raises:
        Unavailable: the tables are of a newer Shoal.
    """
    found, wanted = _versions(url, folder)
    if found != wanted:
        _refuse_newer(found, wanted)
        command.upgrade(_config(url, folder), "head")


def check(url: str | URL, *, folder: Path = MIGRATIONS) -> None:
    """Compares the tables of a database with those that this Shoal needs. Blocks.

    Raises:
        Unavailable: they are older, or newer; with what to do about it.
    """
    found, wanted = _versions(url, folder)
    if found == wanted:
        return
    _refuse_newer(found, wanted)
    state = "it is empty" if found is None else f"its tables are of an older Shoal ({found})"
    raise Unavailable("database", state, "Run `shoal db migrate` first")


def revise(url: str, message: str, *, folder: Path = MIGRATIONS) -> None:
    """Drafts the next migration from the tables that are defined now, against a database at the latest one.

    The caller has imported every `store.py`, or their tables would be missed. Migrations are numbered and only lead on:
    whoever wants an older Shoal back restores the copy that was made before.
    """
    number = 1 + sum(1 for _ in (folder / "versions").glob("[0-9]*.py"))
    command.revision(_config(url, folder), message=message, autogenerate=True, rev_id=f"{number:04}")


def revisions(*, folder: Path = MIGRATIONS) -> set[str]:
    """All migrations that this Shoal knows."""
    return {script.revision for script in ScriptDirectory.from_config(_config("sqlite://", folder)).walk_revisions()}


def _versions(url: str | URL, folder: Path) -> tuple[str | None, str | None]:
    """The migration that the database is at, and the one that it should be at. Numbers of four digits."""
    wanted = ScriptDirectory.from_config(_config(url, folder)).get_current_head()
    engine = create_engine(_address(url), poolclass=pool.NullPool)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision(), wanted
    finally:
        engine.dispose()


def _refuse_newer(found: str | None, wanted: str | None) -> None:
    if found is not None and wanted is not None and found > wanted:
        raise Unavailable("database", f"its tables are of a newer Shoal ({found})", "Update this one")


def _address(url: str | URL) -> URL:
    """With a driver that needs no event loop."""
    address = make_url(url)
    return address.set(drivername="sqlite" if address.get_backend_name() == "sqlite" else "postgresql+psycopg")


def _config(url: str | URL, folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    # A percent sign is an interpolation to the configuration parser.
    config.set_main_option("sqlalchemy.url", _address(url).render_as_string(hide_password=False).replace("%", "%%"))
    return config
