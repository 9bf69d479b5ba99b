"""Places that people are given are there; what is not is refused. That an administrator stays: test_policies."""

import httpx

from shoal.api.administered import places_of
from tests.unit.api.company import PASSWORD, Company


async def test_a_role_is_held_only_at_places_that_there_are(
    company: Company, admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    theirs = (await stranger.post("/farms", json={"name": "Theirs"})).json()["id"]
    person = {"email": "k@farm.example", "name": "K", "role": "technician", "password": PASSWORD}

    for places, status in (([theirs], 404), (["frm-00000000"], 404), (["dev-1"], 404), ([company.enclosure], 201)):
        answer = await admin.post("/users", json=person | {"places": places})
        assert answer.status_code in {status, 400}, answer.text
        assert answer.is_success == (status == 201)
    token = await admin.post("/tokens", json={"name": "t", "role": "viewer", "places": [theirs]})
    assert token.status_code == 404


async def test_an_enclosure_is_on_its_farm(company: Company) -> None:
    found = await places_of(company.rooms, company.tenant, [company.enclosure, company.farm, "frm-00000000"])

    assert set(found) == {company.tenant, company.farm, company.enclosure}
    assert found[company.enclosure].farm == company.farm
