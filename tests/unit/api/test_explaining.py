"""Why somebody may: asked by whoever knows what things are called, with or without a request."""

import pytest

from shoal.access.policy import Operation, Role
from shoal.api.explaining import explained, path_said, place_named, subject_named
from shoal.errors import NotFound, Rejected
from shoal.ids import MistypedId, Prefix, new_id
from shoal.lwm2m.path import Path
from tests.unit.api.company import Company


async def test_the_answer_names_the_rule_that_decides_and_all_that_were_looked_at(company: Company) -> None:
    await company.client(Role.VIEWER)
    token = next(one for one in await company.rooms.identity.tokens(company.tenant) if one.role is Role.VIEWER)
    subject = await subject_named(company.rooms, company.tenant, token.id.lower())
    place = await place_named(company.rooms, company.tenant, None)
    policies = await company.rooms.access.of(company.tenant)

    may = await explained(company.rooms, policies, subject, Operation.READ, place, path_said(" /3/0/9 "))
    may_not = await explained(company.rooms, policies, subject, Operation.WRITE, place, path_said(""))

    assert (may.decision, may.says) == ("allowed", "Yes: Viewers may read everywhere. Nothing denies it.")
    assert may.because[0].bearing == "allows"
    assert (may_not.decision, may_not.says) == ("denied", "No: no policy allows it.")


async def test_who_and_where_are_those_of_the_tenant_and_of_no_other(company: Company) -> None:
    device = await company.registered()
    stranger = await company.installation.create_tenant("Another company")

    assert (await place_named(company.rooms, company.tenant, device.id)).device == device.id
    assert (await subject_named(company.rooms, company.tenant, device.id)).device_kind == "sensor"
    for tenant, said in (
        (stranger, device.id),
        (company.tenant, new_id(Prefix.TOKEN)),
        (stranger, new_id(Prefix.USER)),
    ):
        with pytest.raises(NotFound):
            await subject_named(company.rooms, tenant, said)
    with pytest.raises(NotFound, match="no such place"):
        await place_named(company.rooms, stranger, device.id)
    with pytest.raises(Rejected, match="not the id of a person"):
        await subject_named(company.rooms, company.tenant, "Kari")
    with pytest.raises(MistypedId):
        await subject_named(company.rooms, company.tenant, "dev-1")


def test_a_path_may_be_left_out() -> None:
    assert (path_said(None), path_said(" "), path_said("/3/0")) == (None, None, Path(3, 0))
    with pytest.raises(Rejected):
        path_said("/a")
