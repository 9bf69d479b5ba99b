"""Keys of devices: unreadable without the master key, and only where they belong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import Unavailable
from shoal.storage.secrets import KEY_BYTES, Vault, key_id, key_id_of_head

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
    with pytest.raises(Unavailable, match="another master key"):
        Vault(b"x" * KEY_BYTES).decrypt(VAULT.encrypt(b"key", "dev-1"), "dev-1")


def test_a_vault_takes_no_other_key() -> None:
    with pytest.raises(ValueError, match="5 bytes"):
        Vault(b"short")


def test_an_older_key_opens_what_it_made_while_it_is_being_replaced() -> None:
    new = b"n" * KEY_BYTES
    both = Vault(new, b"k" * KEY_BYTES)

    assert both.decrypt(VAULT.encrypt(b"key", "dev-1"), "dev-1") == b"key"
    assert Vault(new).decrypt(both.encrypt(b"key", "dev-1"), "dev-1") == b"key"


def test_a_secret_tells_which_key_made_it() -> None:
    secret = VAULT.encrypt(b"key", "dev-1")

    assert key_id_of_head(secret) == key_id(b"k" * KEY_BYTES)
    assert len(key_id(b"k" * KEY_BYTES)) == 8


def test_a_signing_key_is_of_one_installation_and_one_purpose() -> None:
    ours, theirs = Vault(bytes(range(32))), Vault(bytes(32))

    assert ours.signing_key("downloads") == Vault(bytes(range(32))).signing_key("downloads")
    assert len({ours.signing_key("downloads"), ours.signing_key("other"), theirs.signing_key("downloads")}) == 3
    assert ours.signing_key("downloads") != bytes(range(32))
