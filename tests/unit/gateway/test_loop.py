"""The gateway as a whole: listeners, restart, goodbye."""

from datetime import timedelta

import pytest

from shoal.errors import Unavailable
from shoal.inventory import registration_store
from tests.harness.site import Site, gateway_over

REGISTERED_WITHIN = timedelta(seconds=20)


async def test_a_taken_address_is_named_with_what_to_do(site: Site) -> None:
    with pytest.raises(Unavailable) as refused:
        await gateway_over(site.shoal, site.commands, listen=site.gateway.addresses[0])

    assert site.gateway.addresses[0].removeprefix("coaps://") in str(refused.value)
    assert "--listen" in refused.value.remedy


async def test_a_restarted_gateway_takes_over_who_was_registered(site: Site) -> None:
    device = await site.device()
    async with site.client() as client:
        await client.registered(REGISTERED_WITHIN)
    async with site.client(lifetime=timedelta(minutes=5)) as client:
        await client.registered(REGISTERED_WITHIN)
        await site.shoal.settle()
        known = await registration_store.current(site.shoal.database)

        fresh = await gateway_over(site.shoal, site.commands)
        try:
            await fresh.start()
            assert [id_ for id_, _ in known] == [device.id]
            assert fresh.core.stats()["registrations"] == 1
        finally:
            await fresh.close()


async def test_what_was_said_last_is_stored_before_the_gateway_is_closed(site: Site) -> None:
    device = await site.device()
    client = site.client()
    async with client:
        await client.registered(REGISTERED_WITHIN)
        await client.deregister()

    await site.gateway.close()

    assert len(await site.heard(device.id, "deregistered")) == 1


async def test_a_gateway_that_was_never_started_closes_without_a_word(site: Site) -> None:
    """What failed before the start is what the operator must read, not that there was nothing to close."""
    await (await gateway_over(site.shoal, site.commands)).close()
