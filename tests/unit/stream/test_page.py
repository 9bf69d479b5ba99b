"""Pages come apart into the records they were made of."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.stream.log import Entry
from shoal.stream.page import ENTRIES, JSON, ZSTD, UnreadablePage, key_of, pack, unpack

LINES = b'{"device":"dev-1","type":"awake"}\n{"type":"heartbeat","partition":0}\n'


@given(st.lists(st.builds(Entry, st.text(max_size=10), st.binary(max_size=30))))
def test_entries_hold_any_bytes(entries: list[Entry]) -> None:
    assert unpack(ENTRIES, pack(entries), len(entries), None) == entries


def test_a_page_of_the_gateway_is_a_record_a_line() -> None:
    first, second = LINES.splitlines()

    assert unpack(JSON, LINES, 2, None) == [Entry("dev-1", first), Entry("", second)]
    assert unpack(JSON, LINES.rstrip(b"\n"), 2, None) == [Entry("dev-1", first), Entry("", second)]


def test_a_compressed_page_is_restored_by_what_we_were_given() -> None:
    assert unpack(ZSTD, zlib.compress(LINES), 2, zlib.decompress) == unpack(JSON, LINES, 2, None)


@pytest.mark.parametrize(
    ("codec", "body", "count"),
    [
        ("lzma", LINES, 2),
        (ZSTD, LINES, 2),
        (JSON, LINES, 3),
        (ENTRIES, b"\xff\xff", 1),
        (ENTRIES, pack([Entry("a", b"1")]), 2),
    ],
)
def test_a_page_that_is_not_what_it_should_be_is_told(codec: str, body: bytes, count: int) -> None:
    with pytest.raises(UnreadablePage):
        unpack(codec, body, count, None)


def test_a_damaged_compressed_page_is_told_whatever_the_decompressor_raises() -> None:
    with pytest.raises(UnreadablePage):
        unpack(ZSTD, b"no zlib", 1, zlib.decompress)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (b'{"device":"dev-1","identity":"i","endpoint":"e"}', "dev-1"),
        (b'{"type":"security","identity":"i","endpoint":"e"}', "i"),
        (b'{"endpoint":"e"}', "e"),
        (b'{"type":"heartbeat"}', ""),
        (b"no event \xff", ""),
        (b'{"device":7}', ""),
    ],
)
def test_the_key_is_what_the_event_is_about(line: bytes, key: str) -> None:
    assert key_of(line) == key
