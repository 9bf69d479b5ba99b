"""One secret for all processes of the pages, readable for nobody else."""

import stat
from pathlib import Path

import pytest

from shoal.app.web_secret import FILE, SECRET_BYTES, web_secret
from shoal.errors import Rejected, Unavailable


def test_it_is_made_once_and_found_again(tmp_path: Path) -> None:
    made = web_secret(tmp_path / "data", None)

    assert len(made) == SECRET_BYTES
    assert web_secret(tmp_path / "data", None) == made
    assert stat.S_IMODE((tmp_path / "data" / FILE).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == [FILE]


def test_a_named_one_is_used_and_must_be_there(tmp_path: Path) -> None:
    named = tmp_path / "secret"
    with pytest.raises(Rejected, match="no file"):
        web_secret(tmp_path, named)

    named.write_bytes(b"x" * SECRET_BYTES)

    assert web_secret(tmp_path, named) == b"x" * SECRET_BYTES
    assert not (tmp_path / FILE).exists()


def test_too_little_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"hunter2")

    with pytest.raises(Rejected, match="less than"):
        web_secret(tmp_path, tmp_path / "secret")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()

    with pytest.raises(Unavailable, match="secret"):
        web_secret(tmp_path, tmp_path / "secret")
