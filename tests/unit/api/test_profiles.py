"""Profiles: what to expect of a device."""

import httpx

from tests.unit.api.company import Company

OWN = {
    "name": "Quiet sensor",
    "report_every_s": 3_600,
    "lifetime_s": 86_400,
    "observe": [{"path": "/3303/*/5700", "attributes": "pmax=3600"}],
    "read": ["/3/0"],
}


async def test_a_tenant_starts_with_profiles_and_adds_its_own(admin: httpx.AsyncClient) -> None:
    created = await admin.post("/profiles", json=OWN)
    listed = (await admin.get("/profiles")).json()["items"]
    one = await admin.get(f"/profiles/{created.json()['id']}")

    assert created.status_code == 201
    assert {"battery-sensor", "mains-camera", None} <= {profile["key"] for profile in listed}
    assert one.json() == created.json()
    assert one.json()["observe"][0] == OWN["observe"][0]  # type: ignore[index]
    # What we always observe: the enclosure that a device claims.
    assert "/26241/*/0" in [intent["path"] for intent in one.json()["observe"]]


async def test_settings_that_cannot_be_are_refused(admin: httpx.AsyncClient) -> None:
    answers = [
        await admin.post("/profiles", json=OWN | {"report_every_s": 0}),
        await admin.post("/profiles", json=OWN | {"read": ["three"]}),
        await admin.post("/profiles", json=OWN | {"battery_high": 30}),
        await admin.post("/profiles", json=OWN | {"read": ["/3/0"] * 65}),
        await admin.post("/profiles", json=OWN | {"name": "Battery sensor"}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 400, 422, 409]


async def test_neither_a_viewer_nor_another_tenant_adds_or_sees_one(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    profile = (await admin.post("/profiles", json=OWN)).json()["id"]

    assert (await viewer.post("/profiles", json=OWN)).status_code == 403
    assert (await stranger.get(f"/profiles/{profile}")).status_code == 404
    assert (await stranger.post("/devices", json={"endpoint": "s-1", "profile": profile})).status_code == 404
    assert (await stranger.post("/devices", json={"endpoint": "s-1", "profile": "Quiet sensor"})).status_code == 404
