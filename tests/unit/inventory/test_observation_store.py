"""What devices do about observations is kept until they register again."""

import pytest

from shoal.errors import NotFound, Outdated
from shoal.events.device import ObservationChanged
from shoal.ids import TenantId
from shoal.inventory.device import Device
from shoal.inventory.observing import State
from shoal.lwm2m.path import Path
from shoal.storage import directory
from tests.harness.installation import Installation
from tests.unit.inventory.test_worker import registered

LEVEL = Path.parse("/3/0/9")


async def a_device(shoal: Installation) -> Device:
    tenant = await shoal.create_tenant("Nordvik Seafarms")
    return await shoal.create_device(tenant, "oxy-0101")


def told(shoal: Installation, device: Device, path: str, state: str, **said: str) -> ObservationChanged:
    now = shoal.clock.now()
    return ObservationChanged(
        id=f"{device.id}-{path}-{state}-{now.timestamp()}",
        time=now,
        device=device.id,
        tenant=device.tenant,
        endpoint=device.endpoint,
        path=path,
        state=state,
        **said,
    )


async def states(shoal: Installation, device: Device) -> dict[str, State]:
    found = await shoal.inventory.observations(TenantId(device.tenant), device.id)
    return {str(one.path): one.state for one in found}


async def observe(shoal: Installation, device: Device, path: Path, *, is_wanted: bool = True, **said: int) -> None:
    async with shoal.database.transaction() as tx:
        await shoal.inventory.observe(
            tx, device.tenant, device.id, path, is_wanted=is_wanted, attributes={}, by="Ida", **said
        )


async def test_what_a_device_does_is_kept_and_ends_with_the_next_register(shoal: Installation) -> None:
    device = await a_device(shoal)
    await shoal.hear(
        registered(shoal, device, objects=[("/3/0", None), ("/5/0", None)]),
        told(shoal, device, "/3/0/9", "established", code="2.05", attributes="pmax=1800"),
        told(shoal, device, "/3/0/11", "refused", code="4.05"),
        told(shoal, device, "/5/0/3", "lost"),
    )
    await shoal.settle()

    first = await states(shoal, device)
    await shoal.hear(registered(shoal, device, registration="reg-2", objects=[("/3/0", None), ("/5/0", None)]))
    await shoal.settle()

    assert (first["/3/0/9"], first["/3/0/11"], first["/5/0/3"]) == (State.ESTABLISHED, State.REFUSED, State.LOST)
    assert set((await states(shoal, device)).values()) == {State.WAITING}


async def test_of_events_that_come_together_the_last_one_holds(shoal: Installation) -> None:
    device = await a_device(shoal)
    await shoal.hear(
        told(shoal, device, "/3/0/9", "established"),
        registered(shoal, device),
        told(shoal, device, "/3/0/9", "refused", code="4.05"),
        told(shoal, device, "/3/0/9", "established"),
        told(shoal, device, "/3/0/7", "established"),
        told(shoal, device, "/3/0/7", "cancelled"),
        # Of several paths at once: kept by whoever asked for it.
        told(shoal, device, "/3/0/9 /3/0/7", "established"),
    )
    await shoal.settle()

    found = await states(shoal, device)
    assert found["/3/0/9"] is State.ESTABLISHED
    assert "/3/0/7" not in found


async def test_what_drifted_is_still_reported_by_other_rules_than_ours(shoal: Installation) -> None:
    device = await a_device(shoal)
    await observe(shoal, device, LEVEL)
    await shoal.hear(
        registered(shoal, device, objects=[("/3/0", None)]),
        told(shoal, device, "/3/0/9", "established", code="2.05"),
        told(shoal, device, "/3/0/9", "drifted", attributes="pmin=60"),
    )
    await shoal.settle()

    found = await shoal.inventory.observations(TenantId(device.tenant), device.id)
    level = next(one for one in found if one.path == LEVEL)
    assert (level.state, level.has_drifted) == (State.ESTABLISHED, True)
    assert level.standing is not None
    assert level.standing.attributes == "pmin=60"

    await shoal.hear(told(shoal, device, "/3/0/9", "established", code="2.05"))
    await shoal.settle()
    found = await shoal.inventory.observations(TenantId(device.tenant), device.id)
    assert not next(one for one in found if one.path == LEVEL).has_drifted


async def test_the_gateway_hears_of_every_change(shoal: Installation) -> None:
    device = await a_device(shoal)
    async with shoal.database.transaction() as tx:
        before = await directory.find(tx, device.id)

    await observe(shoal, device, LEVEL, is_wanted=False)
    await observe(shoal, device, Path.parse("/4/0/2"))
    async with shoal.database.transaction() as tx:
        then = await directory.find(tx, device.id)
    async with shoal.database.transaction() as tx:
        await shoal.inventory.unobserve(tx, device.tenant, device.id, LEVEL)
        await shoal.inventory.unobserve(tx, device.tenant, device.id, Path.parse("/4/0/2"))
    async with shoal.database.transaction() as tx:
        after = await directory.find(tx, device.id)

    assert before
    assert then
    assert after
    assert then.profile.observe[0] == ("/4/0/2", "")
    assert then.profile.unobserved == ["/3/0/9"]
    assert after.profile == before.profile
    assert before.version < then.version < after.version


async def test_whoever_saw_an_older_version_looks_again(shoal: Installation) -> None:
    device = await a_device(shoal)
    await observe(shoal, device, LEVEL)
    await observe(shoal, device, LEVEL, if_version=1)

    with pytest.raises(Outdated):
        await observe(shoal, device, LEVEL, if_version=1)
    with pytest.raises(Outdated):
        async with shoal.database.transaction() as tx:
            await shoal.inventory.unobserve(tx, device.tenant, device.id, LEVEL, if_version=1)


async def test_what_was_never_said_cannot_be_taken_back(shoal: Installation) -> None:
    device = await a_device(shoal)

    with pytest.raises(NotFound):
        async with shoal.database.transaction() as tx:
            await shoal.inventory.unobserve(tx, device.tenant, device.id, LEVEL)


async def test_another_tenant_knows_nothing_of_it(shoal: Installation) -> None:
    device = await a_device(shoal)
    other = await shoal.create_tenant("Another company")

    with pytest.raises(NotFound):
        await shoal.inventory.observations(other, device.id)
    with pytest.raises(NotFound):
        async with shoal.database.transaction() as tx:
            await shoal.inventory.observe(tx, other, device.id, LEVEL, is_wanted=True, attributes={}, by="Eve")


async def test_a_device_that_is_deleted_leaves_nothing_behind(shoal: Installation) -> None:
    device = await a_device(shoal)
    await observe(shoal, device, LEVEL)
    await shoal.hear(registered(shoal, device), told(shoal, device, "/3/0/9", "established"))
    await shoal.settle()

    async with shoal.database.transaction() as tx:
        await shoal.inventory.delete_device(tx, device.tenant, device.id)
    # Told late, of what is not there any more.
    await shoal.hear(told(shoal, device, "/3/0/9", "lost"))
    await shoal.settle()

    with pytest.raises(NotFound):
        await shoal.inventory.observations(TenantId(device.tenant), device.id)
