"""Whole numbers as a page can keep them: a browser rounds what is larger than 2^53."""

from typing import Final

from pydantic import JsonValue

_SAFE_MAX: Final = 2**53 - 1


def exact(value: JsonValue) -> JsonValue:
    """The value, with whole numbers that a browser would round as text."""
    match value:
        case bool():
            return value
        case int() if abs(value) > _SAFE_MAX:
            return str(value)
        case dict():
            return {name: exact(each) for name, each in value.items()}
        case list():
            return [exact(each) for each in value]
        case _:
            return value
