"""Which bytes are wanted: RFC 9110 §14."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.api.ranges import Unsatisfiable, wanted

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("bytes=0-", range(1_000)),
        ("bytes=0-99", range(100)),
        ("bytes=900-5000", range(900, 1_000)),
        ("bytes=999-999", range(999, 1_000)),
        ("bytes=-100", range(900, 1_000)),
        ("bytes=-5000", range(1_000)),
        ("Bytes=10-20", range(10, 21)),
        # What is no single range of bytes is answered with all of it.
        ("bytes=-", None),
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("bytes=a-b", None),
        ("bytes=0-" + "9" * 40, None),
    ],
)
def test_one_range_or_all(header: str | None, part: range | None) -> None:
    assert wanted(header, None, ETAG, 1_000) == part


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-2000", "bytes=-0"])
def test_what_begins_behind_the_end_is_not_there(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        wanted(header, None, ETAG, 1_000)


@pytest.mark.parametrize(
    ("if_range", "part"),
    [(ETAG, range(500, 1_000)), ('"other"', None), (f"W/{ETAG}", None), ("Sun, 01 Nov 2026 06:00:00 GMT", None)],
)
def test_a_range_of_another_file_is_all_of_this_one(if_range: str, part: range | None) -> None:
    assert wanted("bytes=500-", if_range, ETAG, 1_000) == part


@given(st.text(max_size=40) | st.from_regex(r"bytes=\d{0,5}-\d{0,5}", fullmatch=True), st.integers(1, 5_000))
def test_whatever_is_asked_no_byte_outside_the_file_is_given(header: str, size: int) -> None:
    try:
        part = wanted(header, None, ETAG, size)
    except Unsatisfiable:
        return
    assert part is None or (0 <= part.start < part.stop <= size)
