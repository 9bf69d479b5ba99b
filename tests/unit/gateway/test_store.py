"""Checkpoints belong to a node, and one device has one."""

from pathlib import Path

from shoal.gateway import store
from tests.harness.installation import installation


async def test_a_device_that_went_to_another_node_is_not_taken_away_by_the_first(tmp_path: Path) -> None:
    async with installation(tmp_path) as shoal:
        now = shoal.clock.now()
        async with shoal.database.transaction() as tx:
            await store.keep(tx, [("dev-1", 0, b"a"), ("dev-2", 0, b"b")], now)
        async with shoal.database.transaction() as tx:
            await store.keep(tx, [("dev-2", 1, b"c")], now)
            await store.forget(tx, [0], ["dev-1", "dev-2"])

        assert await store.page(shoal.database, 0) == []
        assert await store.page(shoal.database, 1) == [("dev-2", b"c")]
        await store.forget_all(shoal.database)
        assert await store.page(shoal.database, 1) == []


async def test_a_fleet_comes_in_pages(tmp_path: Path) -> None:
    async with installation(tmp_path) as shoal:
        devices = [f"dev-{number:05}" for number in range(25)]
        async with shoal.database.transaction() as tx:
            await store.keep(tx, [(device, 0, device.encode()) for device in reversed(devices)], shoal.clock.now())

        found: list[str] = []
        while page := await store.page(shoal.database, 0, found[-1] if found else "", limit=10):
            assert len(page) <= 10
            found.extend(device for device, _ in page)

        assert found == devices
