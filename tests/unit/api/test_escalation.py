"""Escalation policies: who is told of which alerts, after how long; and the rehearsal of it."""

from typing import Any

import httpx
import pytest

from tests.unit.api.company import Company


@pytest.fixture
async def kari(admin: httpx.AsyncClient) -> str:
    contact = {
        "name": "Kari Moe",
        "methods": [{"channel": "dashboard"}, {"channel": "email", "address": "k@n.example"}],
    }
    return str((await admin.post("/contacts", json=contact)).json()["id"])


@pytest.fixture
async def ola(admin: httpx.AsyncClient) -> str:
    contact = {"name": "Ola Aas", "email": "o@n.example", "min_severity": "critical"}
    return str((await admin.post("/contacts", json=contact)).json()["id"])


def night(kari: str, ola: str, **more: Any) -> dict[str, Any]:
    steps = [{"contacts": [kari.lower()]}, {"after_s": 300, "contacts": [ola], "channels": ["email"], "at_once": True}]
    return {"name": "Night", "steps": steps, "repeat": 1, "repeat_every_s": 600} | more


async def test_a_policy_is_created_changed_and_deleted_by_who_has_seen_it(
    admin: httpx.AsyncClient, kari: str, ola: str
) -> None:
    created = await admin.post("/escalation-policies", json=night(kari, ola, acknowledge_s=120))
    path = f"/escalation-policies/{created.json()['id']}"
    seen = {"If-Match": created.headers["ETag"]}

    changed = await admin.patch(path, json={"name": "Nights", "acknowledge_s": None}, headers=seen)

    assert created.status_code == 201
    assert created.json()["steps"][0] == {"after_s": 0, "contacts": [kari], "channels": [], "at_once": False}
    assert changed.json() == created.json() | {"name": "Nights", "acknowledge_s": None, "version": 2}
    assert (await admin.patch(path, json={"name": "Mine"}, headers=seen)).status_code == 412
    assert (await admin.delete(path, headers=seen)).status_code == 412
    assert (await admin.delete(path, headers={"If-Match": changed.headers["ETag"]})).status_code == 204
    assert (await admin.get(path)).status_code == 404


async def test_a_default_always_exists_and_is_asked_last(admin: httpx.AsyncClient, kari: str, ola: str) -> None:
    [default] = (await admin.get("/escalation-policies")).json()["items"]
    assert (default["is_default"], default["steps"][0]["contacts"]) == (True, ["everybody"])

    await admin.post("/escalation-policies", json=night(kari, ola))
    path = f"/escalation-policies/{default['id']}"
    changed = await admin.patch(path, json={"repeat": 4}, headers={"If-Match": '"0"'})

    assert (changed.status_code, changed.json()["repeat"]) == (200, 4)
    assert [each["is_default"] for each in (await admin.get("/escalation-policies")).json()["items"]] == [False, True]
    assert (await admin.delete(path)).status_code == 409
    assert (await admin.patch(path, json={"severities": ["high"]})).status_code == 400


async def test_a_policy_that_ends_in_nobody_is_refused(
    company: Company, admin: httpx.AsyncClient, kari: str, ola: str
) -> None:
    for steps in (
        [],
        [{"contacts": []}],
        [{"contacts": [kari]}, {"after_s": 60, "contacts": []}],
    ):
        refused = await admin.post("/escalation-policies", json=night(kari, ola, steps=steps))
        assert (refused.status_code, "nobody" in refused.json()["title"]) == (400, True), steps
    stranger = await company.stranger()
    theirs = (await stranger.post("/contacts", json={"name": "X", "email": "x@n.example"})).json()["id"]
    refused = await admin.post("/escalation-policies", json=night(theirs, ola))
    assert (refused.status_code, refused.json()["title"]) == (
        400,
        f"steps.0.contacts: ends in nobody: there is no contact {theirs}",
    )


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"steps": "all"}, 422),
        ({"repeat": 99}, 422),
        ({"repeat_every_s": 10**12}, 422),
        ({"severities": ["dreadful"]}, 422),
        ({"places": ["frm-00000000"]}, 400),
        ({"places": ["frm-0000000U"]}, 400),
        ({"repeat_every_s": 300}, 400),
    ],
)
async def test_what_makes_no_sense_is_refused(
    admin: httpx.AsyncClient, kari: str, ola: str, wrong: dict[str, Any], status: int
) -> None:
    assert (await admin.post("/escalation-policies", json=night(kari, ola, **wrong))).status_code == status


async def test_a_rehearsal_names_who_would_be_told_when_and_tells_nobody(
    company: Company, admin: httpx.AsyncClient, kari: str, ola: str
) -> None:
    made = (await admin.post("/escalation-policies", json=night(kari, ola, places=[company.farm]))).json()["id"]
    asked = {"severity": "high", "enclosure": company.enclosure, "at": "2026-11-01T03:10:00Z"}

    said = (await admin.post("/escalation-policies:rehearse", json=asked)).json()

    assert (said["policy"], said["acknowledge_s"], said["resolve_s"]) == (made, 900, 28_800)
    assert [
        (call["at"][11:16], call["after_s"], call["step"], [(who["name"], who["channels"]) for who in call["who"]])
        for call in said["calls"]
    ] == [
        ("03:10", 0, 0, [("Kari Moe", ["dashboard", "email"])]),
        ("03:15", 300, 1, [("Ola Aas", ["email"])]),
        ("03:20", 600, 0, [("Kari Moe", ["dashboard", "email"])]),
        ("03:25", 900, 1, [("Ola Aas", ["email"])]),
        # Everybody who wants to hear of such an alert.
        ("03:30", 1200, None, [("Kari Moe", ["dashboard", "email"])]),
    ]
    assert await company.notifications.list(company.tenant) == []
    assert await company.rooms.alerts.count(company.tenant) == 0


async def test_a_rehearsal_takes_the_policy_of_the_place_or_the_one_it_is_asked_for(
    company: Company, admin: httpx.AsyncClient, kari: str, ola: str
) -> None:
    south = (await admin.post("/farms", json={"name": "South"})).json()["id"]
    made = (await admin.post("/escalation-policies", json=night(kari, ola, places=[company.farm]))).json()["id"]

    async def policy_of(**asked: str) -> str:
        answer = await admin.post("/escalation-policies:rehearse", json={"severity": "warning"} | asked)
        return str(answer.json()["policy_name"])

    assert await policy_of(farm=company.farm) == "Night"
    assert await policy_of(farm=south) == await policy_of() == "Default"
    assert await policy_of(farm=south, policy=made) == "Night"
    unknown = await admin.post("/escalation-policies:rehearse", json={"severity": "high", "farm": "frm-00000000"})
    assert unknown.status_code == 404


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-11-01T03:10:00", "soon"])
async def test_a_rehearsal_is_of_a_moment_that_somebody_may_live_to_see(admin: httpx.AsyncClient, at: str) -> None:
    answer = await admin.post("/escalation-policies:rehearse", json={"severity": "high", "at": at})

    assert answer.status_code == 422


async def test_policies_are_asked_in_the_order_that_people_give_them(
    admin: httpx.AsyncClient, kari: str, ola: str
) -> None:
    first, second = [
        (await admin.post("/escalation-policies", json=night(kari, ola, name=name))).json()["id"] for name in "ab"
    ]

    ordered = await admin.post("/escalation-policies:order", json={"policies": [second, first]})

    assert [each["name"] for each in ordered.json()["items"]] == ["b", "a", "Default"]
    assert (await admin.post("/escalation-policies:order", json={"policies": [second]})).status_code == 400


async def test_neither_a_viewer_nor_another_tenant_changes_a_policy(
    company: Company,
    admin: httpx.AsyncClient,
    viewer: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    kari: str,
    ola: str,
) -> None:
    path = f"/escalation-policies/{(await admin.post('/escalation-policies', json=night(kari, ola))).json()['id']}"

    assert (await viewer.get(path)).status_code == 200
    assert (await viewer.post("/escalation-policies:rehearse", json={"severity": "high"})).status_code == 200
    for who, status in ((viewer, 403), (stranger, 404)):
        assert (await who.patch(path, json={"name": "Mine"})).status_code == status
        assert (await who.delete(path)).status_code == status
    assert (await viewer.post("/escalation-policies", json=night(kari, ola))).status_code == 403
    assert (await viewer.post("/escalation-policies:order", json={"policies": []})).status_code == 403
    assert [each["name"] for each in (await stranger.get("/escalation-policies")).json()["items"]] == ["Default"]
    foreign = {"severity": "high", "farm": company.farm}
    assert (await stranger.post("/escalation-policies:rehearse", json=foreign)).status_code == 404
