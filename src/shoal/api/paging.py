"""Lists in pages: `{"items": [...], "next": "<cursor>" | null}`, and what people edit with its version as ETag."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, Generic, TypeAlias, TypeVar

from fastapi import Header, Query
from pydantic import BaseModel, Field

from shoal.errors import Rejected
from shoal.inventory.paging import CURSOR_CHARACTERS_MAX, PAGE_ITEMS_MAX, Page

# Farms and enclosures of a tenant on one screen: 200 farms with 20 enclosures fit.
PLACES_MAX: Final = 5_000
# What a caller gets who does not say: about four screens.
ITEMS_USUAL: Final = 100

Item = TypeVar("Item")
Found = TypeVar("Found")


class Listed(BaseModel, Generic[Item]):
    """One page of a list. `next` is the cursor of the page after it, null on the last."""

    items: list[Item]
    next: str | None = None


class Counted(Listed[Item], Generic[Item]):
    """One page, and how many there are in all; null where counting would cost more than it tells."""

    total: int | None = Field(None, ge=0)


Cursor: TypeAlias = Annotated[
    str | None, Query(max_length=CURSOR_CHARACTERS_MAX, description="`next` of the page before")
]
Limit: TypeAlias = Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX)]
PlacesLimit: TypeAlias = Annotated[int, Query(ge=1, le=PLACES_MAX)]
IfMatch: TypeAlias = Annotated[
    str | None, Header(max_length=64, description="the ETag that was read: 412 when somebody changed it since")
]

_ETAG: Final = re.compile(r'(?:W/)?"(\d{1,9})"')


async def long_page(
    fetch: Callable[[str | None, int], Awaitable[Page[Found]]], cursor: str | None, limit: int
) -> Page[Found]:
    """A page that may be longer than one of the inventory: as many of those as it takes."""
    items: list[Found] = []
    while True:
        page = await fetch(cursor, min(PAGE_ITEMS_MAX, limit - len(items)))
        items.extend(page.items)
        cursor = page.next
        if cursor is None or len(items) >= limit:
            return Page(items, cursor)


def etag(version: int) -> dict[str, str]:
    """The header that tells a version (RFC 9110 §8.8.3)."""
    return {"ETag": f'"{version}"'}


def version_of(if_match: str | None) -> int | None:
    """The version that the caller has read, None when it does not matter (RFC 9110 §13.1.1).

    Raises:
        Rejected: no ETag of ours.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    found = _ETAG.fullmatch(if_match.strip())
    if found is None:
        raise Rejected("If-Match", "not an ETag of ours")
    return int(found[1])
