"""Channels: what carries messages to people."""

import httpx

from tests.unit.api.company import Company

HOOK = {"kind": "webhook", "name": "Duty phone", "url": "https://hooks.example/x"}


async def test_a_webhook_is_created_with_a_secret_that_is_shown_once(admin: httpx.AsyncClient) -> None:
    created = await admin.post("/channels", json=HOOK)
    path = f"/channels/{created.json()['id']}"

    rotated = await admin.post(f"{path}:rotate", headers={"If-Match": created.headers["ETag"]})
    changed = await admin.patch(path, json={"name": "Night phone"}, headers={"If-Match": rotated.headers["ETag"]})

    assert created.status_code == 201
    assert created.json()["secret"].startswith("whsec_")
    assert rotated.json()["secret"] != created.json()["secret"]
    assert (changed.json()["name"], changed.json()["version"]) == ("Night phone", 3)
    for shown in (changed, await admin.get(path), await admin.get("/channels")):
        assert "whsec_" not in shown.text
        assert "secret" not in shown.text
    assert (await admin.delete(path, headers={"If-Match": '"1"'})).status_code == 412
    assert (await admin.delete(path)).status_code == 204


async def test_mail_and_the_dashboard_are_there_and_say_whether_they_are_ready(admin: httpx.AsyncClient) -> None:
    await admin.post("/channels", json=HOOK)

    listed = (await admin.get("/channels")).json()["items"]

    assert [(each["id"][:4], each["kind"], each["is_ready"]) for each in listed] == [
        ("emai", "email", False),
        ("dash", "dashboard", True),
        ("chn-", "webhook", True),
    ]
    assert "No mail server" in listed[0]["says"]


async def test_a_test_is_sent_and_the_channel_tells_what_became_of_it(admin: httpx.AsyncClient) -> None:
    channel = (await admin.post("/channels", json=HOOK)).json()["id"]

    by_webhook = await admin.post(f"/channels/{channel}:test")
    by_mail = await admin.post("/channels/email:test", json={"address": "kari@nordvik.example"})

    assert (by_webhook.status_code, by_mail.status_code) == (202, 202)
    latest = (await admin.get(f"/channels/{channel}")).json()["latest"]
    assert (latest["about"], latest["state"]) == ("test", "waiting")
    assert (await admin.post("/channels/email:test", json={"address": "nobody"})).status_code == 400


async def test_what_must_not_be_called_is_refused(admin: httpx.AsyncClient) -> None:
    for url in (
        "http://hooks.example/",
        "https://127.0.0.1/",
        "https://169.254.169.254/",
        "https://a:b@hooks.example/",
    ):
        answer = await admin.post("/channels", json=HOOK | {"url": url})
        assert (answer.status_code, answer.json()["type"]) == (400, "invalid"), url
    assert (await admin.post("/channels", json=HOOK | {"kind": "pigeon"})).status_code == 422


async def test_neither_a_viewer_nor_another_tenant_changes_a_webhook(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    path = f"/channels/{(await admin.post('/channels', json=HOOK)).json()['id']}"

    assert (await admin.get(path)).json()["url"] == HOOK["url"]
    # The path of a URL may be all that keeps others out.
    assert (await viewer.get(path)).json()["url"] == "https://hooks.example/…"
    assert HOOK["url"] not in (await viewer.get("/channels")).text
    for who, status in ((viewer, 403), (stranger, 404)):
        assert (await who.patch(path, json={"name": "Mine"})).status_code == status
        assert (await who.post(f"{path}:rotate")).status_code == status
        assert (await who.post(f"{path}:test")).status_code == status
        assert (await who.delete(path)).status_code == status
    assert (await viewer.post("/channels", json=HOOK)).status_code == 403
    assert (await viewer.post("/channels/email:test", json={"address": "k@n.example"})).status_code == 403
    assert len((await stranger.get("/channels")).json()["items"]) == 2
