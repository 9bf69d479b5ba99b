"""Short ids: by which a device tells its servers apart (OMA LwM2M Core 1.1 §E.2)."""

from typing import Final

from shoal.errors import Rejected

# Under which a device knows us, where nothing else is said.
SHORT_ID: Final = 101
SHORT_ID_MAX: Final = 65_534  # 0 and 65535 stand for all others and for bootstrap in object 2 (§E.3)


def parse_short_id(raw: str) -> int:
    """The short id of a server, as somebody wrote it. Raises Rejected for anything but 1 to 65534."""
    text = raw.strip()
    # The length first: a number may have any.
    is_number = len(text) <= len(str(SHORT_ID_MAX)) and text.isascii() and text.isdecimal()
    if not is_number or not 1 <= int(text) <= SHORT_ID_MAX:
        raise Rejected("short id", f"{text[:12]!r} is no number from 1 to {SHORT_ID_MAX}")
    return int(text)
