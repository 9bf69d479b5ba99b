"""The health of a fleet in numbers."""

from datetime import datetime, timedelta

import httpx

from shoal.bff import heard
from shoal.events.device import Heartbeat
from tests.unit.api.company import Company


async def test_the_pages_read_how_many_are_well_in_all_and_on_each_farm(
    company: Company, admin: httpx.AsyncClient
) -> None:
    await company.registered("oxy-1")
    await company.registered("oxy-2", queue_mode=True)
    await company.device("oxy-3")
    await company.installation.advance(timedelta(seconds=100))

    said = heard.Health.model_validate((await admin.get("/health")).json())

    assert (said.devices, said.healthy, said.new, said.asleep) == (3, 2, 1, 1)
    assert [(farm.farm, farm.devices, farm.asleep) for farm in said.farms] == [(company.farm, 3, 1)]


async def test_the_pages_read_what_every_enclosure_can_still_see(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered("tmp-1")
    bare = await company.installation.create_enclosure(company.tenant, company.farm, "Pen 2")
    await company.reports(device, {"/3303/0/5700": 9.1, "/3303/0/5701": "Cel"})

    everywhere = (await admin.get("/health/coverage", params={"limit": 5_000})).json()
    here = (await admin.get("/health/coverage", params={"enclosure": company.enclosure})).json()

    said = [heard.Coverage.model_validate(one) for one in everywhere["items"]]
    assert [(one.enclosure, one.farm, one.name) for one in said] == [
        (company.enclosure, company.farm, "Pen 1"),
        (bare, company.farm, "Pen 2"),
    ]
    assert [(one.quantity, one.alive, one.expected) for one in said[0].quantities] == [("temperature", 1, 1)]
    assert said[1].quantities == []
    [quantity] = heard.Coverage.model_validate(here["items"][0]).quantities
    assert (quantity.value, quantity.unit, quantity.freshest_at) == (9.1, "Cel", company.clock.now())


async def test_coverage_comes_in_pages_and_for_one_farm(company: Company, admin: httpx.AsyncClient) -> None:
    south = await company.installation.create_farm(company.tenant, "South")
    await company.installation.create_enclosure(company.tenant, south, "Pond 1")

    first = (await admin.get("/health/coverage", params={"limit": 1})).json()
    second = (await admin.get("/health/coverage", params={"limit": 1, "cursor": first["next"]})).json()
    of_south = (await admin.get("/health/coverage", params={"farm": south})).json()

    assert [one["name"] for one in (*first["items"], *second["items"])] == ["Pen 1", "Pond 1"]
    assert second["next"] is None
    assert [one["name"] for one in of_south["items"]] == ["Pond 1"]


async def test_a_generic_sensor_is_what_its_unit_says(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered("oxy-1", objects=("/3/0", "/3300/0"))
    await company.reports(device, {"/3300/0/5701": "mg/L", "/3300/0/5700": 8.4})

    answer = (await admin.get("/health/coverage", params={"farm": company.farm})).json()

    [quantity] = answer["items"][0]["quantities"]
    assert (quantity["quantity"], quantity["value"], quantity["unit"]) == ("oxygen", 8.4, "mg/L")


async def test_the_pipeline_says_since_when_nobody_is_heard(company: Company, admin: httpx.AsyncClient) -> None:
    await company.installation.advance(company.heartbeat)
    heard_at = company.clock.now()
    before = heard.Pipeline.model_validate((await admin.get("/pipeline")).json())

    company.clock.advance(timedelta(minutes=5))
    after = heard.Pipeline.model_validate((await admin.get("/pipeline")).json())

    assert before == heard.Pipeline(delayed_since=None, heartbeat_at=heard_at)
    assert after.delayed_since == heard_at
    assert (await admin.get("/health")).json()["delayed_since"] is not None


async def test_the_pipeline_says_which_gateway_is_not_heard(company: Company, admin: httpx.AsyncClient) -> None:
    away = company.clock.now()
    await company.installation.hear(_beat(away, [0]), _beat(away, [3]))
    await company.installation.settle()
    assert (await admin.get("/pipeline")).json()["unheard_nodes"] == []

    for _ in range(10):
        company.clock.advance(timedelta(seconds=20))
        await company.installation.hear(_beat(company.clock.now(), [0]))
        await company.installation.settle()

    said = (await admin.get("/pipeline")).json()
    assert said["unheard_nodes"] == [3]
    assert datetime.fromisoformat(said["delayed_since"]) == away


def _beat(now: datetime, nodes: list[int]) -> Heartbeat:
    return Heartbeat(id=f"heartbeat-{nodes}-{now}", time=now, partition=0, nodes=nodes, of=[0, 3])


async def test_another_tenant_counts_nothing_of_ours(company: Company, stranger: httpx.AsyncClient) -> None:
    await company.registered()

    said = heard.Health.model_validate((await stranger.get("/health")).json())

    assert (said.devices, said.farms) == (0, [])
    assert (await stranger.get("/health/coverage")).json()["items"] == []
    assert (await stranger.get("/health/coverage", params={"enclosure": company.enclosure})).status_code == 404
