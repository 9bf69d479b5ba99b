"""Who was not let in, and why."""

import httpx

from shoal.access.policy import Role
from shoal.events.device import RequestRefused, SecurityEvent
from tests.unit.api.company import PASSWORD, Company


async def test_refused_handshakes_and_requests_are_listed_newest_first(
    company: Company, admin: httpx.AsyncClient
) -> None:
    device = await company.registered()
    await company.hear(SecurityEvent(**company.head(device, "security"), reason="bad_key", address="192.0.2.7:1"))
    company.clock.advance(company.heartbeat)
    await company.hear(
        RequestRefused(**company.head(device, "refused"), operation="send", code="4.03", reason="not_registered")
    )

    first = (await admin.get("/security-events", params={"limit": 1})).json()
    second = (await admin.get("/security-events", params={"limit": 5, "cursor": first["next"]})).json()

    assert [one["kind"] for one in (*first["items"], *second["items"])] == ["refused", "security"]
    assert (second["items"][0]["device"], second["items"][0]["endpoint"]) == (device.id, "oxy-0101")
    assert "bad key" in second["items"][0]["says"]
    assert second["next"] is None


async def test_another_tenant_sees_none_of_ours(company: Company, stranger: httpx.AsyncClient) -> None:
    device = await company.registered()
    await company.hear(SecurityEvent(**company.head(device, "security"), reason="bad_key"))

    assert (await stranger.get("/security-events")).json()["items"] == []


async def test_strangers_are_told_to_the_only_tenant_and_to_none_of_several(
    company: Company, admin: httpx.AsyncClient
) -> None:
    await company.hear(
        SecurityEvent(id="s-1", time=company.clock.now(), reason="unknown_identity", identity="who", count=3)
    )

    (told,) = (await admin.get("/security-events")).json()["items"]
    assert (told["device"], told["endpoint"]) == (None, None)
    assert told["says"] == "Not let in: unknown identity 'who', 3 times"

    stranger = await company.stranger()
    assert (await admin.get("/security-events")).json()["items"] == []
    assert (await stranger.get("/security-events")).json()["items"] == []


async def test_guesses_at_a_login_are_told_to_the_tenant_whose_login_it_is(
    company: Company, admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await company.installation.identity.create_user(
        company.tenant, email="ida@nordvik.example", name="Ida", role=Role.VIEWER, password=PASSWORD
    )
    for _ in range(6):
        await company.bearing(None).post("/sessions", json={"email": "ida@nordvik.example", "password": "wrong"})
    await company.installation.settle()

    (told,) = (await admin.get("/security-events")).json()["items"]
    assert told["says"] == "Not let in: too many wrong passwords 'ida@nordvik.example'"
    assert told["detail"]["address"] == "127.0.0.1"
    assert (await stranger.get("/security-events")).json()["items"] == []
