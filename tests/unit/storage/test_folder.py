"""One process for a data folder; what is ours in it; a backup that takes its place."""

import os
import shutil
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from shoal.errors import Unavailable
from shoal.storage.archive import MANIFEST, Manifest, Part
from shoal.storage.folder import LOCK, RESTORED, DataFolder

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


def fill(folder: Path, *names: str, text: str = "something") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def forget(folder: Path) -> None:
    opened = DataFolder.open(folder)
    opened.forget()
    opened.close()


def test_beginning_again_leaves_what_is_not_ours(tmp_path: Path) -> None:
    fill(tmp_path, "shoal.db", "shoal.db-wal", "log.db", "master.key", "artifacts/abc", "demo.json", "demo-login.json")
    fill(tmp_path, "notes.txt", "photos/pen.jpg", "shoal.lock")

    forget(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "photos", "shoal.lock"]


def test_a_folder_that_never_was_ours_is_left_alone(tmp_path: Path) -> None:
    fill(tmp_path, "artifacts/build.zip", "master.key", "demo.json")

    forget(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifacts", "demo.json", "master.key", "shoal.lock"]


def unpacked(folder: Path, *names: str) -> None:
    """A backup that was unpacked and found whole, as `shoal db restore` leaves it before the last step."""
    restored = folder / RESTORED
    (restored / "artifacts").mkdir(parents=True)
    fill(restored, *names, text="restored")
    manifest = Manifest(
        shoal="1",
        schema="0001",
        database="sqlite",
        made_at=datetime(2026, 11, 1, tzinfo=UTC),
        master_keys=[],
        parts=[Part(name, 8, "") for name in names],
    )
    (restored / MANIFEST).write_bytes(msgspec.json.encode(manifest))


def content(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != LOCK]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_a_restored_backup_takes_the_place_of_all_that_was_ours(tmp_path: Path) -> None:
    fill(tmp_path, "shoal.db", "shoal.db-wal", "log.db", "master.key", "artifacts/old", "demo-login.json", "notes.txt")
    unpacked(tmp_path, "shoal.db", "artifacts/new")

    DataFolder.open(tmp_path).close()

    # The backup had no master key: the one that is there may be the one that it needs.
    assert content(tmp_path) == {
        "shoal.db": "restored",
        "artifacts/new": "restored",
        "master.key": "something",
        "notes.txt": "something",
    }


@pytest.mark.parametrize("steps", range(8))
def test_a_restore_that_a_power_cut_ended_goes_on_at_the_next_start(
    tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "shoal.db", "shoal.db-wal", "log.db", "artifacts/old")
    unpacked(tmp_path, "shoal.db", "log.db", "master.key", "artifacts/new")
    left = steps

    def cut(kind: type[Path], name: str) -> None:
        whole = getattr(kind, name)

        def step(path: Path, *arguments: object) -> object:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return whole(path, *arguments)

        monkeypatch.setattr(kind, name, step)

    for name in ("replace", "unlink", "rmdir"):
        cut(Path, name)
    try:
        DataFolder.open(tmp_path)
    except KeyboardInterrupt:
        pass
    else:
        assert left >= 0
    monkeypatch.undo()

    shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name}-again"))
    DataFolder.open(tmp_path.with_name(f"{tmp_path.name}-again")).close()

    assert content(tmp_path.with_name(f"{tmp_path.name}-again")) == dict.fromkeys(
        ("shoal.db", "log.db", "master.key", "artifacts/new"), "restored"
    )
