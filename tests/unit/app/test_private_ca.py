"""The desk of the private CA: files that are new, rows that are whole."""

from pathlib import Path

import pytest

from shoal.app import private_ca
from shoal.app.private_ca import Wanted, files_of, read_devices
from shoal.errors import Rejected
from tests.harness.requests import request


def test_certificate_and_key_lie_beside_each_other(tmp_path: Path) -> None:
    assert files_of(tmp_path / "oxy.1") == (tmp_path / "oxy.1.pem", tmp_path / "oxy.1.key")


def test_devices_are_read_with_their_requests(tmp_path: Path) -> None:
    (tmp_path / "b.csr").write_bytes(request("b"))
    file = tmp_path / "devices.csv"
    file.write_text("endpoint,uri,csr\na,urn:a:1,\nb,,b.csr\n")

    assert read_devices(file) == [Wanted("a", ("urn:a:1",)), Wanted("b", (), tmp_path / "b.csr")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "columns"),
        ("endpoint\n", "no devices"),
        ("endpoint,other\na,b\n", "columns"),
        ("endpoint\na,b\n", "line 2: row"),
        ("endpoint\na\na\n", "line 3: endpoint: stands there twice"),
        ("endpoint\n../a\n", "name of a file"),
        ("endpoint\n.a\n", "name of a file"),
        ("endpoint,uri\na,x\n", "line 2: uris"),
        ("endpoint,csr\na,absent\n", "line 2: .*absent"),
        ('endpoint\n"a\n', "cannot be read"),
        ("endpoint\n" + "\n".join(" " for _ in range(9)), "and 4 more"),
    ],
)
def test_what_is_wrong_is_told_by_its_line(text: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "devices.csv"
    file.write_text(text)

    with pytest.raises(Rejected, match=reason):
        read_devices(file)


def test_a_file_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_ca, "ROWS_MAX", 2)
    file = tmp_path / "devices.csv"
    file.write_text("endpoint\na\nb\nc\n")

    with pytest.raises(Rejected, match="split it"):
        read_devices(file)
