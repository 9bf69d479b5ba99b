"""What the gateway knows of devices, and how it learns of changes."""

from collections.abc import AsyncIterator

import pytest

from shoal.storage import directory
from shoal.storage.database import Database
from shoal.storage.directory import Conduct, DirectoryEntry
from tests.harness.databases import fresh_database


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    opened = await fresh_database()
    yield opened
    await opened.close()


def entry(device: str, **more: object) -> DirectoryEntry:
    values: dict[str, object] = {
        "device_id": device,
        "tenant_id": "ten-1",
        "farm_id": "frm-1",
        "enclosure_id": None,
        "endpoint": f"oxy-{device}",
        "kind": "oxygen",
        "security": "psk",
        "profile": Conduct(observe=[("/3303/*/5700", "pmin=60")], read=["/3"]),
    }
    return DirectoryEntry(**(values | more))  # type: ignore[arg-type]


async def test_the_gateway_asks_for_what_is_newer_than_what_it_has(database: Database) -> None:
    async with database.transaction() as tx:
        await directory.put(tx, entry("dev-1"))
        seen = await directory.put(tx, entry("dev-2"))
        await directory.put(tx, entry("dev-3"))
    async with database.transaction() as tx:
        await directory.put(tx, entry("dev-1", farm_id="frm-2"))

    everything = await directory.changed(database, 0, 10)
    newer = await directory.changed(database, seen, 10)

    assert [each.device_id for each in everything] == ["dev-2", "dev-3", "dev-1"]
    assert [(each.device_id, each.farm_id) for each in newer] == [("dev-3", "frm-1"), ("dev-1", "frm-2")]
    assert newer[0].profile.observe == [("/3303/*/5700", "pmin=60")]
    assert len(await directory.changed(database, 0, 2)) == 2


async def test_a_removed_device_is_told(database: Database) -> None:
    async with database.transaction() as tx:
        await directory.put(tx, entry("dev-1"))
        await directory.remove(tx, "dev-1")
        await directory.put(tx, entry("dev-2"))
        removed = await directory.find(tx, "dev-1")
        unknown = await directory.find(tx, "dev-9")

    assert removed is not None
    assert removed.removed
    assert unknown is None
    assert [each.device_id for each in await directory.changed(database, 0, 10)] == ["dev-1", "dev-2"]


async def test_what_changed_beside_a_device_makes_the_gateway_look_again(database: Database) -> None:
    async with database.transaction() as tx:
        await directory.put(tx, entry("dev-1"))
        seen = await directory.put(tx, entry("dev-2"))
        await directory.touch(tx, ["dev-1", "dev-9"])

    assert [each.device_id for each in await directory.changed(database, seen, 10)] == ["dev-1"]
