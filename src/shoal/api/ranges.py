"""Which bytes of a file a request asks for (RFC 9110 §14): one range or all of it."""

import re
from typing import Final

from shoal.errors import Rejected

_ONE_RANGE: Final = re.compile(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*", re.IGNORECASE)


class Unsatisfiable(Rejected):
    """None of the bytes that were asked for are there."""

    kind = "range-not-satisfiable"


def wanted(header: str | None, if_range: str | None, etag: str, size: int) -> range | None:
    """The bytes that are wanted; None for all of them.

    A device that goes on with what it has says with If-Range which file that was: of another it gets all. What we do not
    understand, and several ranges at once, are answered as if no range had been asked for (§14.2).

    Raises:
        Unsatisfiable: a range that begins behind the end.
    """
    match = _ONE_RANGE.fullmatch(header) if header is not None else None
    # §13.1.5: compared as a strong validator; a date is none that we ever gave out.
    if match is None or (if_range is not None and if_range.strip() != etag):
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        count = min(int(last), size)
        if count == 0:
            raise Unsatisfiable("Range", f"the file has {size} bytes")
        return range(size - count, size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable("Range", f"the file has {size} bytes")
    return range(start, min(int(last) + 1, size) if last else size)
