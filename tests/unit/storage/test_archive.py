"""A backup in one file: whole or refused, and never a way out of the folder."""

import gzip
import io
import stat
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoal.errors import Rejected, Unavailable
from shoal.storage.archive import MANIFEST, Manifest, Part, manifest_of, pack, part, unpack

ARTIFACT = "artifacts/" + "a" * 64
CONTENT = {"shoal.db": b"tables" * 1_000, "log.db": b"", ARTIFACT: b"firmware"}


def manifest(parts: list[Part]) -> Manifest:
    return Manifest(
        shoal="1.2.3",
        schema="0007",
        database="sqlite",
        made_at=datetime(2026, 11, 1, tzinfo=UTC),
        master_keys=["00112233"],
        parts=parts,
    )


def packed(folder: Path, content: dict[str, bytes] = CONTENT) -> Path:
    files = []
    for name, data in content.items():
        path = folder / "from" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        files.append((part(name, path), path))
    target = folder / "backup"
    pack(target, manifest([said for said, _ in files]), files)
    return target


def by_hand(folder: Path, said: Manifest, members: dict[str, bytes]) -> Path:
    path = folder / "by-hand"
    with tarfile.open(path, "w:gz") as tar:
        for name, data in {MANIFEST: msgspec.json.encode(said), **members}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def empty(folder: Path) -> Path:
    target = folder / "to"
    target.mkdir()
    return target


def test_what_was_packed_comes_back_byte_for_byte(tmp_path: Path) -> None:
    backup, target = packed(tmp_path), empty(tmp_path)

    said = unpack(backup, target)

    assert {name: (target / name).read_bytes() for name in said.names()} == CONTENT
    assert (said.shoal, said.schema, said.master_keys) == ("1.2.3", "0007", ["00112233"])
    assert manifest_of(backup) == said


def test_it_is_for_its_owner_alone_and_never_written_over(tmp_path: Path) -> None:
    backup = packed(tmp_path)
    before = backup.read_bytes()

    with pytest.raises(Rejected, match="is there already"):
        packed(tmp_path)

    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert backup.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "from"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10_000_000), change=st.integers(1, 255))
def test_a_changed_byte_is_refused_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, position: int, change: int
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    # Inside the packing: there a changed byte is told by the packing's own sum, here by ours.
    changed = bytearray(gzip.decompress(packed(tmp_path_factory.mktemp("whole")).read_bytes()))
    changed[position % len(changed)] ^= change
    (folder / "backup").write_bytes(gzip.compress(changed, 1))
    target = empty(folder)

    try:
        said = unpack(folder / "backup", target)
    except Rejected:
        return
    # The byte was in what fills a block, or in a date.
    assert {name: (target / name).read_bytes() for name in said.names()} == CONTENT


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.8])
def test_a_file_that_ends_too_early_is_refused(tmp_path: Path, share: float) -> None:
    backup = packed(tmp_path)
    data = backup.read_bytes()
    backup.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(Rejected):
        unpack(backup, empty(tmp_path))


@pytest.mark.parametrize("name", ["../shoal.db", "/etc/passwd", "artifacts/../../x", "shoal.db-wal", "artifacts/short"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    backup = by_hand(tmp_path, manifest([Part(name, 1, "0" * 64)]), {name: b"x"})

    with pytest.raises(Rejected, match="no place in a data folder"):
        unpack(backup, empty(tmp_path))


def test_what_the_manifest_does_not_name_is_refused(tmp_path: Path) -> None:
    backup = by_hand(tmp_path, manifest([]), {"shoal.db": b"x"})

    with pytest.raises(Rejected, match="not what the manifest says"):
        unpack(backup, empty(tmp_path))


def test_what_only_the_manifest_names_is_missed(tmp_path: Path) -> None:
    backup = by_hand(tmp_path, manifest([Part("shoal.db", 1, "0" * 64)]), {})

    with pytest.raises(Rejected, match=r"shoal\.db is missing"):
        unpack(backup, empty(tmp_path))


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    backup = by_hand(tmp_path, manifest([Part("shoal.db", 1, "0" * 64)]), {"shoal.db": b"x"})

    with pytest.raises(Rejected, match="checksum"):
        unpack(backup, empty(tmp_path))


@pytest.mark.parametrize("head", [b"{", b"[]", b'{"format": "\xff"}', b'{"format": 1}'])
def test_a_manifest_that_cannot_be_read_is_damage(tmp_path: Path, head: bytes) -> None:
    with tarfile.open(tmp_path / "backup", "w:gz") as tar:
        member = tarfile.TarInfo(MANIFEST)
        member.size = len(head)
        tar.addfile(member, io.BytesIO(head))

    with pytest.raises(Rejected, match="its manifest cannot be read"):
        manifest_of(tmp_path / "backup")


def test_a_newer_format_is_left_to_whoever_knows_it(tmp_path: Path) -> None:
    newer = msgspec.structs.replace(manifest([]), format=2)

    with pytest.raises(Rejected, match="newer Shoal"):
        manifest_of(by_hand(tmp_path, newer, {}))


def test_a_photo_is_no_backup(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(b"JFIF")
    with tarfile.open(tmp_path / "other.tgz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("holiday"))

    with pytest.raises(Rejected):
        manifest_of(tmp_path / "photo")
    with pytest.raises(Rejected, match="no backup of Shoal"):
        manifest_of(tmp_path / "other.tgz")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        pack(tmp_path / "none" / "backup", manifest([]), [])
    with pytest.raises(Unavailable, match="No such file"):
        manifest_of(tmp_path / "none")
