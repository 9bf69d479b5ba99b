"""The file with the master key: for its owner alone, all of it or none, and replaced without a moment without one."""

import stat
from pathlib import Path

import pytest

from shoal.errors import Unavailable
from shoal.storage.master_key import MASTER_KEY, NEXT, MasterKey
from shoal.storage.secrets import KEY_BYTES, key_id


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    key = MasterKey(tmp_path)
    assert key.read() == []

    made = key.create()

    assert key.create() == made
    assert key.read() == [made]
    assert key.ids() == [key_id(made)]
    assert stat.S_IMODE(key.path.stat().st_mode) == 0o600
    assert names(tmp_path) == [MASTER_KEY]


def test_what_others_may_read_is_refused(tmp_path: Path) -> None:
    MasterKey(tmp_path).create()
    (tmp_path / MASTER_KEY).chmod(0o640)

    with pytest.raises(Unavailable, match="other users may read") as caught:
        MasterKey(tmp_path).read()

    assert "chmod 600" in caught.value.remedy


def test_a_file_of_the_wrong_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / MASTER_KEY).write_bytes(b"short")
    (tmp_path / MASTER_KEY).chmod(0o600)

    with pytest.raises(Unavailable, match="5 bytes"):
        MasterKey(tmp_path).read()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        MasterKey(tmp_path / "none").create()


def mounted(tmp_path: Path, mode: int, key: bytes = b"m" * KEY_BYTES) -> Path:
    """A key as a container or a service manager hands it in."""
    file = tmp_path / "credentials" / "shoal-key"
    file.parent.mkdir(exist_ok=True)
    if file.exists():
        file.chmod(0o600)
    file.write_bytes(key)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o444, 0o600])
def test_a_named_file_is_read_as_it_is_mounted(tmp_path: Path, mode: int) -> None:
    assert MasterKey(tmp_path, mounted(tmp_path, mode)).read() == [b"m" * KEY_BYTES]
    assert names(tmp_path) == ["credentials"]


def test_a_named_file_that_others_may_change_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="other users may change"):
        MasterKey(tmp_path, mounted(tmp_path, 0o666)).read()


def test_a_named_file_that_is_not_mounted_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="there is no") as caught:
        MasterKey(tmp_path, tmp_path / "absent").read()

    assert "Mount it" in caught.value.remedy
    assert names(tmp_path) == []


def test_the_new_key_makes_secrets_at_once_and_takes_the_place_at_the_end(tmp_path: Path) -> None:
    key = MasterKey(tmp_path)
    old = key.create()

    new = key.begin()
    assert key.begin() == new != old
    assert key.read() == [new, old]
    assert key.finish()

    assert key.read() == [new]
    assert names(tmp_path) == [MASTER_KEY]
    assert stat.S_IMODE(key.path.stat().st_mode) == 0o600


def test_a_named_file_is_replaced_by_whoever_mounts_it(tmp_path: Path) -> None:
    key = MasterKey(tmp_path, mounted(tmp_path, 0o400))

    new = key.begin()
    assert not key.finish()

    assert key.read() == [new, b"m" * KEY_BYTES]
    mounted(tmp_path, 0o400, new)
    assert key.read() == [new]
    assert NEXT not in names(tmp_path)
