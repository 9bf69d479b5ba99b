"""A drafted migration names the database's types, so that it stays true when ours change."""

import shutil
from pathlib import Path

from sqlalchemy import Column, Table, Text

from shoal.storage.migrate import MIGRATIONS, revise, upgrade
from shoal.storage.tables import Json, Timestamp, metadata

Table(
    "test_drafted",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Timestamp),
    Column("detail", Json),
)


def test_a_draft_holds_plain_types_and_runs(tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("versions", "__pycache__"))
    (folder / "versions").mkdir()
    url = f"sqlite:///{tmp_path / 'shoal.db'}"

    revise(url, "first tables", folder=folder)

    [draft] = (folder / "versions").glob("*.py")
    text = draft.read_text()
    assert "sa.Column('at', sa.BigInteger(), nullable=True)" in text
    assert "sa.Column('detail', sa.Text(), nullable=True)" in text
    assert "shoal" not in text
    upgrade(url, folder=folder)
