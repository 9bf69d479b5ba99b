"""Pages that are longer than those of the inventory, and versions as ETags."""

import pytest

from shoal.api.paging import etag, long_page, version_of
from shoal.errors import Rejected
from shoal.inventory.paging import PAGE_ITEMS_MAX, Page

NUMBERS = list(range(1_200))


async def fetch(cursor: str | None, limit: int) -> Page[int]:
    """A list of numbers as the inventory pages it."""
    assert 1 <= limit <= PAGE_ITEMS_MAX
    start = int(cursor or 0)
    end = start + limit
    return Page(NUMBERS[start:end], str(end) if end < len(NUMBERS) else None)


@pytest.mark.parametrize(("limit", "following"), [(1, "1"), (500, "500"), (501, "501"), (1_199, "1199"), (1_200, None)])
async def test_a_long_page_is_as_long_as_was_asked(limit: int, following: str | None) -> None:
    page = await long_page(fetch, None, limit)

    assert page.items == NUMBERS[:limit]
    assert page.next == following


async def test_a_long_page_goes_on_where_the_last_one_ended() -> None:
    page = await long_page(fetch, "700", 5_000)

    assert page.items == NUMBERS[700:]
    assert page.next is None


def test_a_version_survives_as_etag() -> None:
    assert version_of(etag(17)["ETag"]) == 17


@pytest.mark.parametrize(("said", "version"), [(None, None), ("*", None), ('"3"', 3), ('W/"3"', 3), (' "3" ', 3)])
def test_if_match_names_a_version_or_none(said: str | None, version: int | None) -> None:
    assert version_of(said) == version


@pytest.mark.parametrize("said", ["3", '"three"', '"3", "4"', '"99999999999"', ""])
def test_what_is_no_etag_of_ours_is_refused(said: str) -> None:
    with pytest.raises(Rejected):
        version_of(said)
