"""The bootstrap server over the rooms of an installation: devices that know nobody else become devices of this Shoal."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from shoal.commands.command import Operation, State
from shoal.credentials.credential import State as CredentialState
from shoal.errors import Unavailable
from shoal.events.device import DeviceRegistered, SecurityEvent
from shoal.gateway.bootstrap import BootstrapGateway, BootstrapOptions, server_uri
from shoal.ids import DeviceId
from shoal.inventory import registration_store
from shoal.lwm2m import Device
from shoal.lwm2m.short_id import SHORT_ID
from tests.harness.site import PATIENCE, Site


def made(site: Site, listen: str = "coaps://127.0.0.1:0") -> BootstrapGateway:
    return BootstrapGateway(
        BootstrapOptions(
            listen=(listen,),
            server=site.gateway.addresses[0],
            short_id=SHORT_ID,
            boot=secrets.token_hex(4),
            partitions=1,
            lifetime=timedelta(minutes=10),
        ),
        database=site.shoal.database,
        credentials=site.shoal.bootstraps,
        stream=site.shoal.log,
        settle=site.gateway.roster.follow,
    )


@pytest.fixture
async def bootstrap(site: Site) -> AsyncIterator[BootstrapGateway]:
    running = made(site)
    await running.start()
    working = asyncio.create_task(running.run())
    yield running
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    await running.close()


async def factory_key(site: Site, device: DeviceId) -> bytes:
    async with site.shoal.database.transaction() as tx:
        new = await site.shoal.bootstraps.create(tx, site.tenant, device, identity="factory-1")
    return bytes.fromhex(new.key)


async def test_a_device_with_a_factory_key_becomes_one_of_ours(site: Site, bootstrap: BootstrapGateway) -> None:
    farm = await site.shoal.create_farm(site.tenant)
    pen = await site.shoal.create_enclosure(site.tenant, farm)
    device = await site.shoal.create_device(site.tenant, enclosure=pen)
    key = await factory_key(site, device.id)
    await bootstrap.follow()

    async with Device("oxy-0101", bootstrap.addresses[0], identity="factory-1", key=key, bootstrap=True) as client:
        await client.registered(PATIENCE)
        [registered] = await site.heard(device.id, "registered")
        await site.shoal.settle()
        [(_, registration)] = await registration_store.current(site.shoal.database)

    told = [(event["state"], event["tenant"]) for event in await site.heard(device.id, "bootstrap")]
    assert told == [("requested", site.tenant), ("finished", site.tenant)]
    assert registered["claim"] == {"enclosure": pen, "via": "query"}
    assert timedelta(minutes=8) <= registration.lifetime <= timedelta(minutes=10)


async def test_the_old_key_is_void_when_it_comes_with_the_new_one(site: Site, bootstrap: BootstrapGateway) -> None:
    device = await site.device()
    old = site.keys["oxy-0101"]
    key = await factory_key(site, device.id)
    await bootstrap.follow()

    async with Device("oxy-0101", bootstrap.addresses[0], identity="factory-1", key=key, bootstrap=True) as client:
        await client.registered(PATIENCE)
        # Once more, because the operator wants it.
        command = await site.ask(device, Operation.EXECUTE, "/1/0/9")
        assert (await site.finished(command)).state is State.ANSWERED

        async def is_there_again() -> bool:
            return sum(isinstance(event, DeviceRegistered) for event in await site.shoal.events()) == 2

        await site.until(is_there_again)

    async def is_void() -> bool:
        await site.shoal.settle()
        found = await site.shoal.credentials.of_device(site.tenant, device.id)
        return [one.state for one in found if one.state.is_living] == [CredentialState.CURRENT]

    await site.until(is_void)
    await site.gateway.roster.follow()
    async with site.client(key=old) as client:
        with pytest.raises(Unavailable):
            await client.registered(timedelta(seconds=1))


async def test_whoever_may_not_ask_any_more_is_not_let_in(site: Site, bootstrap: BootstrapGateway) -> None:
    device = await site.device()
    key = await factory_key(site, device.id)
    async with site.shoal.database.transaction() as tx:
        await site.shoal.bootstraps.remove(tx, site.tenant, device.id)
    await bootstrap.follow()

    async with Device("oxy-0101", bootstrap.addresses[0], identity="factory-1", key=key, bootstrap=True) as client:
        with pytest.raises(Unavailable):
            await client.registered(timedelta(seconds=1))

    async def is_told() -> bool:
        return any(isinstance(event, SecurityEvent) for event in await site.shoal.events())

    await site.until(is_told)


async def test_a_taken_address_is_named_with_what_to_do(site: Site, bootstrap: BootstrapGateway) -> None:
    with pytest.raises(Unavailable) as refused:
        made(site, bootstrap.addresses[0])

    assert "--bootstrap-listen" in refused.value.remedy


def test_the_enclosure_is_said_in_the_uri() -> None:
    assert server_uri("coaps://192.0.2.1:5684", {"enclosure": None}) == "coaps://192.0.2.1:5684"
    assert server_uri("coaps://192.0.2.1:5684", {"enclosure": "enc-1"}) == "coaps://192.0.2.1:5684?enclosure=enc-1"
