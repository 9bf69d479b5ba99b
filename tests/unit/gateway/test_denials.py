"""What a policy denies a device reaches the core, and a real client is told so."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shoal import lwm2m
from shoal.access.pattern import Pattern
from shoal.access.policy import ALL_DEVICES, Effect, Operation, Policy, Who, WhoKind
from shoal.errors import DeviceFault, Unavailable
from shoal.ids import DeviceId
from shoal.policies.store import AccessPolicies
from tests.harness.site import Site

WITHIN = timedelta(seconds=20)


class Thermometer(lwm2m.Object, id=3303):
    value: float = lwm2m.resource(5700)


class Hygrometer(lwm2m.Object, id=3304):
    value: float = lwm2m.resource(5700)


def denial(who: Who, place: str, *paths: str) -> Policy:
    patterns = tuple(Pattern.parse(path) for path in paths)
    return Policy(
        id="", effect=Effect.DENY, who=who, operations=frozenset({Operation.WRITE}), place=place, paths=patterns
    )


async def write(site: Site, policy: Policy) -> Policy:
    policies = AccessPolicies(site.shoal.database, site.shoal.clock)
    async with site.shoal.database.transaction() as tx:
        kept = await policies.create(tx, site.tenant, policy, "", "Kari")
    await site.gateway.roster.follow()
    return kept.policy


async def test_a_send_that_a_policy_denies_is_refused_told_and_allowed_again(site: Site) -> None:
    device = await site.device()
    async with site.client() as client:
        client.add(Thermometer(value=9.2))
        client.add(Hygrometer(value=71))
        await client.registered(WITHIN)
        await client.send("/3303/0/5700")

        policy = await write(site, denial(Who(WhoKind.DEVICE, device.id), device.id, "/3303/*"))
        with pytest.raises(DeviceFault) as refused:
            await client.send("/3303/0/5700")
        assert refused.value.code == "4.03"
        await client.send("/3304/0/5700")

        policies = AccessPolicies(site.shoal.database, site.shoal.clock)
        async with site.shoal.database.transaction() as tx:
            await policies.delete(tx, site.tenant, policy.id)
        await site.gateway.roster.follow()
        await client.send("/3303/0/5700")

    told = await site.heard(DeviceId(device.id), "refused")
    assert [(event["operation"], event["reason"], event["code"]) for event in told] == [("send", "send_denied", "4.03")]


async def test_a_policy_that_was_there_before_the_device_holds_for_it(site: Site) -> None:
    farm = await site.shoal.create_farm(site.tenant, "Storholmen")
    pen = await site.shoal.create_enclosure(site.tenant, farm, "Pen 1")
    await write(site, denial(Who(WhoKind.DEVICES, "sensor"), farm, "*"))
    await site.device(enclosure=pen)

    async with site.client() as client:
        client.add(Thermometer(value=9.2))
        await client.registered(WITHIN)
        with pytest.raises(DeviceFault):
            await client.send("/3303/0/5700")


async def test_a_claim_of_a_place_that_is_closed_to_the_device_is_refused(site: Site) -> None:
    farm = await site.shoal.create_farm(site.tenant, "Storholmen")
    await write(site, denial(ALL_DEVICES, farm, "/"))
    await site.device()
    pen = await site.shoal.create_enclosure(site.tenant, farm, "made later")
    entries = await write(site, denial(Who(WhoKind.DEVICES, "camera"), farm, "/3/*"))

    async with site.client(enclosure=pen, enclosure_via="query") as client:
        with pytest.raises(Unavailable, match=r"4\.03 a policy denies this enclosure"):
            await client.registered(timedelta(seconds=3))

    assert site.gateway.core.stats()["refused_claim_denied"] >= 1
    assert replace(entries, id="") == denial(Who(WhoKind.DEVICES, "camera"), farm, "/3/*")
