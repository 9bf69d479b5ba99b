"""People: how their address, name and password are taken, and how a password is kept."""

import pytest

from shoal.access.policy import Role
from shoal.errors import Rejected
from shoal.identity.user import (
    EMAIL_BYTES_MAX,
    NAME_CHARACTERS_MAX,
    PASSWORD_CHARACTERS_MAX,
    PLACES_MAX,
    check_password,
    hash_password,
    is_password,
    needs_rehash,
    parse_email,
    parse_name,
    parse_places,
    parse_role,
)
from shoal.ids import Prefix, new_id


@pytest.mark.parametrize(
    ("raw", "email"),
    [
        (" Kari@Farm.Example ", "kari@farm.example"),
        ("a@b", "a@b"),
        ("o'hara+x@farm.example", "o'hara+x@farm.example"),
        ("A\u030age@farm.example", "\u00e5ge@farm.example"),
    ],
)
def test_an_address_has_one_form_however_it_was_typed(raw: str, email: str) -> None:
    assert parse_email(raw) == email


@pytest.mark.parametrize(
    "raw", ["", "kari", "@farm", "kari@", "ka ri@farm", "kari@farm\n.x", "k" * EMAIL_BYTES_MAX + "@x", "k\u200b@farm"]
)
def test_what_is_no_address_is_refused(raw: str) -> None:
    with pytest.raises(Rejected):
        parse_email(raw)


def test_names_are_shown_as_they_are() -> None:
    assert parse_name("  Kari Nordmann ") == "Kari Nordmann"
    for raw in ("", "  ", "x" * (NAME_CHARACTERS_MAX + 1), "Kari\x1b[31m"):
        with pytest.raises(Rejected):
            parse_name(raw)


def test_a_role_is_one_of_ours() -> None:
    assert parse_role("viewer") is Role.VIEWER
    with pytest.raises(Rejected) as caught:
        parse_role("root")
    assert caught.value.facts["roles"] == "administrator, operator, technician, viewer, integrator"


def test_places_are_farms_and_enclosures_each_once() -> None:
    farm, enclosure = new_id(Prefix.FARM), new_id(Prefix.ENCLOSURE)

    assert parse_places([enclosure, farm.lower(), farm]) == tuple(sorted((enclosure, farm)))
    assert parse_places([]) == ()
    for wrong in ([new_id(Prefix.DEVICE)], ["everywhere"], [farm] * (PLACES_MAX + 1)):
        with pytest.raises(Rejected):
            parse_places(wrong)


def test_a_password_has_a_length_and_is_not_repeated_in_the_refusal() -> None:
    assert check_password("12345678") == "12345678"
    for password in ("1234567", "x" * (PASSWORD_CHARACTERS_MAX + 1)):
        with pytest.raises(Rejected) as caught:
            check_password(password)
        assert password not in str(caught.value)


async def test_a_password_is_kept_as_argon2id_with_a_salt_of_its_own() -> None:
    first, second = await hash_password("correct horse"), await hash_password("correct horse")

    assert first.startswith("$argon2id$")
    assert first != second
    assert "correct" not in first
    assert not needs_rehash(first)
    assert await is_password("correct horse", first)
    assert not await is_password("correct horsE", first)


async def test_nobody_has_no_password() -> None:
    assert not await is_password("", None)
    assert not await is_password("x", None)
    assert not await is_password("x", "not a hash")


def test_an_older_hash_is_to_be_renewed() -> None:
    weak = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$4GZHmqmZrjTYTQNLOZv4fJh8qRvcVdBWbDpPpVrR/pQ"

    assert needs_rehash(weak)
