"""Farms, enclosures and profiles: made, found, renamed, deleted when empty, and never another tenant's."""

import pytest

from shoal.errors import Conflict, NotFound, Outdated, Rejected
from shoal.ids import EnclosureId, FarmId, Prefix, TenantId, parse_id
from shoal.inventory.place_store import owners
from shoal.inventory.profile import BUILT_IN, Observe, ProfileId, ProfileSettings
from tests.harness.installation import Installation


async def test_a_tenant_starts_with_the_built_in_profiles(shoal: Installation) -> None:
    tenant = await shoal.create_tenant("Nordlaks")

    profiles = await shoal.inventory.profiles(tenant)

    assert (await shoal.inventory.tenant(tenant)).name == "Nordlaks"
    assert {profile.key for profile in profiles} == set(BUILT_IN)
    assert [profile.name for profile in profiles] == sorted(profile.name for profile in profiles)
    for profile in profiles:
        assert profile.settings == BUILT_IN[profile.key or ""][1]


async def test_ids_can_be_typed(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    farm = await shoal.create_farm(tenant)
    enclosure = await shoal.create_enclosure(tenant, farm)

    assert parse_id(tenant.lower(), Prefix.TENANT) == tenant
    assert parse_id(farm.lower(), Prefix.FARM) == farm
    assert parse_id(enclosure.lower(), Prefix.ENCLOSURE) == enclosure


async def test_a_tenant_sees_only_its_own_places(shoal: Installation) -> None:
    ours, theirs = await shoal.create_tenant("Ours"), await shoal.create_tenant("Theirs")
    farm = await shoal.create_farm(theirs)
    enclosure = await shoal.create_enclosure(theirs, farm)

    for look in (shoal.inventory.farm(ours, farm), shoal.inventory.enclosure(ours, enclosure)):
        with pytest.raises(NotFound):
            await look

    assert (await shoal.inventory.farms(ours)).items == []
    assert (await shoal.inventory.enclosures(ours)).items == []
    assert await shoal.inventory.farms_for(ours, [farm]) == {}
    assert await shoal.inventory.enclosures_for(ours, [enclosure]) == {}
    assert await shoal.inventory.existing(ours, [farm, enclosure]) == ()
    async with shoal.database.transaction() as tx:
        with pytest.raises(NotFound):
            await shoal.inventory.rename_farm(tx, ours, farm, "Mine")
        with pytest.raises(NotFound):
            await shoal.inventory.delete_enclosure(tx, ours, enclosure)
        with pytest.raises(NotFound):
            await shoal.inventory.create_enclosure(tx, ours, farm, "Pen 1")


async def test_whose_an_enclosure_is_can_be_judged_over_all_tenants(shoal: Installation) -> None:
    ours, theirs = await shoal.create_tenant("Ours"), await shoal.create_tenant("Theirs")
    here = await shoal.create_enclosure(ours, await shoal.create_farm(ours))
    there = await shoal.create_enclosure(theirs, await shoal.create_farm(theirs))

    async with shoal.database.transaction() as tx:
        assert await owners(tx, [here, there, "pen four"]) == {here: ours, there: theirs}
        assert await owners(tx, []) == {}


async def test_lists_go_on_where_the_page_before_ended(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    # The same name twice: the id decides, and none is left out or told twice.
    farms = [await shoal.create_farm(tenant, name) for name in ("Alta", "Bodø", "Bodø", "Bodø", "Ålesund")]

    found: list[FarmId] = []
    cursor = None
    while True:
        page = await shoal.inventory.farms(tenant, cursor, limit=2)
        found.extend(farm.id for farm in page.items)
        cursor = page.next
        if cursor is None:
            break

    assert sorted(found) == sorted(farms)
    assert found[0] == farms[0]
    assert found[-1] == farms[-1]


async def test_tenants_are_listed_for_the_operator(shoal: Installation) -> None:
    made = sorted([await shoal.create_tenant(name) for name in ("A", "B", "C")])

    first = await shoal.inventory.tenants(limit=2)
    second = await shoal.inventory.tenants(first.next, limit=2)

    assert [tenant.id for tenant in (*first.items, *second.items)] == made
    assert second.next is None


async def test_enclosures_are_listed_by_farm(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    north, south = await shoal.create_farm(tenant, "North"), await shoal.create_farm(tenant, "South")
    pens = [
        await shoal.create_enclosure(tenant, farm, name) for farm, name in ((north, "A"), (south, "B"), (north, "C"))
    ]

    page = await shoal.inventory.enclosures(tenant, north)
    first = await shoal.inventory.enclosures(tenant, limit=2)
    second = await shoal.inventory.enclosures(tenant, cursor=first.next, limit=2)

    assert [(each.id, each.farm_name) for each in page.items] == [(pens[0], "North"), (pens[2], "North")]
    assert [each.id for each in (*first.items, *second.items)] == pens


async def test_a_change_that_was_decided_on_an_old_version_is_refused(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    farm = await shoal.create_farm(tenant)
    enclosure = await shoal.create_enclosure(tenant, farm)
    async with shoal.database.transaction() as tx:
        renamed = await shoal.inventory.rename_farm(tx, tenant, farm, " Hellevika ", if_version=1)
        changed = await shoal.inventory.change_enclosure(tx, tenant, enclosure, kind="Tank", if_version=1)

    async with shoal.database.transaction() as tx:
        with pytest.raises(Outdated):
            await shoal.inventory.rename_farm(tx, tenant, farm, "Other", if_version=1)
        with pytest.raises(Outdated):
            await shoal.inventory.change_enclosure(tx, tenant, enclosure, name="Other", if_version=1)
        with pytest.raises(Outdated):
            await shoal.inventory.delete_enclosure(tx, tenant, enclosure, if_version=1)

    assert (renamed.name, renamed.version) == ("Hellevika", 2)
    assert (changed.name, changed.kind, changed.version, changed.farm_name) == ("Pen 1", "tank", 2, "Hellevika")


async def test_only_what_is_empty_can_be_deleted(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    farm = await shoal.create_farm(tenant)
    enclosure = await shoal.create_enclosure(tenant, farm)
    device = await shoal.create_device(tenant, enclosure=enclosure)

    async with shoal.database.transaction() as tx:
        with pytest.raises(Conflict, match="1 device"):
            await shoal.inventory.delete_enclosure(tx, tenant, enclosure)
        with pytest.raises(Conflict, match="1 enclosure"):
            await shoal.inventory.delete_farm(tx, tenant, farm)
        await shoal.inventory.delete_device(tx, tenant, device.id)
        await shoal.inventory.delete_enclosure(tx, tenant, enclosure)
        await shoal.inventory.delete_farm(tx, tenant, farm)

    assert (await shoal.inventory.farms(tenant)).items == []


async def test_a_name_that_is_none_leaves_nothing_behind(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()

    with pytest.raises(Rejected):
        await shoal.create_farm(tenant, "  ")
    with pytest.raises(NotFound):
        await shoal.create_farm(TenantId("ten-NOBODY00"))
    with pytest.raises(NotFound):
        await shoal.create_enclosure(tenant, FarmId("frm-NOBODY00"))

    assert (await shoal.inventory.farms(tenant)).items == []


async def test_a_profile_of_ones_own_has_a_name_of_its_own(shoal: Installation) -> None:
    tenant, other = await shoal.create_tenant(), await shoal.create_tenant("Other")
    settings = ProfileSettings(report_every_s=5, lifetime_s=30, observe=(Observe("/3303/*/5700", "pmax=5"),))
    async with shoal.database.transaction() as tx:
        profile = await shoal.inventory.create_profile(tx, tenant, "demo", settings)
        with pytest.raises(Conflict):
            await shoal.inventory.create_profile(tx, tenant, "demo", settings)
        await shoal.inventory.create_profile(tx, other, "demo", settings)

    found = await shoal.inventory.profile(tenant, profile.id)

    assert found == profile
    assert found.settings.observe[0] == Observe("/3303/*/5700", "pmax=5")
    assert found.awake_window.total_seconds() == 93
    for tenant_, id_ in ((other, profile.id), (tenant, ProfileId("prf-NOBODY00"))):
        with pytest.raises(NotFound):
            await shoal.inventory.profile(tenant_, id_)


async def test_ids_that_exist_are_told_from_those_that_were_mistyped(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    farm = await shoal.create_farm(tenant)
    enclosure = await shoal.create_enclosure(tenant, farm)
    device = await shoal.create_device(tenant)

    assert set(await shoal.inventory.existing(tenant, [farm, enclosure, device.id, "enc-0000000", "nonsense"])) == {
        farm,
        enclosure,
        device.id,
    }


async def test_a_page_of_ids_has_its_limit(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()

    with pytest.raises(Rejected):
        await shoal.inventory.enclosures_for(tenant, [EnclosureId(str(n)) for n in range(501)])
