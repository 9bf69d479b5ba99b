"""Keys that are shown once, in a file: for its owner only, and only those that count."""

import csv
import errno
import os
import stat
from pathlib import Path

import pytest

from shoal.app.key_file import COLUMNS, KeyFile
from shoal.errors import Rejected, Unavailable
from shoal.ids import TenantId
from shoal.onboarding.adding import Added, WantedDevice, WantedProof, add
from shoal.onboarding.label import code_text
from tests.harness.installation import Installation


async def made(shoal: Installation, tenant: TenantId, endpoint: str, proof: WantedProof | None = None) -> Added:
    wanted = WantedDevice(endpoint=endpoint, name='Oxygen, "deep"', proof=proof or WantedProof())
    async with shoal.database.transaction() as tx:
        return await add(tx, shoal.inventory, shoal.credentials, tenant, wanted, by="Kari")


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


async def test_a_label_printer_finds_all_that_it_needs(shoal: Installation, tmp_path: Path) -> None:
    tenant = await shoal.create_tenant()
    one, given = await made(shoal, tenant, "oxy-1"), WantedProof(identity="oxy-2", key="00112233445566778899")
    with KeyFile(tmp_path / "keys.csv") as file:
        file.keep([one, await made(shoal, tenant, "oxy-2", given)])

    [row] = rows(tmp_path / "keys.csv")
    assert tuple(row) == COLUMNS
    assert (row["id"], row["endpoint"], row["name"], row["key"]) == (one.device.id, "oxy-1", 'Oxygen, "deep"', one.key)
    assert row["code"] == code_text("oxy-1", one.device.id, one.key or "")
    assert stat.S_IMODE((tmp_path / "keys.csv").stat().st_mode) == 0o600


async def test_a_full_disk_keeps_what_was_kept_and_nothing_of_the_rest(
    shoal: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await shoal.create_tenant()
    one, two = await made(shoal, tenant, "oxy-1"), await made(shoal, tenant, "oxy-2")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with KeyFile(tmp_path / "keys.csv") as file:
        file.keep([one])
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(Unavailable, match="No space left on device"):
            file.keep([two])
    with KeyFile(tmp_path / "none.csv") as file, pytest.raises(Unavailable):
        file.keep([one])

    assert [row["endpoint"] for row in rows(tmp_path / "keys.csv")] == ["oxy-1"]
    assert not (tmp_path / "none.csv").exists()


async def test_nothing_is_overwritten_and_without_a_key_there_is_no_file(shoal: Installation, tmp_path: Path) -> None:
    tenant = await shoal.create_tenant()
    one = await made(shoal, tenant, "oxy-1")
    (tmp_path / "keys.csv").write_text("mine")
    with KeyFile(tmp_path / "keys.csv") as file, pytest.raises(Rejected, match="nothing is overwritten"):
        file.keep([one])
    with KeyFile(tmp_path / "none.csv") as file:
        file.keep([await made(shoal, tenant, "cam-1", WantedProof(identity="cam-1", key="00112233445566778899"))])

    assert (tmp_path / "keys.csv").read_text() == "mine"
    assert not (tmp_path / "none.csv").exists()
