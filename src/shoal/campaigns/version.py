"""Versions as devices write them: compared whole, equal or not, never as text within text."""

import re
from typing import Final, TypeAlias

_SEPARATORS: Final = re.compile(r"[.\-+_ ]")
Version: TypeAlias = tuple[int | str, ...]


def parse_version(raw: str) -> Version:
    """The parts of a version; numbers count as numbers, and a leading v as nothing: "v1.02" is (1, 2)."""
    text = raw.strip().lower()
    if text[:1] == "v" and text[1:2].isdigit():
        text = text[1:]
    return tuple(int(part) if part.isascii() and part.isdigit() else part for part in _SEPARATORS.split(text))


def is_same(one: str, other: str) -> bool:
    """Whether two texts name the same version."""
    return parse_version(one) == parse_version(other)
