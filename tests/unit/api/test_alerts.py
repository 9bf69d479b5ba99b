"""Alerts: the inbox, and what people do about it."""

import httpx

from shoal.bff import heard
from shoal.inventory.device import Device
from shoal.notifications.dashboard import DashboardChannel
from shoal.notifications.email import EmailChannel
from shoal.notifications.worker import Delivery
from tests.unit.api.company import Company


async def alerted(company: Company, endpoint: str = "oxy-0101") -> tuple[Device, str]:
    """A device whose battery is nearly empty, and the alert of it."""
    device = await company.registered(endpoint)
    for level in (9, 8, 7, 6):
        await company.reports(device, {"/3/0/9": level})
        await company.installation.advance(company.heartbeat)
    [alert] = (await company.rooms.alerts.list(company.tenant, device=device.id)).items
    return device, alert.id


async def test_the_pages_read_an_alert_with_its_place_and_cause(company: Company, admin: httpx.AsyncClient) -> None:
    device, alert = await alerted(company)

    listed = (await admin.get("/alerts", params={"state": "open"})).json()
    said = heard.Alert.model_validate((await admin.get(f"/alerts/{alert}")).json())

    assert ([one["id"] for one in listed["items"]], listed["total"], listed["next"]) == ([alert], 1, None)
    assert (said.state, said.condition, said.device, said.endpoint) == ("open", "battery_low", device.id, "oxy-0101")
    assert (said.farm_name, said.enclosure_name) == ("Storholmen", "Pen 1")
    assert said.headline
    assert said.verdict.says
    assert said.timeline[-1].says.startswith("Opened as ")


async def test_an_alert_is_taken_with_a_note_and_resolved(company: Company, admin: httpx.AsyncClient) -> None:
    _, alert = await alerted(company)

    taken = await admin.post(f"/alerts/{alert}:acknowledge", json={"note": "boat at noon"})
    resolved = await admin.post(f"/alerts/{alert}:resolve", json={"note": "new battery"})
    again = await admin.post(f"/alerts/{alert}:acknowledge", json={"note": ""})

    first, second = (heard.Alert.model_validate(answer.json()) for answer in (taken, resolved))
    assert (first.state, first.acknowledged_by, first.note) == (
        "acknowledged",
        "administrator of the test",
        "boat at noon",
    )
    assert (second.state, second.resolved_by) == ("resolved", "administrator of the test")
    assert [line.kind for line in second.timeline][:2] == ["resolved", "acknowledged"]
    assert "new battery" in resolved.json()["reason"]
    assert (again.status_code, again.json()["type"]) == (409, "conflict")


async def test_alerts_are_found_by_what_they_are_about(company: Company, admin: httpx.AsyncClient) -> None:
    device, _ = await alerted(company)
    other_farm = (await admin.post("/farms", json={"name": "South"})).json()["id"]

    async def total(**query: str) -> int:
        return int((await admin.get("/alerts", params=query)).json()["total"])

    assert await total(device=device.id, farm=company.farm, enclosure=company.enclosure) == 1
    assert await total(farm=other_farm) == 0
    assert await total(state="resolved") == 0
    assert await total(severity="informational") == 0


async def test_alerts_come_in_pages(company: Company, admin: httpx.AsyncClient) -> None:
    alerts = [(await alerted(company, f"oxy-{number}"))[1] for number in range(3)]

    first = (await admin.get("/alerts", params={"limit": 2})).json()
    second = (await admin.get("/alerts", params={"limit": 2, "cursor": first["next"]})).json()

    assert [one["id"] for one in (*first["items"], *second["items"])] == alerts[::-1]
    assert (first["total"], second["next"]) == (3, None)


async def test_who_was_told_is_told(company: Company, admin: httpx.AsyncClient) -> None:
    await company.contacts.add(company.tenant, "Kari Moe", [("email", "kari@nordvik.example")])
    _, alert = await alerted(company)

    said = heard.Alert.model_validate((await admin.get(f"/alerts/{alert}")).json())

    assert {(told.channel, told.to, told.state) for told in said.told} == {("email", "Kari Moe", "waiting")}


async def test_who_is_told_next_and_until_when_it_is_taken_is_told(company: Company, admin: httpx.AsyncClient) -> None:
    kari = await company.contacts.add(company.tenant, "Kari Moe", [("email", "kari@nordvik.example")])
    ola = await company.contacts.add(company.tenant, "Ola Aas", [("dashboard", "")])
    steps = [{"contacts": [kari.id]}, {"after_s": 300, "contacts": [ola.id]}]
    await admin.post("/escalation-policies", json={"name": "Night", "steps": steps, "places": [company.farm]})
    _, alert = await alerted(company)

    opened = (await admin.get(f"/alerts/{alert}")).json()
    [listed] = (await admin.get("/alerts")).json()["items"]
    taken = (await admin.post(f"/alerts/{alert}:acknowledge", json={})).json()

    assert (opened["policy_name"], [line["to"] for line in opened["told"]]) == ("Night", ["Kari Moe"])
    assert [(line["to"], line["channels"]) for line in opened["ahead"]] == [
        (["Ola Aas"], ["dashboard"]),
        (["Kari Moe", "Ola Aas"], ["dashboard", "email"]),
    ]
    assert listed["next"] == opened["ahead"][0]
    assert listed["acknowledge_due"] is not None
    assert (taken["ahead"], taken["next"], taken["acknowledge_due"]) == ([], None, None)
    assert taken["taken_until"] is not None


async def test_a_way_that_failed_stands_in_the_timeline(company: Company, admin: httpx.AsyncClient) -> None:
    await company.contacts.add(
        company.tenant, "Kari Moe", [("email", "kari@nordvik.example"), ("dashboard", "")], "informational"
    )
    _, alert = await alerted(company)
    # No mail server is configured: the mail gives way to the next.
    channels = (EmailChannel(None), DashboardChannel())
    delivery = Delivery(company.installation.database, company.clock, channels, owner="here", base_url="")
    while await delivery.deliver_due():
        pass

    said = (await admin.get(f"/alerts/{alert}")).json()

    assert {(line["channel"], line["state"]) for line in said["told"]} == {("email", "failed"), ("dashboard", "sent")}
    assert "Kari Moe was not reached by email: no mail server is configured" in [
        line["says"] for line in said["timeline"]
    ]


async def test_a_word_that_is_no_state_is_refused(admin: httpx.AsyncClient) -> None:
    answer = await admin.get("/alerts", params={"state": "forgotten"})

    assert (answer.status_code, answer.json()["type"]) == (422, "invalid")


async def test_neither_a_viewer_nor_another_tenant_takes_an_alert(
    company: Company, viewer: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    _, alert = await alerted(company)

    assert (await viewer.get(f"/alerts/{alert}")).status_code == 200
    for verb in ("acknowledge", "resolve"):
        assert (await viewer.post(f"/alerts/{alert}:{verb}", json={})).status_code == 403
        assert (await stranger.post(f"/alerts/{alert}:{verb}", json={})).status_code == 404
    assert (await stranger.get(f"/alerts/{alert}")).status_code == 404
    assert (await stranger.get("/alerts")).json() == {"items": [], "next": None, "total": 0}
