"""Keys of devices: unreadable without the master key, and only where they belong."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import Unavailable
from shoal.storage.secrets import KEY_BYTES, MASTER_KEY, Vault

VAULT = Vault(b"k" * KEY_BYTES)


@given(st.binary(max_size=200), st.text(max_size=50))
def test_what_was_encrypted_comes_back(plaintext: bytes, context: str) -> None:
    secret = VAULT.encrypt(plaintext, context)

    assert VAULT.decrypt(secret, context) == plaintext
    assert len(plaintext) < 4 or plaintext not in secret


def test_the_same_secret_looks_different_each_time() -> None:
    assert VAULT.encrypt(b"key", "dev-1") != VAULT.encrypt(b"key", "dev-1")


def test_a_secret_fits_only_its_owner() -> None:
    secret = VAULT.encrypt(b"key", "dev-1")

    with pytest.raises(Unavailable, match="dev-2 is damaged"):
        VAULT.decrypt(secret, "dev-2")


@given(st.integers(0, 31), st.integers(1, 255))
def test_a_changed_byte_is_noticed(position: int, change: int) -> None:
    secret = bytearray(VAULT.encrypt(b"key", "dev-1"))
    secret[position % len(secret)] ^= change

    with pytest.raises(Unavailable):
        VAULT.decrypt(bytes(secret), "dev-1")


@pytest.mark.parametrize("secret", [b"", b"\x01", b"\x01\x02\x03\x04\x05"])
def test_a_cut_off_secret_is_noticed(secret: bytes) -> None:
    with pytest.raises(Unavailable):
        VAULT.decrypt(secret, "dev-1")


def test_another_master_key_is_named_as_the_reason() -> None:
    with pytest.raises(Unavailable, match="another master key") as caught:
        Vault(b"x" * KEY_BYTES).decrypt(VAULT.encrypt(b"key", "dev-1"), "dev-1")

    assert MASTER_KEY in caught.value.remedy


def test_the_master_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    secret = Vault.open(tmp_path).encrypt(b"key", "dev-1")

    assert Vault.open(tmp_path).decrypt(secret, "dev-1") == b"key"
    path = tmp_path / MASTER_KEY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [child.name for child in tmp_path.iterdir()] == [MASTER_KEY]


def test_a_master_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    Vault.open(tmp_path)
    (tmp_path / MASTER_KEY).chmod(0o640)

    with pytest.raises(Unavailable, match="other users") as caught:
        Vault.open(tmp_path)

    assert "chmod 600" in caught.value.remedy


def test_a_master_key_of_the_wrong_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / MASTER_KEY).write_bytes(b"short")
    (tmp_path / MASTER_KEY).chmod(0o600)

    with pytest.raises(Unavailable, match="5 bytes"):
        Vault.open(tmp_path)


def test_a_vault_takes_no_other_key() -> None:
    with pytest.raises(ValueError, match="5 bytes"):
        Vault(b"short")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        Vault.open(tmp_path / "none")


def test_a_named_master_key_may_be_shared_by_a_group_and_never_by_all(tmp_path: Path) -> None:
    key = tmp_path / "credential"
    key.write_bytes(bytes(KEY_BYTES))
    key.chmod(0o440)
    secret = Vault.open(tmp_path / "data", key).encrypt(b"key", "dev-1")

    assert Vault(bytes(KEY_BYTES)).decrypt(secret, "dev-1") == b"key"
    key.chmod(0o444)
    with pytest.raises(Unavailable, match="other users"):
        Vault.open(tmp_path / "data", key)


def test_a_named_master_key_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        Vault.open(tmp_path, tmp_path / "credential")

    assert list(tmp_path.iterdir()) == []
