"""Pre-shared keys and the identities they go with, as RFC 4279 and the devices in the field allow them."""

import secrets
import unicodedata
from typing import Final

from shoal.errors import Rejected

# AES-128 suites protect no more than this, and every client stack takes it.
KEY_BYTES_GENERATED: Final = 16
# Shorter keys fall to guessing: an eavesdropper of one handshake can try them without asking us (RFC 4279 §7.2).
KEY_BYTES_MIN: Final = 8
# RFC 4279 §5.3 asks implementations for keys of up to 64 bytes; longer ones fail on many devices.
KEY_BYTES_MAX: Final = 64
# RFC 4279 §5.3 asks implementations for identities of up to 128 bytes.
IDENTITY_BYTES_MAX: Final = 128


def generate_key() -> bytes:
    """A new key that nobody can guess."""
    return secrets.token_bytes(KEY_BYTES_GENERATED)


def parse_key(raw: str) -> bytes:
    """The key that somebody gave in hexadecimal; blanks and colons between the digits are passed over.

    Raises:
        Rejected: not hexadecimal, too short or too long. Never says the key.
    """
    digits = raw.strip().translate({ord(" "): None, ord(":"): None})
    try:
        key = bytes.fromhex(digits)
    except ValueError as error:
        raise Rejected("key", "not hexadecimal") from error
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise Rejected("key", f"{len(key)} bytes, expected {KEY_BYTES_MIN} to {KEY_BYTES_MAX}")
    return key


def parse_identity(raw: str) -> str:
    """The identity as the device will send it, byte for byte (RFC 4279 §5.1: UTF-8).

    Raises:
        Rejected: empty, longer than 128 bytes, or with characters that nobody can see.
    """
    size = len(raw.encode("utf-8", "surrogatepass"))
    if not raw or size > IDENTITY_BYTES_MAX:
        raise Rejected("identity", f"{size} bytes, expected 1 to {IDENTITY_BYTES_MAX}")
    # Control and format characters, lone surrogates; blanks at either end are a pasted mistake that nobody would find.
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs"} for character in raw) or raw != raw.strip():
        raise Rejected("identity", "holds characters that cannot be seen")
    return raw
