"""A file with devices, CSV or one JSON object a line, read row by row: whatever is in it, a row is a device or says why not.

A row is one line, so that a quote which nobody closed spoils one row and not the rest of the file.
"""

import codecs
import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Final

import msgspec

from shoal.credentials.psk import parse_identity, parse_key
from shoal.errors import Rejected
from shoal.ids import EnclosureId, Prefix, parse_id
from shoal.inventory.device import ENDPOINT_BYTES_MAX, Kind, Security, parse_device_kind, parse_endpoint, parse_security
from shoal.inventory.place import parse_name
from shoal.onboarding.adding import WantedDevice, WantedProof

# A header and 100,000 devices: what a whole company has. More goes in several files.
LINES_MAX: Final = 100_001
# All fields at their longest, twice over.
LINE_BYTES_MAX: Final = 4_096
COLUMNS: Final = ("endpoint", "kind", "enclosure", "name", "mode", "identity", "key")

# As spreadsheets write them, which depends on the country they are set to.
_DELIMITERS: Final = (",", ";", "\t")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the file at its line, counted from 1. `fault` is there when it is no device that could be."""

    line: int
    endpoint: str
    wanted: WantedDevice | None = None
    fault: Rejected | None = None


class _ProofLine(msgspec.Struct, forbid_unknown_fields=True):
    mode: str = ""
    identity: str | None = None
    key: str | None = None


class _DeviceLine(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /devices`, as far as a file has it."""

    endpoint: str
    kind: str | None = None
    enclosure: str | None = None
    name: str | None = None
    security: _ProofLine = msgspec.field(default_factory=_ProofLine)


def read_rows(file: IO[bytes], lines_max: int = LINES_MAX) -> Iterator[Row]:
    """The rows of a file: of JSON objects when it begins with one, else of CSV with a header.

    Raises:
        Rejected: not UTF-8 at all, a header without `endpoint` or with a column that we do not know, too many lines.
    """
    lines = _lines(file, lines_max)
    first = next(lines, None)
    if first is None:
        raise Rejected("file", "there is nothing in it")
    number, text = first
    if isinstance(text, Rejected):
        raise Rejected(f"line {number}", text.reason) from text
    if text.startswith("{"):
        yield _row(number, text, _fields_of_json)
        fields_of: Callable[[str], Mapping[str, str]] = _fields_of_json
    else:
        fields_of = _Columns(number, text).fields
    for number, line in lines:
        yield _faulty(number, "", line) if isinstance(line, Rejected) else _row(number, line, fields_of)


def parse_device(fields: Mapping[str, str]) -> WantedDevice:
    """The device that the fields of a row, by column, are about. Empty is as good as left out.

    Raises:
        Rejected: a field that cannot be what it is called.
        MistypedId: the enclosure's id.
    """
    said = {name: value.strip() for name, value in fields.items() if value.strip()}
    mode = parse_security(said.get("mode", Security.PSK.value))
    identity, key = said.get("identity"), said.get("key")
    if key is not None and identity is None:
        raise Rejected("identity", "a key that the device has already comes with its identity")
    if identity is not None:
        parse_identity(identity)
    if key is not None:
        parse_key(key)
    return WantedDevice(
        endpoint=parse_endpoint(said.get("endpoint", "")),
        kind=parse_device_kind(said.get("kind", Kind.SENSOR.value)),
        name=parse_name(said["name"]) if "name" in said else None,
        enclosure=EnclosureId(parse_id(said["enclosure"], Prefix.ENCLOSURE)) if "enclosure" in said else None,
        proof=WantedProof(mode=mode, identity=identity, key=key),
    )


class _Columns:
    """The header of a CSV file (RFC 4180 §2), and what it makes of the lines below it."""

    def __init__(self, number: int, text: str) -> None:
        self._delimiter = max(_DELIMITERS, key=text.count)
        self._names = [name.strip().lower() for name in _cells(text, self._delimiter)]
        known = [name for name in self._names if name in COLUMNS]
        if known != self._names or len(set(known)) != len(known) or "endpoint" not in known:
            raise Rejected(
                f"line {number}",
                f"expected the columns {', '.join(COLUMNS)}, of which only endpoint must be; or one JSON object a line",
            )

    def fields(self, text: str) -> Mapping[str, str]:
        cells = _cells(text, self._delimiter)
        if len(cells) != len(self._names):
            raise Rejected("row", f"{len(cells)} fields, expected {len(self._names)}")
        return dict(zip(self._names, cells, strict=True))


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise Rejected("row", f"is no CSV: {error}") from error


def _fields_of_json(text: str) -> Mapping[str, str]:
    try:
        said = msgspec.json.decode(text, type=_DeviceLine)
    except (msgspec.MsgspecError, UnicodeError) as error:
        # It tells where, and never what stands there.
        raise Rejected("row", f"is no device in JSON: {error}") from error
    fields = {name: getattr(said, name) for name in ("endpoint", "kind", "enclosure", "name")}
    fields |= {name: getattr(said.security, name) for name in ("mode", "identity", "key")}
    return {name: value for name, value in fields.items() if value is not None}


def _row(number: int, text: str, fields_of: Callable[[str], Mapping[str, str]]) -> Row:
    endpoint = ""
    try:
        fields = fields_of(text)
        endpoint = fields["endpoint"]
        return Row(number, endpoint.strip(), wanted=parse_device(fields))
    except Rejected as error:
        return _faulty(number, endpoint, error)


def _faulty(number: int, endpoint: str, fault: Rejected) -> Row:
    shown = "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in endpoint.strip()[:ENDPOINT_BYTES_MAX]
    )
    return Row(number, shown, fault=fault)


def _lines(file: IO[bytes], lines_max: int) -> Iterator[tuple[int, str | Rejected]]:
    """The lines that are not empty, with their numbers, none of them longer than there can be a reason for."""
    number = 0
    while raw := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        if number == 1:
            if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise Rejected("file", "is UTF-16: save it as UTF-8 (spreadsheets call it CSV UTF-8)")
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if number > lines_max:
            raise Rejected("file", f"more than {lines_max} lines: split it")
        if len(raw) > LINE_BYTES_MAX:
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(LINE_BYTES_MAX + 1)
            yield number, Rejected("row", f"longer than {LINE_BYTES_MAX} bytes")
            continue
        try:
            text = raw.decode("utf-8").strip("\r\n")
        except UnicodeDecodeError:
            yield number, Rejected("row", "is not UTF-8: save the file as UTF-8")
            continue
        if text.strip():
            yield number, text
