"""A shell for those who type commands."""

from pathlib import Path

import pytest

from tests.unit.cli.shell import Shell


@pytest.fixture
def nordvik(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SHOAL_PUBLIC_URL", raising=False)
    return Shell(tmp_path, capsys)
