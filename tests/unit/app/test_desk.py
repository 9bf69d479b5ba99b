"""The desk at a shell: files that are new, devices as people name them, and who did what."""

import os
from pathlib import Path

import pytest

from shoal.access.decision import Place
from shoal.access.policy import Operation
from shoal.app.desk import Desk, write_new
from shoal.audit.store import Audit
from shoal.errors import NotFound, Rejected
from shoal.ids import MistypedId, TenantId
from tests.harness.installation import Installation


def test_a_file_is_written_once_and_a_secret_for_its_owner_only(tmp_path: Path) -> None:
    write_new(tmp_path / "a.key", b"one", is_secret=True)

    with pytest.raises(Rejected, match="overwritten"):
        write_new(tmp_path / "a.key", b"two")
    with pytest.raises(Rejected, match="No such file"):
        write_new(tmp_path / "absent" / "a.key", b"two")
    assert (tmp_path / "a.key").read_bytes() == b"one"
    assert (tmp_path / "a.key").stat().st_mode & 0o077 == 0


async def test_a_device_is_meant_by_its_endpoint_or_by_its_id(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant, "dev-board-1")
    desk = Desk(shoal.database, shoal.vault, tenant, "device show")

    assert (await desk.device("dev-board-1")).id == device.id
    assert (await desk.device(device.id.lower())).id == device.id
    with pytest.raises(NotFound, match="shoal device list"):
        await desk.device("board")
    with pytest.raises(MistypedId):
        await desk.device("dev-board-2")


async def test_what_is_done_is_told_with_who_did_it_or_is_not_done(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    desk = Desk(shoal.database, shoal.vault, tenant, "device add")
    async with desk.doing("create", "devices") as doing:
        doing.thing, doing.after = "dev-1", {"name": "one"}
    with pytest.raises(Rejected):
        async with desk.doing("create", "devices"):
            raise Rejected("device", "no")

    [entry] = await Audit(shoal.database).entries(tenant)
    assert (entry.by, entry.by_name, entry.act.path) == ("command line", desk.by, "shoal device add")
    assert (entry.act.thing, entry.after) == ("dev-1", {"name": "one"})


async def test_a_desk_sees_all_of_its_tenant_and_nothing_of_another(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    desk = Desk(shoal.database, shoal.vault, tenant, "device show")

    assert desk.can(Operation.READ, Place(tenant=tenant))
    assert not desk.can(Operation.READ, Place(tenant=TenantId("ten-2")))


async def test_whoever_has_no_name_on_this_machine_is_told_by_number(
    shoal: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987_654)
    tenant = await shoal.create_tenant()

    assert Desk(shoal.database, shoal.vault, tenant, "device add").by == "uid 987654"
