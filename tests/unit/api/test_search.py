"""One field finds all."""

from datetime import timedelta

import httpx

from tests.unit.api.company import Company


async def found(client: httpx.AsyncClient, q: str, **more: int) -> list[tuple[str, str, str]]:
    answer = await client.get("/search", params={"q": q, **more})
    assert answer.status_code == 200, answer.text
    return [(one["kind"], one["name"], one["match"]) for one in answer.json()["items"]]


async def test_places_and_devices_are_found_by_name_and_id(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.device("oxy-0101")

    assert await found(admin, "OXY") == [("device", "oxy-0101", "prefix")]
    assert await found(admin, device.id.lower()) == [("device", "oxy-0101", "exact")]
    assert await found(admin, "pen") == [("enclosure", "Pen 1", "prefix")]
    assert await found(admin, "storholmen") == [("farm", "Storholmen", "exact")]
    assert await found(admin, " ") == []


async def test_whoever_holds_a_device_in_the_hand_types_its_serial_number(
    company: Company, admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    device = await company.registered("oxy-0101")
    await company.reports(device, {"/3/0/2": "TM-20417%", "/3/0/3": "TM-2.1"})

    [item] = (await admin.get("/search", params={"q": "tm-20417%"})).json()["items"]

    assert (item["id"], item["detail"], item["match"]) == (device.id, "TM-20417%", "exact")
    assert (item["farm_name"], item["enclosure_name"]) == ("Storholmen", "Pen 1")
    assert await found(admin, "TM-2") == [("device", "oxy-0101", "prefix")]
    assert await found(admin, "TM") == []
    assert await found(admin, "TM_2") == []
    assert await found(stranger, "TM-2") == []


async def test_serial_numbers_of_other_tenants_and_longer_ones_push_none_out(
    company: Company, admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    longer = [await company.registered(f"oxy-020{number}") for number in range(3)]
    own = await company.registered("oxy-0101")
    for number, device in enumerate(longer):
        await company.reports(device, {"/3/0/2": f"TM-2041{number}"})
    await company.reports(own, {"/3/0/2": "TM-2041"})

    async def serials(client: httpx.AsyncClient, q: str, limit: int) -> list[str]:
        items = (await client.get("/search", params={"q": q, "limit": limit})).json()["items"]
        return [one["detail"] for one in items]

    assert await serials(admin, "tm-2041", 1) == ["TM-2041"]
    assert await serials(admin, "tm-2041", 3) == ["TM-2041", "TM-20410", "TM-20411"]
    assert await serials(stranger, "tm-2041", 3) == []


async def test_an_open_alert_is_found_by_its_code_and_by_what_it_says(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    device = await company.registered("oxy-0101")
    await company.reports(device, {"/3/0/9": 87})
    await company.installation.advance(timedelta(hours=12))
    [alert, *_] = (await admin.get("/alerts")).json()["items"]

    assert ("alert", alert["headline"], "exact") in await found(viewer, f"#{alert['code'].lower()}")
    assert ("alert", alert["headline"], "part") in await found(admin, alert["headline"][1:8])
    assert await found(stranger, alert["code"]) == []


async def test_questions_have_bounds(company: Company, admin: httpx.AsyncClient) -> None:
    for number in range(5):
        await company.device(f"oxy-010{number}")

    assert len(await found(admin, "oxy", limit=2)) == 2
    assert (await admin.get("/search", params={"q": "x" * 101})).status_code in {400, 422}
    assert (await admin.get("/search", params={"q": "oxy", "limit": 51})).status_code in {400, 422}
    assert (await admin.get("/search")).status_code in {400, 422}
    assert (await company.bearing(None).get("/search", params={"q": "oxy"})).status_code == 401
