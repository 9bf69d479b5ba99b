"""Keys find their partition, the same in Python and in the Rust core."""

import pytest

from shoal.stream.log import OffsetOutOfRange, Slice, partition_of


@pytest.mark.parametrize(
    ("key", "digest"),
    # Published vectors of FNV-1a, 64 bits.
    [("", 0xCBF29CE484222325), ("a", 0xAF63DC4C8601EC8C), ("foobar", 0x85944171F73967E8)],
)
def test_the_hash_is_fnv_1a(key: str, digest: int) -> None:
    for partitions in (1, 2, 4, 7, 48, 256):
        assert partition_of(key, partitions) == digest % partitions


def test_caught_up_means_that_nothing_is_left() -> None:
    assert Slice([], 7, 7).is_caught_up
    assert not Slice([], 6, 7).is_caught_up


def test_a_missing_offset_is_told_with_what_there_is() -> None:
    assert str(OffsetOutOfRange("t", 1, 5, 10, 20)) == "t/1: offset 5 is outside 10 to 20"
