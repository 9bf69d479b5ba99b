"""The gateway as a whole: listeners, restart, goodbye."""

import secrets
from datetime import timedelta

import pytest

from shoal.errors import Unavailable
from shoal.gateway.loop import Gateway, GatewayOptions
from shoal.gateway.shelf import DeviceFile
from shoal.inventory import registration_store
from shoal.lwm2m.dataplane import RestoredRegistration
from tests.harness.site import Site

REGISTERED_WITHIN = timedelta(seconds=20)


def another(site: Site, listen: str) -> Gateway:
    return Gateway(
        GatewayOptions(
            listen=(listen,), boot=secrets.token_hex(4), start=2, partitions=1, linger=timedelta(milliseconds=1)
        ),
        database=site.shoal.database,
        vault=site.shoal.vault,
        stream=site.shoal.log,
        commands=site.commands,
        clock=site.shoal.clock,
        fetching=nothing,
        farms_of_enclosures=site.shoal.inventory.farms_of_enclosures,
    )


async def nothing() -> list[DeviceFile]:
    return []


async def test_a_taken_address_is_named_with_what_to_do(site: Site) -> None:
    with pytest.raises(Unavailable) as refused:
        another(site, site.gateway.addresses[0])

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

        fresh = another(site, "coaps://127.0.0.1:0")
        try:
            await fresh.start(
                [
                    RestoredRegistration(
                        device=id_,
                        registration=registration.id,
                        lifetime_s=int(registration.lifetime.total_seconds()),
                        version=registration.version,
                        binding=registration.binding,
                        queue_mode=registration.queue_mode,
                        objects=list(registration.objects),
                    )
                    for id_, registration in known
                ]
            )
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
    await another(site, "coaps://127.0.0.1:0").close()
