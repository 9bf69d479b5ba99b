"""Enclosures through the API."""

import httpx

from shoal.bff import heard
from tests.unit.api.company import Company


async def test_an_enclosure_is_created_found_changed_and_deleted(company: Company, admin: httpx.AsyncClient) -> None:
    created = await admin.post(f"/farms/{company.farm}/enclosures", json={"name": "Pen 4", "kind": "pen"})
    enclosure = created.json()["id"]

    read = await admin.get(f"/enclosures/{enclosure}")
    changed = await admin.patch(f"/enclosures/{enclosure}", json={"kind": "smolt tank"})
    deleted = await admin.delete(f"/enclosures/{enclosure}", headers={"If-Match": changed.headers["ETag"]})

    assert created.status_code == 201
    assert heard.Enclosure.model_validate(read.json()) == heard.Enclosure(
        id=enclosure, farm=company.farm, name="Pen 4", kind="pen"
    )
    assert (changed.json()["name"], changed.json()["kind"]) == ("Pen 4", "smolt tank")
    assert deleted.status_code == 204


async def test_enclosures_are_listed_for_a_farm_and_for_all(company: Company, admin: httpx.AsyncClient) -> None:
    other = (await admin.post("/farms", json={"name": "South"})).json()["id"]
    await admin.post(f"/farms/{other}/enclosures", json={"name": "Pond 9", "kind": "pond"})

    of_farm = (await admin.get(f"/farms/{other}/enclosures")).json()["items"]
    filtered = (await admin.get("/enclosures", params={"farm": company.farm})).json()["items"]
    everywhere = (await admin.get("/enclosures")).json()["items"]

    assert [one["name"] for one in of_farm] == ["Pond 9"]
    assert [one["name"] for one in filtered] == ["Pen 1"]
    assert [one["farm_name"] for one in everywhere] == ["Storholmen", "South"]


async def test_an_enclosure_with_devices_is_not_deleted(company: Company, admin: httpx.AsyncClient) -> None:
    await company.device()

    answer = await admin.delete(f"/enclosures/{company.enclosure}")

    assert answer.status_code == 409
    assert answer.json()["devices"] == 1


async def test_an_enclosure_of_a_farm_that_is_not_there_is_not_created(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/farms/frm-00000000/enclosures", json={"name": "Pen 1"})

    assert answer.status_code == 404
    assert answer.json()["type"] == "not-found"


async def test_another_tenant_sees_nothing_of_an_enclosure(company: Company, stranger: httpx.AsyncClient) -> None:
    path = f"/enclosures/{company.enclosure}"
    answers = [await stranger.get(path), await stranger.patch(path, json={"name": "Mine"}), await stranger.delete(path)]

    assert [answer.status_code for answer in answers] == [404] * 3
    assert (await stranger.get("/enclosures")).json()["items"] == []


async def test_a_viewer_changes_no_enclosure(company: Company, viewer: httpx.AsyncClient) -> None:
    refused = [
        await viewer.post(f"/farms/{company.farm}/enclosures", json={"name": "Mine"}),
        await viewer.patch(f"/enclosures/{company.enclosure}", json={"name": "Mine"}),
        await viewer.delete(f"/enclosures/{company.enclosure}"),
    ]

    assert [answer.status_code for answer in refused] == [403] * 3
