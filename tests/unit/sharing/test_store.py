"""Shared devices in the database."""

import msgspec

from shoal.ids import DeviceId, TenantId
from shoal.sharing import store
from shoal.sharing.shared import Shared
from tests.harness.installation import Installation
from tests.harness.shared_device import Listed, SharedDevice
from tests.unit.sharing.looks import TENANT, allow, looked, policies


def known(device: str = "dev-1") -> Shared:
    """A device that was told something, and refused it."""
    shared = looked(SharedDevice(controls={0: Listed(3, 0)}, code="4.05"), policies(allow()))
    return msgspec.structs.replace(shared, device=device)


async def test_what_is_kept_comes_back_as_it_was_and_to_its_tenant_only(shoal: Installation) -> None:
    async with shoal.database.transaction() as tx:
        await store.save(tx, [known()], 3)

    assert await store.one(shoal.database, TENANT, DeviceId("dev-1")) == known()
    assert await store.one(shoal.database, TenantId("ten-2"), DeviceId("dev-1")) is None
    async with shoal.database.transaction() as tx:
        assert await store.load(tx, ["dev-1", "dev-2"]) == {"dev-1": known()}
        await store.forget(tx, ["dev-1"])
    assert await store.one(shoal.database, TENANT, DeviceId("dev-1")) is None


async def test_those_judged_by_older_policies_are_found_while_they_are_registered(shoal: Installation) -> None:
    away = msgspec.structs.replace(known("dev-3"), registration=None)
    async with shoal.database.transaction() as tx:
        await store.save(tx, [known("dev-2"), away], 1)
        await store.save(tx, [known()], 2)

    assert await store.behind(shoal.database, TENANT, 2, 10) == ["dev-2"]
    assert await store.behind(shoal.database, TENANT, 3, 10) == ["dev-1", "dev-2"]
    assert await store.behind(shoal.database, TENANT, 3, 1) == ["dev-1"]
    assert await store.behind(shoal.database, TENANT, 1, 10) == [], "another process judged them by newer ones"
