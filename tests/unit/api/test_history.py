"""The past of a device through the API."""

from datetime import timedelta

import httpx
import pytest

from shoal.bff import heard
from tests.unit.api.company import Company


async def test_the_pages_read_a_chart_that_is_downsampled_here(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    begins = company.clock.now()
    for value in (8.0, 9.0, 10.0, 11.0):
        await company.reports(device, {"/3303/0/5700": value})
        company.clock.advance(timedelta(minutes=10))

    answer = await admin.get(
        f"/devices/{device.id}/readings",
        params={
            "path": "/3303/0/5700",
            "from": begins.isoformat(),
            "to": (begins + timedelta(minutes=40)).isoformat(),
            "points": 2,
        },
    )

    said = heard.Readings.model_validate(answer.json())
    assert said.path == "/3303/0/5700"
    assert [(one.mean, one.min, one.max, one.count) for one in said.points] == [
        (8.5, 8.0, 9.0, 2),
        (10.5, 10.0, 11.0, 2),
    ]
    assert said.points[0].at == begins


async def test_a_chart_without_bounds_shows_the_last_day(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    await company.reports(device, {"/3/0/9": 80})
    company.clock.advance(timedelta(hours=30))
    await company.reports(device, {"/3/0/9": 70})
    company.clock.advance(timedelta(minutes=1))

    said = (await admin.get(f"/devices/{device.id}/readings", params={"path": "/3/0/9"})).json()

    assert ([one["mean"] for one in said["points"]], said["unit"]) == ([70], "%")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 422),
        ({"path": "battery"}, 400),
        ({"path": "/3/0/9", "points": 5_000}, 422),
        ({"path": "/3/0/9", "from": "yesterday"}, 422),
        ({"path": "/3/0/9", "from": "2026-11-01T06:00:00"}, 422),
        ({"path": "/3/0/9", "from": "2026-11-02T00:00:00Z", "to": "2026-11-01T00:00:00Z"}, 400),
        ({"path": "/3/0/9", "from": "1970-01-01T00:00:00Z"}, 400),
    ],
    ids=str,
)
async def test_what_cannot_be_drawn_is_refused(
    company: Company, admin: httpx.AsyncClient, query: dict[str, str], status: int
) -> None:
    device = await company.device()

    assert (await admin.get(f"/devices/{device.id}/readings", params=query)).status_code == status


async def test_the_pages_read_what_happened_newest_first_in_pages(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.device()
    company.clock.advance(timedelta(minutes=1))
    await company.registered_again(device)
    path = f"/devices/{device.id}/timeline"

    everything = (await admin.get(path)).json()
    first = (await admin.get(path, params={"limit": 1})).json()
    rest = (await admin.get(path, params={"limit": 100, "cursor": first["next"]})).json()
    registrations = (await admin.get(path, params={"kind": "registration"})).json()

    lines = [heard.TimelineItem.model_validate(one) for one in everything["items"]]
    assert [line.at for line in lines] == sorted((line.at for line in lines), reverse=True)
    assert first["items"] + rest["items"] == everything["items"]
    assert [one["kind"] for one in registrations["items"]] == ["registration"]
    assert registrations["items"][0]["says"].startswith("Registered")


@pytest.mark.parametrize("cursor", ["nonsense", "WyJhIl0", "WyJhIiwiYiJd"])
async def test_a_cursor_that_is_none_of_ours_is_refused(
    company: Company, admin: httpx.AsyncClient, cursor: str
) -> None:
    device = await company.device()

    answer = await admin.get(f"/devices/{device.id}/timeline", params={"cursor": cursor})

    assert (answer.status_code, answer.json()["type"]) == (400, "invalid")


async def test_another_tenant_sees_no_past(company: Company, stranger: httpx.AsyncClient) -> None:
    device = await company.registered()

    chart = await stranger.get(f"/devices/{device.id}/readings", params={"path": "/3/0/9"})
    lines = await stranger.get(f"/devices/{device.id}/timeline")

    assert (chart.status_code, lines.status_code) == (404, 404)
