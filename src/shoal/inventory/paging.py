"""A page of a list, and the cursor to the next one."""

import base64
import binascii
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import msgspec

from shoal.errors import Rejected

Item = TypeVar("Item")

# Largest page: a screen shows fifty, an export asks page by page.
PAGE_ITEMS_MAX: Final = 500
# A cursor holds a name and an id; anything longer is not ours.
CURSOR_CHARACTERS_MAX: Final = 1_024


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items in a stable order. `next` continues after the last of them, None at the end."""

    items: list[Item]
    next: str | None = None


def cursor_after(*sort_key: str) -> str:
    """Where the next page begins: after this sort key. Opaque to the caller."""
    return base64.urlsafe_b64encode(msgspec.json.encode(sort_key)).rstrip(b"=").decode()


def parse_cursor(raw: str, parts: int) -> tuple[str, ...]:
    """The sort key in a cursor that we gave out.

    Raises:
        Rejected: not one of ours.
    """
    try:
        if len(raw) > CURSOR_CHARACTERS_MAX:
            raise Rejected("cursor", "not one of ours")
        data = base64.b64decode(raw.encode("ascii") + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
        key = msgspec.json.decode(data, type=tuple[str, ...])
    except (binascii.Error, UnicodeError, msgspec.DecodeError) as error:
        raise Rejected("cursor", "not one of ours") from error
    if len(key) != parts:
        raise Rejected("cursor", "not one of ours")
    return key


def check_limit(limit: int) -> int:
    """How many items a page may have.

    Raises:
        Rejected: none, or more than 500.
    """
    if not 1 <= limit <= PAGE_ITEMS_MAX:
        raise Rejected("limit", f"{limit}, expected 1 to {PAGE_ITEMS_MAX}")
    return limit
