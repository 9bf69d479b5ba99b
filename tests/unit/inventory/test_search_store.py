"""What a word may mean, the best match first."""

import pytest

from shoal.inventory.search_store import FOUND_MAX, Kind, Match, match_of
from tests.harness.installation import Installation


async def test_the_best_match_comes_first_whatever_it_is(shoal: Installation) -> None:
    tenant = await shoal.create_tenant("Nordvik Seafarms")
    farm = await shoal.create_farm(tenant, "Holmen")
    pen = await shoal.create_enclosure(tenant, farm, "Holmen pen 4")
    await shoal.create_device(tenant, "oxy-0101", pen)
    await shoal.create_device(tenant, "storholmen-cam", pen)

    found = await shoal.inventory.search(tenant, " HOLMEN ", 8)

    assert [(one.kind, one.name, one.match) for one in found] == [
        (Kind.FARM, "Holmen", Match.EXACT),
        (Kind.ENCLOSURE, "Holmen pen 4", Match.PREFIX),
        (Kind.DEVICE, "storholmen-cam", Match.PART),
    ]
    assert (found[2].farm_name, found[2].enclosure_name) == ("Holmen", "Holmen pen 4")


async def test_an_id_is_found_as_people_type_it(shoal: Installation) -> None:
    tenant = await shoal.create_tenant("Nordvik Seafarms")
    farm = await shoal.create_farm(tenant, "Holmen")
    device = await shoal.create_device(tenant, "oxy-0101")

    for typed in (device.id, device.id.lower(), device.id.removeprefix("dev-").lower()):
        assert [one.id for one in await shoal.inventory.search(tenant, typed, 8)] == [device.id]
    assert [one.id for one in await shoal.inventory.search(tenant, farm, 8)] == [farm]


async def test_signs_of_a_pattern_are_only_signs(shoal: Installation) -> None:
    tenant = await shoal.create_tenant("Nordvik Seafarms")
    await shoal.create_farm(tenant, "100 % north")
    await shoal.create_farm(tenant, "100 x north")

    assert [one.name for one in await shoal.inventory.search(tenant, "100 %", 8)] == ["100 % north"]
    assert await shoal.inventory.search(tenant, "_", 8) == []
    assert await shoal.inventory.search(tenant, "  ", 8) == []


async def test_no_more_than_a_screen_of_each_kind_and_nothing_of_another_tenant(shoal: Installation) -> None:
    tenant = await shoal.create_tenant("Nordvik Seafarms")
    other = await shoal.create_tenant("Another company")
    for number in range(FOUND_MAX + 2):
        await shoal.create_farm(tenant, f"North {number}")

    assert len(await shoal.inventory.search(tenant, "north", 3)) == 3
    assert len(await shoal.inventory.search(tenant, "north", 1_000)) == FOUND_MAX
    assert await shoal.inventory.search(other, "north", 8) == []


@pytest.mark.parametrize(
    ("texts", "match"),
    [
        (["A7K2", "Silent"], Match.EXACT),
        (["A7K2X"], Match.PREFIX),
        (["#A7K2"], Match.PART),
        (["K3PD"], None),
        (["x a7k2", "A7K2"], Match.EXACT),
    ],
)
def test_the_best_of_some_texts_counts(texts: list[str], match: Match | None) -> None:
    assert match_of(texts, " a7k2 ") is match
