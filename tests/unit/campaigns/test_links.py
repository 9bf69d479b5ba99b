"""An address of a file: nobody can guess it, nobody can bend it, and it ends."""

from datetime import UTC, datetime, timedelta

import pytest

from shoal.campaigns.links import ADDRESS_BYTES_MAX, EXPIRY_STEP, Links
from shoal.errors import Forbidden, Gone

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
FILE = "a" * 32
LINKS = Links(b"k" * 32, "https://farm.example/")


def parts(address: str) -> tuple[str, str, int, str]:
    update, file, expires, signature = address.removeprefix("https://farm.example/api/v1/downloads/").split("/")
    return update, file, int(expires), signature


def test_an_address_of_ours_passes_until_it_expires() -> None:
    address = LINKS.address("cmp-1", FILE, NOW + timedelta(hours=1))
    assert address is not None
    update, file, expires, signature = parts(address)

    LINKS.check(update, file, expires, signature, NOW)
    LINKS.check(update, file, expires, signature, NOW + timedelta(hours=1))
    with pytest.raises(Gone):
        LINKS.check(update, file, expires, signature, NOW + timedelta(hours=1) + EXPIRY_STEP)


def test_any_other_part_is_not_ours() -> None:
    address = LINKS.address("cmp-1", FILE, NOW)
    assert address is not None
    update, file, expires, signature = parts(address)

    for bent in (
        ("cmp-2", file, expires, signature),
        (update, "b" * 32, expires, signature),
        (update, file, expires + 1, signature),
        (update, file, expires, signature[:-1] + ("A" if signature[-1] != "A" else "B")),
        (update, file, expires, ""),
        (update, file, expires, "ünguessable"),
    ):
        with pytest.raises(Forbidden):
            LINKS.check(*bent, NOW)


def test_another_installation_signs_otherwise() -> None:
    address = Links(b"x" * 32, "https://farm.example").address("cmp-1", FILE, NOW)
    assert address is not None

    with pytest.raises(Forbidden):
        LINKS.check(*parts(address), NOW)


def test_an_address_that_is_written_again_the_same_day_is_the_same() -> None:
    first = LINKS.address("cmp-1", FILE, NOW)

    assert first == LINKS.address("cmp-1", FILE, NOW + timedelta(hours=10))
    assert first != LINKS.address("cmp-1", FILE, NOW + EXPIRY_STEP)


def test_an_address_that_a_device_could_not_take_is_none() -> None:
    long = Links(b"k" * 32, "https://" + "farm." * 40 + "example")

    assert long.address("cmp-1", FILE, NOW) is None
    assert len(LINKS.address("cmp-12345678", FILE, NOW) or "") <= ADDRESS_BYTES_MAX
