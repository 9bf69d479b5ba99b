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
    assert (second["items"][0]["reason"], second["items"][0]["address"]) == ("bad_key", "192.0.2.7")
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
    assert (told["device"], told["endpoint"]) == (None, "")
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
    assert told["address"] == "127.0.0.1"
    assert (await stranger.get("/security-events")).json()["items"] == []


async def test_it_is_searched_by_what_is_known_of_the_refusal(company: Company, admin: httpx.AsyncClient) -> None:
    device, other = await company.registered(), await company.registered("oxy-0102")
    for number in range(14):
        event = SecurityEvent(
            **company.head(device, f"s-{number}"), reason="wrong_key", identity="oxy-0101", address=f"10.0.0.7:{number}"
        )
        await company.hear(event)
        company.clock.advance(company.heartbeat)
    await company.hear(SecurityEvent(**company.head(other, "x"), reason="unknown_authority", address="10.0.0.8:1"))

    async def found(**query: str) -> list[tuple[str, int]]:
        answer = await admin.get("/security-events", params=query)
        assert answer.status_code == 200, answer.text
        return [(one["reason"], one["count"]) for one in answer.json()["items"]]

    ours = [("wrong_key", 14)]
    assert await found() == [("unknown_authority", 1), *ours]
    for query in ({"reason": "wrong_key"}, {"identity": "oxy-0101"}, {"address": "10.0.0.7"}, {"q": "0.0.7"}):
        assert await found(**query) == ours
    assert await found(device=device.id) == ours
    later = (company.clock.now() + company.heartbeat).isoformat()
    assert await found(**{"from": later}) == []
    assert len(await found(to=later)) == 2


async def test_a_search_for_another_tenants_device_finds_none(company: Company, stranger: httpx.AsyncClient) -> None:
    device = await company.registered()

    answer = await stranger.get("/security-events", params={"device": device.id})

    assert answer.status_code == 404


async def test_a_cursor_that_is_none_of_ours_is_refused(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/security-events", params={"cursor": "x"})).status_code == 400
    assert (await admin.get("/security-events", params={"q": "x" * 129})).status_code == 422
