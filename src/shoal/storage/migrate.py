"""Brings the tables of an older Shoal up to date, with Alembic and without an ini file.

Migrations are files in `migrations/versions`. A new one is drafted from the difference between the tables that the code
defines and those of a database at the latest migration: `revise("what changed")`; read it before it is kept.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def upgrade(url: str, *, folder: Path = MIGRATIONS) -> None:
    """Runs all migrations that this database has not seen. Blocks: call it before anything else is open."""
    command.upgrade(_config(url, folder), "head")


def revise(url: str, message: str, *, folder: Path = MIGRATIONS) -> None:
    """Drafts the next migration from the tables that are defined now, against a database at the latest one.

    The caller has imported every `store.py`, or their tables would be missed. Migrations are numbered and only lead on:
    whoever wants an older Shoal back restores the copy that was made before.
    """
    number = 1 + sum(1 for _ in (folder / "versions").glob("[0-9]*.py"))
    command.revision(_config(url, folder), message=message, autogenerate=True, rev_id=f"{number:04}")


def revisions(*, folder: Path = MIGRATIONS) -> set[str]:
    """All migrations that this Shoal knows."""
    return {script.revision for script in ScriptDirectory.from_config(_config("", folder)).walk_revisions()}


def _config(url: str, folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    # A percent sign is an interpolation to the configuration parser.
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config
