"""Which farms and enclosures somebody is shown: those in reach, and those around something that is."""

from shoal.access.decision import EVERYWHERE, Layer, Reach, Zone
from tests.harness.installation import Installation

NOWHERE = Reach((Layer(()),))


async def test_what_is_around_is_shown_and_what_is_denied_is_not(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    north, south = await shoal.create_farm(tenant, "North"), await shoal.create_farm(tenant, "South")
    pen, other = (
        await shoal.create_enclosure(tenant, north, "Pen 1"),
        await shoal.create_enclosure(tenant, south, "Pen 2"),
    )
    device = await shoal.create_device(tenant, "oxy-1", other)

    async def farms(*layers: Layer) -> list[str]:
        return [farm.name for farm in (await shoal.inventory.farms(tenant, reach=Reach(layers))).items]

    async def pens(*layers: Layer) -> list[str]:
        return [one.name for one in (await shoal.inventory.enclosures(tenant, reach=Reach(layers))).items]

    of_north, of_pen, of_device = Zone(farm=north), Zone(enclosure=pen), Zone(device=device.id)
    assert await farms(Layer((of_north,))) == await farms(Layer((of_pen,))) == ["North"]
    assert await farms(Layer((of_device,))) == ["South"]
    assert await pens(Layer((of_north,))) == await pens(Layer((of_pen,))) == ["Pen 1"]
    assert await pens(Layer((of_device,))) == ["Pen 2"]
    assert await farms(Layer((Zone(),), but=(of_north,))) == ["South"]
    assert await farms(Layer((Zone(),), but=(of_pen,))) == ["North", "South"], "the farm is more than its pen"
    assert await pens(Layer((Zone(),), but=(of_pen,))) == ["Pen 2"]
    assert await farms(Layer((Zone(),)), Layer((of_device,))) == ["South"]
    assert await farms(Layer((Zone(farm=south, enclosure=pen),))) == []
    assert await farms(*NOWHERE.layers) == await pens(*NOWHERE.layers) == []
    assert len((await shoal.inventory.farms(tenant, reach=EVERYWHERE)).items) == 2
