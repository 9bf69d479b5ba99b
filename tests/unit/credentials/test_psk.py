"""Keys and identities as devices in the field have them, and nothing that would only fail at the handshake."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.credentials.psk import (
    IDENTITY_BYTES_MAX,
    KEY_BYTES_GENERATED,
    KEY_BYTES_MAX,
    KEY_BYTES_MIN,
    generate_key,
    parse_identity,
    parse_key,
)
from shoal.errors import Rejected


def test_no_two_generated_keys_are_the_same() -> None:
    keys = {generate_key() for _ in range(100)}

    assert len(keys) == 100
    assert {len(key) for key in keys} == {KEY_BYTES_GENERATED}


@given(st.binary(min_size=KEY_BYTES_MIN, max_size=KEY_BYTES_MAX))
def test_a_key_in_hexadecimal_comes_back(key: bytes) -> None:
    assert parse_key(key.hex()) == key
    assert parse_key(f" {key.hex(':').upper()} ") == key


@pytest.mark.parametrize("raw", ["", "zz" * 16, "0" * 31, "00" * 7, "00" * 65, "0011 2233 4455 66 7"])
def test_what_is_no_key_is_refused_without_repeating_it(raw: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_key(raw)

    assert caught.value.subject == "key"
    assert len(raw) < 4 or raw not in str(caught.value)


@pytest.mark.parametrize("name", ["oxy-0417", "urn:imei:004999010640000", "i" * IDENTITY_BYTES_MAX, "fjord eye"])
def test_an_identity_is_kept_byte_for_byte(name: str) -> None:
    assert parse_identity(name) == name


@pytest.mark.parametrize("name", ["", " oxy", "oxy\r\n", "o\u200bxy", "å" * 65, "\udc80"])
def test_an_identity_that_nobody_could_see_or_send_is_refused(name: str) -> None:
    with pytest.raises(Rejected):
        parse_identity(name)
