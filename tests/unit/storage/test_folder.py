"""One process for a data folder."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from shoal.errors import Unavailable
from shoal.storage.folder import LOCK, DataFolder

HOLD = """
import sys
from pathlib import Path
from shoal.storage.folder import DataFolder
folder = DataFolder.open(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path / "a" / "data")

    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert folder.database_url == f"sqlite:///{tmp_path}/a/data/shoal.db"
    folder.close()


def test_a_second_process_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"

        with pytest.raises(Unavailable, match=f"in use by process {holder.pid}") as caught:
            DataFolder.open(tmp_path)
        holder.kill()

    assert "Stop that one first" in caught.value.remedy
    # The lock ended with the process, however that ended.
    DataFolder.open(tmp_path).close()


def test_closing_lets_the_next_one_in(tmp_path: Path) -> None:
    first = DataFolder.open(tmp_path)
    first.close()
    first.close()

    second = DataFolder.open(tmp_path)

    assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"
    second.close()


def test_a_place_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Unavailable) as caught:
        DataFolder.open(tmp_path / "file")

    assert "--data" in caught.value.remedy
