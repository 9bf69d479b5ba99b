"""An artifact: what it replaces, how it is labelled, and where devices fetch it."""

import hashlib
from datetime import UTC, datetime

import msgspec
import pytest

from shoal.campaigns.artifact import NAME_CHARACTERS_MAX, Artifact, ArtifactKind, parse_kind, parse_label
from shoal.errors import Rejected

ARTIFACT = Artifact(
    id="art-1",
    tenant="ten-1",
    kind=ArtifactKind.MODEL,
    name="fish-count",
    version="2.1.0",
    size=3,
    sha256=hashlib.sha256(b"abc").hexdigest(),
    created_at=datetime(2026, 11, 1, tzinfo=UTC),
)


def test_other_bytes_have_another_path_and_another_etag() -> None:
    other = msgspec.structs.replace(ARTIFACT, sha256=hashlib.sha256(b"abd").hexdigest())

    assert ARTIFACT.path == "/fw/ba7816bf8f01cfea414140de5dae2223"
    assert ARTIFACT.etag.hex() == "ba7816bf8f01cfea"
    assert (other.path, other.etag) != (ARTIFACT.path, ARTIFACT.etag)
    # RFC 7252 §5.10.6: an ETag has 1 to 8 bytes; LwM2M Core 1.1 §E.6: a Package URI at most 255.
    assert len(ARTIFACT.etag) == 8
    assert len("coaps://[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535" + ARTIFACT.path) <= 255


def test_a_kind_is_one_of_two() -> None:
    assert [parse_kind("firmware"), parse_kind("model")] == list(ArtifactKind)
    with pytest.raises(Rejected):
        parse_kind("config")


@pytest.mark.parametrize("raw", ["", "   ", "x" * (NAME_CHARACTERS_MAX + 1), "2.1\n0", "2.1\x00"])
def test_a_label_is_a_line_that_prints(raw: str) -> None:
    assert parse_label(" 2.1.0-rc1 ", "version") == "2.1.0-rc1"
    with pytest.raises(Rejected) as caught:
        parse_label(raw, "version")
    assert caught.value.subject == "version"
