"""How an artifact gets to a device follows from what the device says and from where we are."""

import pytest

from shoal.campaigns.delivery import Delivery, Wish, delivery_of, fetches_from_web, is_web, parse_wish
from shoal.campaigns.facts import DeviceFacts
from shoal.errors import Rejected


def device(*protocols: int, method: int | None = None, address: str = "192.0.2.7:5684") -> DeviceFacts:
    return DeviceFacts(
        device="dev-1", tenant="ten-1", protocols=protocols, delivery_method=method, address=address, secure=True
    )


@pytest.mark.parametrize(
    ("wish", "method", "delivery"),
    [
        (Wish.AUTOMATIC, None, Delivery.PULL),
        (Wish.AUTOMATIC, 0, Delivery.PULL),
        (Wish.AUTOMATIC, 1, Delivery.PUSH),
        (Wish.AUTOMATIC, 2, Delivery.PULL),
        (Wish.PUSH, None, Delivery.PUSH),
        (Wish.PUSH, 0, None),
        (Wish.PUSH, 2, Delivery.PUSH),
        (Wish.PULL, 1, None),
        (Wish.PULL, 2, Delivery.PULL),
    ],
)
def test_a_device_gets_it_as_it_was_asked_for_if_it_can(
    wish: Wish, method: int | None, delivery: Delivery | None
) -> None:
    assert delivery_of(wish, device(method=method)) is delivery


@pytest.mark.parametrize(
    ("base_url", "protocols", "address", "fetches"),
    [
        ("https://farm.example", (1, 3), "192.0.2.7:5684", True),
        ("https://farm.example", (0, 1, 2), "192.0.2.7:5684", False),
        ("http://farm.example", (2, 3), "192.0.2.7:5684", False),
        ("http://127.0.0.1:8080", (2,), "127.0.0.1:40001", True),
        ("http://localhost:8080", (2,), "[::1]:40001", True),
        ("http://127.0.0.1:8080", (3,), "127.0.0.1:40001", False),
        ("https://127.0.0.1:8443", (3,), "127.0.0.1:40001", True),
        ("https://127.0.0.1:8443", (2, 3), "192.0.2.7:5684", False),
        ("https://0.0.0.0:8443", (3,), "192.0.2.7:5684", False),
        ("https://[::]:8443", (3,), "127.0.0.1:40001", False),
        ("ftp://farm.example", (2, 3), "192.0.2.7:5684", False),
        (None, (3,), "192.0.2.7:5684", False),
    ],
)
def test_a_device_fetches_over_http_only_what_is_safe_and_can_be_reached(
    base_url: str | None, protocols: tuple[int, ...], address: str, fetches: bool
) -> None:
    assert fetches_from_web(device(*protocols, address=address), base_url) is fetches


def test_a_device_whose_address_we_do_not_know_is_not_on_this_machine() -> None:
    unknown = DeviceFacts(device="dev-1", tenant="ten-1", protocols=(2, 3))

    assert not fetches_from_web(unknown, "http://127.0.0.1:8080")
    assert fetches_from_web(unknown, "https://farm.example")


def test_a_wish_is_one_of_three() -> None:
    assert parse_wish("push") is Wish.PUSH
    with pytest.raises(Rejected, match="automatic, pull, push"):
        parse_wish("carrier pigeon")


def test_what_went_over_the_web_is_known_by_its_scheme() -> None:
    assert [is_web(over) for over in ("https", "http", "coaps", "coap", None)] == [True, True, False, False, False]
