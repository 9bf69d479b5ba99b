"""How records lie in a page: as the gateway made them (one JSON event a line), or as entries with their keys."""

from collections.abc import Sequence
from typing import Final

import msgspec

from shoal.errors import ShoalError
from shoal.stream.log import Decompress, Entry

JSON: Final = "json"
ZSTD: Final = "zstd"
ENTRIES: Final = "entries"

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[tuple[str, bytes]])


class _Keyed(msgspec.Struct):
    """What the key of a gateway's event is made of (`DeviceEvent.key`)."""

    device: str | None = None
    identity: str | None = None
    endpoint: str | None = None


_KEYS: Final = msgspec.json.Decoder(_Keyed)


class UnreadablePage(ShoalError):
    """A page is not what its writer wrote: the file was damaged, or is of a newer Shoal."""


def pack(entries: Sequence[Entry]) -> bytes:
    """Entries in one body: any bytes, with their keys."""
    return _ENCODER.encode([(entry.key, entry.value) for entry in entries])


def unpack(codec: str, body: bytes, count: int, decompress: Decompress | None) -> list[Entry]:
    """The entries of a page.

    Raises:
        UnreadablePage: a codec that we do not know, a damaged body, not as many records as the page should have.
    """
    try:
        entries = _unpacked(codec, body, decompress)
    except Exception as error:  # a decompressor raises what it likes
        raise UnreadablePage(codec, str(error)) from error
    if len(entries) != count:
        raise UnreadablePage(codec, f"{len(entries)} records instead of {count}")
    return entries


def key_of(line: bytes) -> str:
    """The key of an event as the gateway wrote it; empty for a heartbeat, and for what is no event at all."""
    try:
        keyed = _KEYS.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return keyed.device or keyed.identity or keyed.endpoint or ""


def _unpacked(codec: str, body: bytes, decompress: Decompress | None) -> list[Entry]:
    if codec == ENTRIES:
        return [Entry(key, value) for key, value in _DECODER.decode(body)]
    if codec == ZSTD and decompress is not None:
        body = decompress(body)
    elif codec != JSON:
        raise ValueError(f"codec {codec} is not known here")
    return [Entry(key_of(line), line) for line in body.split(b"\n") if line]
