"""Beginning again deletes what Shoal made, and nothing of anybody else. The rest is proved by the faults and the demo."""

from pathlib import Path

from shoal.app.foundation import forget


def fill(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("something")


def test_beginning_again_leaves_what_is_not_ours(tmp_path: Path) -> None:
    fill(tmp_path, "shoal.db", "shoal.db-wal", "log.db", "master.key", "artifacts/abc", "demo.json", "demo-login.json")
    fill(tmp_path, "notes.txt", "photos/pen.jpg", "shoal.lock")

    forget(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "photos", "shoal.lock"]


def test_a_folder_that_never_was_ours_is_left_alone(tmp_path: Path) -> None:
    fill(tmp_path, "artifacts/build.zip", "master.key", "demo.json")

    forget(tmp_path)

    assert len(list(tmp_path.iterdir())) == 3
