"""Certificates over the API: issued for a request, listed by their end, renewed, revoked; and leave to enrol."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from shoal.authority.issuing import new_key
from tests.harness.requests import request, request_with_anothers_key
from tests.unit.api.company import Company


def asked(endpoint: str = "oxy-0417", **more: object) -> dict[str, object]:
    return {"request": request(endpoint, encoding=Encoding.PEM).decode(), "endpoint": endpoint, **more}


async def an_authority(client: httpx.AsyncClient) -> str:
    return str((await client.post("/authorities", json={"name": "Nordvik"})).json()["id"])


async def issued(client: httpx.AsyncClient, authority: str, **more: object) -> dict[str, Any]:
    answer = await client.post(f"/authorities/{authority}/certificates", json=asked(**more))  # type: ignore[arg-type]
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_device_and_a_server_get_certificates_for_their_requests(admin: httpx.AsyncClient) -> None:
    authority, key = await an_authority(admin), new_key()
    path = f"/authorities/{authority}/certificates"
    pem = request("oxy", key, encoding=Encoding.PEM).decode()

    device = await admin.post(path, json={"request": pem, "endpoint": "oxy", "uris": ["urn:imei:1"]})
    server = await admin.post(path, json={"request": pem, "names": ["gw.example", "10.0.0.7"]})

    assert (device.status_code, server.status_code) == (201, 201)
    said = device.json()
    assert (said["usage"], said["subject"], said["names"], said["state"]) == ("device", "oxy", ["urn:imei:1"], "good")
    assert x509.load_pem_x509_certificate(said["chain"].encode()).public_key() == key.public_key()
    assert (server.json()["usage"], server.json()["names"]) == ("server", ["gw.example", "10.0.0.7"])
    assert (await admin.get(device.headers["Location"].removeprefix("/api/v1"))).json()["serial"] == said["serial"]
    assert "PRIVATE" not in device.text + server.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"request": "x"},
        {"request": request_with_anothers_key("oxy-0417").hex()},
        {"endpoint": "other"},
        {"endpoint": None},
        {"names": ["gw.example"]},
        {"uris": ["x"]},
        {"lifetime_s": 5},
        {"request": "x" * 10_000},
    ],
)
async def test_what_cannot_be_issued_is_refused_and_leaves_nothing(
    wrong: dict[str, object], admin: httpx.AsyncClient
) -> None:
    path = f"/authorities/{await an_authority(admin)}/certificates"

    answer = await admin.post(path, json=asked() | wrong)

    assert answer.status_code in {400, 422}, answer.text
    assert (await admin.get("/certificates")).json()["items"] == []
    assert (await admin.post(path, json=asked())).status_code == 201


async def test_they_are_listed_by_their_end_page_by_page(admin: httpx.AsyncClient, company: Company) -> None:
    authority = await an_authority(admin)
    for days, name in ((30, "c"), (10, "a"), (20, "b")):
        await issued(admin, authority, endpoint=name, lifetime_s=days * 86_400)
    soon = (company.clock.now() + timedelta(days=15)).isoformat()

    first = (await admin.get("/certificates", params={"limit": 2})).json()
    second = (await admin.get("/certificates", params={"limit": 2, "cursor": first["next"]})).json()

    assert [one["subject"] for one in first["items"] + second["items"]] == ["a", "b", "c"]
    assert second["next"] is None
    for params, found in (
        ({"expires_before": soon}, ["a"]),
        ({"expires_after": soon}, ["b", "c"]),
        ({"endpoint": "b"}, ["b"]),
        ({"authority": authority, "endpoint": "c"}, ["c"]),
    ):
        assert [one["subject"] for one in (await admin.get("/certificates", params=params)).json()["items"]] == found
    assert (await admin.get("/certificates", params={"cursor": "x"})).status_code == 400


async def test_one_is_renewed_and_revoked_and_then_renewed_no_more(admin: httpx.AsyncClient, company: Company) -> None:
    authority = await an_authority(admin)
    old = await issued(admin, authority)
    path = f"/certificates/{old['id']}"
    company.clock.advance(timedelta(days=100))

    renewed = await admin.post(f"{path}:renew", json={})
    revoked = await admin.post(f"{path}:revoke", json={"reason": "keyCompromise"})
    crl = x509.load_der_x509_crl((await admin.get(f"/authorities/{authority}/crl")).content)

    assert renewed.status_code == 201
    assert renewed.json()["not_after"] > old["not_after"]
    assert (revoked.json()["state"], revoked.json()["reason"]) == ("revoked", "keyCompromise")
    assert [one.serial_number for one in crl] == [int(old["serial"], 16)]
    assert (await admin.post(f"{path}:renew", json={})).status_code == 409
    assert (await admin.post(f"{path}:revoke", json={"reason": "because"})).status_code == 422


async def test_leave_to_enrol_is_given_with_a_secret_that_is_shown_once(admin: httpx.AsyncClient) -> None:
    given = await admin.post("/enrolments", json={"endpoint": "oxy"}, headers={"Idempotency-Key": "once"})
    again = await admin.post("/enrolments", json={"endpoint": "oxy"}, headers={"Idempotency-Key": "once"})
    secret = given.json()["secret"]

    listed, audit = await admin.get("/enrolments"), await admin.get("/audit")

    assert (given.status_code, again.json()) == (201, given.json())
    assert [(one["endpoint"], one["is_used"]) for one in listed.json()["items"]] == [("oxy", False)]
    assert secret not in listed.text + audit.text
    assert (await admin.delete(f"/enrolments/{given.json()['id']}")).status_code == 204
    assert (await admin.delete(f"/enrolments/{given.json()['id']}")).status_code == 404
    assert (await admin.post("/enrolments", json={"endpoint": "oxy", "lifetime_s": 1})).status_code == 422


async def test_only_administrators_of_the_tenant_get_there(
    admin: httpx.AsyncClient, viewer: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    authority = await an_authority(admin)
    id_ = (await issued(admin, authority))["id"]
    leave = (await admin.post("/enrolments", json={"endpoint": "oxy"})).json()["id"]

    for method, path, body in (
        ("POST", f"/authorities/{authority}/certificates", asked()),
        ("GET", "/certificates", None),
        ("GET", f"/certificates/{id_}", None),
        ("POST", f"/certificates/{id_}:renew", {}),
        ("POST", f"/certificates/{id_}:revoke", {}),
        ("POST", "/enrolments", {"endpoint": "oxy"}),
        ("GET", "/enrolments", None),
        ("DELETE", f"/enrolments/{leave}", None),
    ):
        assert (await viewer.request(method, path, json=body)).status_code == 403, path
        if "-" in path:
            assert (await stranger.request(method, path, json=body)).status_code == 404, path
    assert (await stranger.get("/certificates")).json()["items"] == []
    assert (await admin.get(f"/certificates/{id_}")).json()["state"] == "good"


async def test_all_of_it_is_in_the_audit_log(admin: httpx.AsyncClient) -> None:
    authority = await an_authority(admin)
    id_ = (await issued(admin, authority))["id"]
    await admin.post(f"/certificates/{id_}:revoke", json={})

    entries = (await admin.get("/audit")).json()["items"]

    assert [(one["action"], one["resource"], one["thing"]) for one in reversed(entries)] == [
        ("create", "authorities", authority),
        ("create", "certificates", id_),
        ("revoke", "certificates", id_),
    ]
