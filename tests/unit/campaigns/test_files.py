"""The bytes of artifacts: whole under their digest or not there, bounded, and checked before a device gets them."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shoal.campaigns import files as files_module
from shoal.campaigns.files import ArtifactFiles
from shoal.errors import Conflict, NotFound, Rejected, Unavailable


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.fixture
def files(tmp_path: Path) -> ArtifactFiles:
    return ArtifactFiles(tmp_path / "artifacts")


async def test_a_file_is_kept_under_its_digest(files: ArtifactFiles, tmp_path: Path) -> None:
    kept = await files.keep(chunks(b"fish", b"", b"-count"))

    assert (kept.sha256, kept.size) == (hashlib.sha256(b"fish-count").hexdigest(), 10)
    assert files.path(kept.sha256).read_bytes() == b"fish-count"
    assert await files.checked(kept.sha256) == files.path(kept.sha256)
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == [kept.sha256]


async def test_the_same_bytes_twice_are_one_file(files: ArtifactFiles, tmp_path: Path) -> None:
    assert await files.keep(chunks(b"fish-count")) == await files.keep(chunks(b"fish", b"-count"))
    assert len(list((tmp_path / "artifacts").iterdir())) == 1


async def test_a_file_that_is_too_large_or_empty_leaves_nothing_behind(
    files: ArtifactFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "SIZE_BYTES_MAX", 8)
    await files.keep(chunks(b"1234", b"5678"))

    for parts in ((b"1234", b"5678", b"9"), (), (b"",)):
        with pytest.raises(Rejected):
            await files.keep(chunks(*parts))

    assert len(list((tmp_path / "artifacts").iterdir())) == 1


async def test_an_upload_that_breaks_off_leaves_nothing_behind(files: ArtifactFiles, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"fish"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await files.keep(broken())

    assert list((tmp_path / "artifacts").iterdir()) == []


async def test_damage_is_found_before_a_device_fetches_it_and_mended_by_the_same_file(files: ArtifactFiles) -> None:
    kept = await files.keep(chunks(b"fish-count"))
    files.path(kept.sha256).write_bytes(b"fish-cXunt")

    with pytest.raises(Conflict, match="damaged"):
        await files.checked(kept.sha256)
    await files.keep(chunks(b"fish-count"))

    assert (await files.checked(kept.sha256)).read_bytes() == b"fish-count"


async def test_what_is_not_there_is_not_found(files: ArtifactFiles) -> None:
    with pytest.raises(NotFound):
        files.path("00" * 32)
    with pytest.raises(NotFound):
        await files.checked("00" * 32)


async def test_a_folder_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("a file where the folder should be")

    with pytest.raises(Unavailable) as caught:
        await ArtifactFiles(tmp_path / "artifacts").keep(chunks(b"x"))

    assert caught.value.neighbour == "artifacts"
    assert caught.value.remedy
