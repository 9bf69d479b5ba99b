"""A terminal in a folder with a Shoal in it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from shoal.audit.store import Audit
from shoal.clock import SystemClock
from shoal.ids import TenantId
from shoal.inventory.store import Inventory
from shoal.storage.database import Database
from shoal.storage.folder import database_url
from shoal.storage.master_key import MasterKey
from tests.harness.databases import SERVER, empty_url
from tests.unit.cli.test_command_line import ended

T = TypeVar("T")


class Shell:
    """Types commands and reads what they say. The data are in `data`, or on the PostgreSQL that the tests are given."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        (folder / "data").mkdir()
        MasterKey(folder / "data").create()
        self._url = database_url(folder / "data") if SERVER is None else empty_url()
        self.where = ["--data", "data", *([] if SERVER is None else ["--database", self._url])]
        self.tenant, self.pen, self.farm = self.run(_nordvik)

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What a command says: on the standard output, or where it is refused, on the other one."""
        assert ended([*arguments, *self.where]) == code, self._capsys.readouterr()
        said = self._capsys.readouterr()
        return said.err if code else said.out

    def run(self, does: Callable[[Database], Awaitable[T]]) -> T:
        """Does something with the database beside the commands."""

        async def running() -> T:
            database = await Database.open(self._url)
            try:
                return await does(database)
            finally:
                await database.close()

        return asyncio.run(running())

    def audit(self) -> list[tuple[str, str, str | None, str, Any]]:
        """What the audit log says: action, resource, thing, who and what it is now; oldest first."""

        async def entries(database: Database) -> list[tuple[str, str, str | None, str, Any]]:
            found = await Audit(database).entries(self.tenant)
            return [(one.act.action, one.act.resource, one.act.thing, one.by, one.after) for one in reversed(found)]

        return self.run(entries)


async def _nordvik(database: Database) -> tuple[TenantId, str, str]:
    inventory = Inventory(database, SystemClock())
    async with database.transaction() as tx:
        tenant = await inventory.create_tenant(tx, "Nordvik")
        farm = await inventory.create_farm(tx, tenant.id, "Storholmen")
        pen = await inventory.create_enclosure(tx, tenant.id, farm.id, name="Pen 1", kind="pen")
    return tenant.id, pen.id, farm.id
