"""Whose certificates let devices in, over the API."""

from datetime import UTC, datetime
from pathlib import Path

import httpx

from tests.harness.authority import Authority
from tests.unit.api.company import Company


async def test_an_anchor_is_taken_in_proved_renamed_and_retired(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient, stranger: httpx.AsyncClient, tmp_path: Path
) -> None:
    company.installation.clock.advance(datetime.now(UTC) - company.installation.clock.now())
    authority = Authority(tmp_path, "Nordlaks")
    wish = {"name": "Makers", "certificate": authority.ca.read_text(), "zero_touch": "approve", "kind": "camera"}
    assert (await viewer.post("/trust-anchors", json=wish)).status_code == 403

    created = await admin.post("/trust-anchors", json=wish)
    made = created.json()
    path = f"/trust-anchors/{made['id']}"
    assert (created.status_code, made["state"], made["certificate"]["subject"]) == (201, "unproved", "CN=Nordlaks")
    assert (await admin.post(f"{path}:prove", json={"signature": authority.sign("x")})).status_code == 400
    assert (await admin.post(f"{path}:prove", json={})).status_code == 400
    assert (await stranger.post(f"{path}:prove", json={})).status_code == 404
    proof = authority.certificate(made["challenge"]).cert.read_text()
    proved = (await admin.post(f"{path}:prove", json={"certificate": proof})).json()
    assert (proved["state"], proved["challenge"]) == ("trusted", None)

    changed = (await admin.patch(path, json={"name": "Old makers", "zero_touch": "off"})).json()
    assert (changed["name"], changed["zero_touch"], changed["kind"]) == ("Old makers", "off", "camera")
    assert (await viewer.get("/trust-anchors")).json()["items"] == [changed]
    assert (await stranger.get("/trust-anchors")).json()["items"] == []
    await admin.post("/devices", json={"endpoint": "cam-9", "security": {"mode": "x509"}})
    use = {"anchors": [{"anchor": made["id"], "devices": 0}], "elsewhere": 0, "unseen": 1}
    assert (await viewer.get("/trust-anchors:use")).json() == use
    assert (await stranger.get("/trust-anchors:use")).json() == {"anchors": [], "elsewhere": 0, "unseen": 0}
    assert (await viewer.delete(path)).status_code == 403
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.get(path)).json()["state"] == "retired"
    told = [(one["action"], one["resource"]) for one in (await admin.get("/audit")).json()["items"]]
    assert {("create", "trust-anchors"), ("prove", "trust-anchors"), ("delete", "trust-anchors")} <= set(told)


async def test_a_certificate_that_is_none_is_refused(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/trust-anchors", json={"name": "x", "certificate": "none"})

    assert answer.status_code == 400
    assert "certificate" in answer.text


async def test_the_anchor_of_an_own_authority_goes_with_the_authority_only(
    company: Company, admin: httpx.AsyncClient
) -> None:
    company.installation.clock.advance(datetime.now(UTC) - company.installation.clock.now())
    own = (await admin.post("/authorities", json={"name": "Nordvik devices"})).json()["id"]
    [anchor] = (await admin.get("/trust-anchors")).json()["items"]

    refused = await admin.delete(f"/trust-anchors/{anchor['id']}")
    await admin.post(f"/authorities/{own}:roll-over", json={})
    still = await admin.delete(f"/trust-anchors/{anchor['id']}")

    assert (refused.status_code, refused.json()["type"], refused.json()["authority"]) == (409, "conflict", own)
    assert f"your own authority {own}" in refused.json()["title"]
    assert refused.json()["title"].endswith("retire that one")
    assert still.status_code == 409
    assert (await admin.post(f"/authorities/{own}:retire")).is_success
    anchors = {one["id"]: one["state"] for one in (await admin.get("/trust-anchors")).json()["items"]}
    assert sorted(anchors.values()) == ["retired", "trusted"]
    assert anchors[anchor["id"]] == "retired"
