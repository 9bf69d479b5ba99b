"""Names for sentences: what the tenant has is named, what it has not is missing."""

from shoal.api.names import named
from tests.unit.api.company import Company


async def test_everything_that_a_policy_can_name_has_a_name(company: Company) -> None:
    device = await company.device()
    await company.client()
    [token] = await company.installation.identity.tokens(company.tenant)
    ids = [company.farm, company.enclosure, device.id, token.id, "usr-00000000", ""]

    known = await named(company.rooms, company.tenant, ids)

    assert known.names == {
        company.farm: "Storholmen",
        company.enclosure: "Pen 1, Storholmen",
        device.id: "oxy-0101",
        token.id: "administrator of the test",
    }
    assert known.places[device.id] == device.place
    assert set(known.places) == {company.tenant, company.farm, company.enclosure, device.id}


async def test_of_another_tenant_nothing_is_named(company: Company) -> None:
    other = await company.installation.create_tenant("Another company")

    known = await named(company.rooms, other, [company.farm, company.enclosure])

    assert known.names == {}
