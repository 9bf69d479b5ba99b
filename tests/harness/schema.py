"""All tables of Shoal at once, and the draft of a migration to them.

After tables changed: `PYTHONPATH=src:. python -m tests.harness.schema "what changed"`; read what it wrote before you keep it.
"""

import importlib
import pkgutil
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import shoal
from shoal.storage.migrate import MIGRATIONS, revise, upgrade

# Rooms define their tables in these files and in no other (test_migrate.py looks).
FILES: Final = frozenset({"store", "tables", "outbox", "offsets", "directory", "answers"})

_INDEXES: Final = re.compile(
    r"    with op\.batch_alter_table\('(\w+)', schema=None\) as batch_op:\n"
    r"((?:        batch_op\.create_index\(.*\)\n)+)"
)


def import_tables() -> None:
    """Makes every table known to the metadata."""
    for module in pkgutil.walk_packages(shoal.__path__, "shoal."):
        if module.name.rpartition(".")[2] in FILES:
            importlib.import_module(module.name)


def draft(message: str, folder: Path = MIGRATIONS) -> Path:
    """Drafts the next migration, in our style; the file it wrote."""
    import_tables()
    before = set((folder / "versions").glob("*.py"))
    with tempfile.TemporaryDirectory() as scratch:
        url = f"sqlite:///{scratch}/shoal.db"
        upgrade(url, folder=folder)
        revise(url, message, folder=folder)
    [written] = set((folder / "versions").glob("*.py")) - before
    written.write_text(_tidied(written.read_text()))
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", str(written)], check=True)
    return written


def _tidied(text: str) -> str:
    """Without Alembic's remarks, and with plain indexes: only altering a column needs a copy of the table."""
    lines = [
        line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("###") and "# ###" not in line
    ]
    # The condition of a partial index is drafted as SQLite writes it, which has no word for false.
    words = re.sub(r"(postgresql_where=sa\.text\(['\"]\w+ IS) 0", r"\1 FALSE", "".join(lines))
    return _INDEXES.sub(_plain, words)


def _plain(found: re.Match[str]) -> str:
    table, created = found[1], found[2]
    created = re.sub(
        r"^        batch_op\.create_index\((batch_op\.f\('\w+'\)|'\w+'), ",
        rf"    op.create_index(\1, '{table}', ",
        created,
        flags=re.MULTILINE,
    )
    return created.replace("batch_op.f(", "op.f(")


if __name__ == "__main__":
    sys.stdout.write(f"{draft(sys.argv[1])}\n")
