"""Cursors are ours or refused; pages have a size."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import Rejected
from shoal.inventory.paging import CURSOR_CHARACTERS_MAX, PAGE_ITEMS_MAX, check_limit, cursor_after, parse_cursor


@given(st.lists(st.text(max_size=60), min_size=1, max_size=3))
def test_a_cursor_leads_back_to_where_it_was_given_out(key: list[str]) -> None:
    cursor = cursor_after(*key)

    if len(cursor) <= CURSOR_CHARACTERS_MAX:
        assert parse_cursor(cursor, parts=len(key)) == tuple(key)
    assert cursor.isascii()


@given(st.text(max_size=80))
def test_any_text_is_a_cursor_of_ours_or_refused(raw: str) -> None:
    with contextlib.suppress(Rejected):
        assert len(parse_cursor(raw, parts=1)) == 1


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "a",
        "a" * (CURSOR_CHARACTERS_MAX + 1),
        "ø",
        cursor_after("name", "id"),
        base64.urlsafe_b64encode(b"[1]").decode(),
        base64.urlsafe_b64encode(b"{}").decode(),
    ],
)
def test_a_cursor_of_another_list_is_refused(raw: str) -> None:
    with pytest.raises(Rejected):
        parse_cursor(raw, parts=1)


@pytest.mark.parametrize("limit", [0, -1, PAGE_ITEMS_MAX + 1])
def test_a_page_has_at_least_one_item_and_at_most_500(limit: int) -> None:
    with pytest.raises(Rejected):
        check_limit(limit)

    assert check_limit(1) == 1
    assert check_limit(PAGE_ITEMS_MAX) == PAGE_ITEMS_MAX
