"""How an artifact gets to a device: pulled or pushed, over CoAP or HTTPS. From what the device says and where we are."""

from enum import StrEnum
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from shoal.campaigns.facts import DeviceFacts
from shoal.errors import Rejected


class Wish(StrEnum):
    """What the person who began the update asked for."""

    AUTOMATIC = "automatic"
    PULL = "pull"
    PUSH = "push"


class Delivery(StrEnum):
    """Who moves the bytes: the device fetches them, or we write them into it."""

    PULL = "pull"
    PUSH = "push"


# Object 5, resource 9 (Firmware Update Delivery Method).
PULL_ONLY: Final = 0
PUSH_ONLY: Final = 1
# Object 5, resource 8 (Firmware Update Protocol Support).
HTTP: Final = 2
HTTPS: Final = 3


def parse_wish(raw: str) -> Wish:
    """How a person wants it delivered.

    Raises:
        Rejected: none of the three.
    """
    try:
        return Wish(raw)
    except ValueError as error:
        raise Rejected("delivery", f"one of {', '.join(Wish)}") from error


def delivery_of(wish: Wish, facts: DeviceFacts) -> Delivery | None:
    """How it is delivered; None when the device does not take it the way that was asked for."""
    match wish:
        case Wish.AUTOMATIC:
            return Delivery.PUSH if facts.delivery_method == PUSH_ONLY else Delivery.PULL
        case Wish.PUSH:
            return None if facts.delivery_method == PULL_ONLY else Delivery.PUSH
        case Wish.PULL:
            return None if facts.delivery_method == PUSH_ONLY else Delivery.PULL


def fetches_from_web(facts: DeviceFacts, base_url: str | None) -> bool:
    """Whether a device that pulls does so from our web server: it can, and that is where it says it is.

    Without TLS only within one machine: the bytes decide what a device does.
    """
    if base_url is None:
        return False
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if is_unspecified(host) or (is_loopback(host) and not is_loopback(_host(facts.address))):
        return False
    if parts.scheme == "https":
        return HTTPS in facts.protocols
    return parts.scheme == "http" and is_loopback(host) and HTTP in facts.protocols


def is_web(over: str | None) -> bool:
    """Whether an update was last delivered by our web server."""
    return over in {"http", "https"}


def is_loopback(host: str) -> bool:
    """Whether a host can only be reached from its own machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_unspecified(host: str) -> bool:
    """Whether it stands for all addresses of a machine, and so is none that anybody could ask."""
    try:
        return not host or ip_address(host).is_unspecified
    except ValueError:
        return False


def _host(address: str | None) -> str:
    return urlsplit(f"//{address}").hostname or "" if address else ""
