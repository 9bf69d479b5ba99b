"""Farms through the API."""

import httpx

from shoal.bff import heard
from tests.unit.api.company import Company


async def test_a_farm_is_created_found_renamed_and_deleted(admin: httpx.AsyncClient) -> None:
    created = await admin.post("/farms", json={"name": "North"})
    farm = created.json()["id"]

    listed = await admin.get("/farms")
    renamed = await admin.patch(f"/farms/{farm}", json={"name": "Far North"})
    deleted = await admin.delete(f"/farms/{farm}")

    assert created.status_code == 201
    assert created.headers["Location"] == f"/api/v1/farms/{farm}"
    assert {one["name"] for one in listed.json()["items"]} == {"North", "Storholmen"}
    assert listed.json()["next"] is None
    assert renamed.json()["name"] == "Far North"
    assert deleted.status_code == 204
    assert (await admin.get(f"/farms/{farm}")).status_code == 404


async def test_the_pages_read_a_farm_with_its_enclosures(company: Company, admin: httpx.AsyncClient) -> None:
    farm = heard.FarmDetail.model_validate((await admin.get(f"/farms/{company.farm}")).json())

    assert farm.name == "Storholmen"
    assert [(one.id, one.farm, one.name, one.kind) for one in farm.enclosures] == [
        (company.enclosure, company.farm, "Pen 1", "pen")
    ]


async def test_a_change_of_what_somebody_else_changed_meanwhile_is_refused(
    company: Company, admin: httpx.AsyncClient
) -> None:
    read = await admin.get(f"/farms/{company.farm}")
    etag = read.headers["ETag"]

    first = await admin.patch(f"/farms/{company.farm}", json={"name": "One"}, headers={"If-Match": etag})
    second = await admin.patch(f"/farms/{company.farm}", json={"name": "Two"}, headers={"If-Match": etag})
    third = await admin.patch(f"/farms/{company.farm}", json={"name": "Two"}, headers={"If-Match": "*"})

    assert (first.status_code, second.status_code, third.status_code) == (200, 412, 200)
    assert second.json()["type"] == "outdated"
    assert first.headers["ETag"] != etag


async def test_a_farm_with_enclosures_is_not_deleted(company: Company, admin: httpx.AsyncClient) -> None:
    answer = await admin.delete(f"/farms/{company.farm}")

    assert answer.status_code == 409
    assert answer.json()["type"] == "conflict"
    assert answer.json()["enclosures"] == 1


async def test_farms_come_in_pages(company: Company, admin: httpx.AsyncClient) -> None:
    for number in range(4):
        await admin.post("/farms", json={"name": f"Farm {number}"})

    first = (await admin.get("/farms", params={"limit": 3})).json()
    second = (await admin.get("/farms", params={"limit": 3, "cursor": first["next"]})).json()

    names = [one["name"] for one in (*first["items"], *second["items"])]
    assert names == ["Farm 0", "Farm 1", "Farm 2", "Farm 3", "Storholmen"]
    assert second["next"] is None


async def test_another_tenant_sees_nothing_of_a_farm(company: Company, stranger: httpx.AsyncClient) -> None:
    answers = [
        await stranger.get(f"/farms/{company.farm}"),
        await stranger.patch(f"/farms/{company.farm}", json={"name": "Mine"}),
        await stranger.delete(f"/farms/{company.farm}"),
        await stranger.post(f"/farms/{company.farm}/enclosures", json={"name": "Mine"}),
        await stranger.get(f"/farms/{company.farm}/enclosures"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 5
    assert (await stranger.get("/farms")).json()["items"] == []


async def test_a_viewer_looks_and_changes_nothing(company: Company, viewer: httpx.AsyncClient) -> None:
    refused = [
        await viewer.post("/farms", json={"name": "Mine"}),
        await viewer.patch(f"/farms/{company.farm}", json={"name": "Mine"}),
        await viewer.delete(f"/farms/{company.farm}"),
    ]

    assert [answer.status_code for answer in refused] == [403] * 3
    assert refused[0].json()["type"] == "forbidden"
    assert (await viewer.get(f"/farms/{company.farm}")).json()["name"] == "Storholmen"


async def test_a_name_that_cannot_be_one_is_refused(admin: httpx.AsyncClient) -> None:
    blank = await admin.post("/farms", json={"name": "   "})
    long = await admin.post("/farms", json={"name": "x" * 1_000})

    assert (blank.status_code, blank.json()["type"]) == (400, "invalid")
    assert (long.status_code, long.json()["type"]) == (422, "invalid")
    assert long.json()["errors"][0]["field"] == "body.name"
