"""A file with devices: as people write them, as programs write them, and as somebody sends who means harm."""

import codecs
import csv
import io
import json
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import Rejected
from shoal.inventory.device import Kind, Security
from shoal.onboarding.adding import WantedDevice, WantedProof
from shoal.onboarding.file import COLUMNS, LINE_BYTES_MAX, Row, read_rows

HEADER = b"endpoint,kind,enclosure,name,mode,identity,key\n"


def rows(raw: bytes) -> list[Row]:
    return list(read_rows(io.BytesIO(raw)))


def why(raw: bytes) -> list[tuple[int, str]]:
    return [(row.line, str(row.fault)) for row in rows(raw) if row.fault is not None]


def test_a_row_is_a_device_with_all_that_is_said_of_it() -> None:
    [row] = rows(
        HEADER
        + b"oxy-1,camera,enc-7k3m2qxv, Oxygen ,psk,urn:oxy,00:11:22:33:44:55:66:77\n".replace(b"enc-7k3m2qxv", b"")
    )

    assert row.line == 2
    assert row.wanted == WantedDevice(
        endpoint="oxy-1",
        kind=Kind.CAMERA,
        name="Oxygen",
        proof=WantedProof(identity="urn:oxy", key="00:11:22:33:44:55:66:77"),
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"endpoint\noxy-1\noxy-2\n",
        b"endpoint\r\noxy-1\r\n\r\noxy-2",
        codecs.BOM_UTF8 + b"Endpoint ,kind\noxy-1,\noxy-2,sensor\n",
        b'kind;endpoint\n;"oxy-1"\nsensor;oxy-2\n',
        b"endpoint\tname\noxy-1\t\noxy-2\toxy-2\n",
        b'{"endpoint": "oxy-1"}\n\n{"endpoint": "oxy-2", "kind": "sensor", "security": {"mode": "psk"}}\n',
    ],
)
def test_it_is_read_as_whoever_wrote_it_meant_it(raw: bytes) -> None:
    assert [row.wanted and row.wanted.endpoint for row in rows(raw)] == ["oxy-1", "oxy-2"]


def test_a_line_of_json_is_the_body_of_a_request() -> None:
    body = {"endpoint": "cam-1", "kind": "camera", "name": "Camera", "security": {"mode": "x509"}}
    [row] = rows(json.dumps(body).encode())

    assert row.wanted == WantedDevice(
        endpoint="cam-1", kind=Kind.CAMERA, name="Camera", proof=WantedProof(mode=Security.X509)
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"oxy-1,,,,,,", None),
        (b",,,,,,", "endpoint: 0 bytes"),
        (b"oxy-1,fish,,,,,", "neither sensor nor camera"),
        (b"oxy-1,,pen 1,,,,", "not of the form enc-XXXXXXXX"),
        (b"oxy-1,,,,magic,,", "neither psk nor x509 nor none"),
        (b"oxy-1,,,,,oxy,beef", "2 bytes, expected 8 to 64"),
        (b"oxy-1,,,,,oxy,hello", "not hexadecimal"),
        (b"oxy-1,,,,,,00112233445566778899", "comes with its identity"),
        (b"oxy-1,,,,x509,oxy,", "has neither identity nor key"),
        (b"oxy-1,,", "3 fields, expected 7"),
        (b"oxy-1,,,,,,,", "8 fields, expected 7"),
        (b'"oxy-1,,,,,,', "is no CSV"),
        (b"oxy\0-1,,,,,,", "cannot be seen"),
        (b"oxy-1\rcam-1,,,,,,", "is no CSV"),
        (b"\xf8yvind,,,,,,", "is not UTF-8"),
        (b"oxy-1,,," + b"x" * LINE_BYTES_MAX + b",,,", "longer than"),
        (b"oxy-1,,," + b"x" * 200 + b",,,", "expected 1 to"),
        ("oxy-1,,,,,\u202eoxy,".encode(), "cannot be seen"),
    ],
)
def test_a_row_that_is_wrong_says_why_and_spoils_no_other(line: bytes, reason: str | None) -> None:
    found = rows(HEADER + line + b"\noxy-9,,,,,,\n")

    assert [row.line for row in found] == [2, 3]
    assert found[1].wanted == WantedDevice(endpoint="oxy-9")
    assert (found[0].fault is None) == (reason is None)
    assert reason is None or reason in str(found[0].fault)
    assert found[0].endpoint.isprintable()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"endpoint": 1}', "is no device in JSON"),
        (b'{"endpoint": "oxy-1", "colour": "red"}', "colour"),
        (b'{"endpoint": "oxy-1"', "is no device in JSON"),
        (b'{"endpoint": "\\ud800"}', ""),
        (b"oxy-1", "is no device in JSON"),
        (b"[" * 4_000, "is no device in JSON"),
        (b'{"endpoint": "oxy-1", "security": {"key": "topsecret"}}', "comes with its identity"),
    ],
)
def test_a_line_of_json_that_is_wrong_says_why(line: bytes, reason: str) -> None:
    [(number, said)] = why(b'{"endpoint": "oxy-9"}\n' + line)

    assert number == 2
    assert reason in said
    assert "topsecret" not in said


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "nothing in it"),
        (b"\n\n\n", "nothing in it"),
        (b"name,kind\n", "of which only endpoint must be"),
        (b"endpoint,serial\noxy-1,7\n", "expected the columns"),
        (b"endpoint,endpoint\n", "expected the columns"),
        ("endpoint\noxy-1\n".encode("utf-16"), "is UTF-16: save it as UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "not UTF-8"),
        (b"x" * (LINE_BYTES_MAX + 1), "longer than"),
        (b'"endpoint\n', "is no CSV"),
    ],
)
def test_what_is_no_such_file_is_refused_as_a_whole(raw: bytes, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        rows(raw)


def test_a_file_has_an_end() -> None:
    assert len(list(read_rows(io.BytesIO(b"endpoint\na\nb\n"), lines_max=3))) == 2
    with pytest.raises(Rejected, match="more than 3 lines"):
        list(read_rows(io.BytesIO(b"endpoint\na\nb\nc\n"), lines_max=3))


class Endless(io.RawIOBase):
    """A file of 100 MB without a single end of line."""

    def __init__(self) -> None:
        self._left = 100 * 1024**2
        self._begins = HEADER

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        piece = self._begins or b"x" * min(self._left, len(buffer))
        self._left -= 0 if self._begins else len(piece)
        self._begins = b""
        buffer[: len(piece)] = piece
        return len(piece)


def test_a_line_without_an_end_takes_no_memory() -> None:
    tracemalloc.start()
    [row] = read_rows(io.BufferedReader(Endless()))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert "longer than" in str(row.fault)
    assert most < 1024**2


@given(st.binary(max_size=600))
def test_any_bytes_are_rows_or_a_refusal(raw: bytes) -> None:
    for begin in (b"", HEADER, b'{"endpoint": "a"}\n'):
        try:
            found = rows(begin + raw)
        except Rejected:
            continue
        assert all((row.wanted is None) != (row.fault is None) for row in found)
        assert all(row.endpoint.isprintable() for row in found if row.fault is not None)


names = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)


@given(st.lists(st.tuples(names, st.sampled_from(list(Kind)), names, st.binary(min_size=8, max_size=64)), max_size=20))
def test_what_a_program_writes_is_what_is_read(wanted: Sequence[tuple[str, Kind, str, bytes]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows((name, kind, "", name, "psk", identity, key.hex()) for name, kind, identity, key in wanted)

    found = rows(text.getvalue().encode())

    assert [row.wanted for row in found] == [
        WantedDevice(endpoint=name, kind=kind, name=name, proof=WantedProof(identity=identity, key=key.hex()))
        for name, kind, identity, key in wanted
    ]
