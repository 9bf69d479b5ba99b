"""Authorities over the API: for administrators, of their own tenant, without a key in any answer."""

from datetime import timedelta

import httpx
import pytest
from cryptography import x509

from tests.unit.api.company import Company
from tests.unit.authority.test_store import elsewhere


async def test_an_authority_is_made_shown_rolled_over_and_retired(admin: httpx.AsyncClient, company: Company) -> None:
    created = await admin.post("/authorities", json={"name": "Nordvik devices", "curve": "P-384"})
    old = created.json()
    path = f"/authorities/{old['id']}"
    company.clock.advance(timedelta(days=365))
    new = (await admin.post(f"{path}:roll-over", json={})).json()

    listed = (await admin.get("/authorities")).json()["items"]
    retired = (await admin.post(f"{path}:retire")).json()

    assert (created.status_code, created.headers["Location"]) == (201, f"/api/v1{path}")
    assert (old["state"], old["curve"], old["has_key"], old["succeeds"]) == ("current", "P-384", True, None)
    assert x509.load_pem_x509_certificate(old["trust"].encode()).subject.rfc4514_string() == old["subject"]
    assert [(one["id"], one["state"]) for one in listed] == [(old["id"], "retiring"), (new["id"], "current")]
    assert (new["succeeds"], retired["state"]) == (old["id"], "retired")
    assert (await admin.post(f"{path}:roll-over", json={})).status_code == 409
    for answer in (created, await admin.get(path), await admin.get("/authorities")):
        assert "PRIVATE" not in answer.text
        assert '"key"' not in answer.text


async def test_an_authority_from_elsewhere_is_taken_in_and_its_key_is_not_told_again(admin: httpx.AsyncClient) -> None:
    certificate, key = elsewhere()
    taken = await admin.post("/authorities", json={"name": "Site", "certificate": certificate, "key": key})
    audit = await admin.get("/audit")

    assert taken.status_code == 201
    assert taken.json()["trust"] == certificate
    assert "PRIVATE" not in taken.text + audit.text
    again = await admin.post("/authorities", json={"name": "Site", "certificate": certificate, "key": key})
    half = await admin.post("/authorities", json={"name": "Site", "certificate": certificate})
    wrong = await admin.post("/authorities", json={"name": "Site", "certificate": certificate, "key": elsewhere()[1]})
    assert (again.status_code, half.status_code, wrong.status_code) == (409, 400, 400)
    assert "PRIVATE" not in wrong.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 65},
        {"name": "x", "curve": "P-521"},
        {"name": "x", "lifetime_s": 1},
        {"name": "x", "lifetime_s": 10**12},
        {"name": "x", "under": "aut-0"},
        {"name": "x", "certificate": "x", "key": "x"},
    ],
)
async def test_what_cannot_be_made_is_refused_and_leaves_nothing(
    body: dict[str, object], admin: httpx.AsyncClient
) -> None:
    answer = await admin.post("/authorities", json=body)

    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await admin.get("/authorities")).json()["items"] == []


async def test_only_administrators_of_the_tenant_get_there(
    admin: httpx.AsyncClient, viewer: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    id_ = (await admin.post("/authorities", json={"name": "Nordvik"})).json()["id"]

    for method, path in (
        ("GET", "/authorities"),
        ("POST", "/authorities"),
        ("GET", f"/authorities/{id_}"),
        ("GET", f"/authorities/{id_}/crl"),
        ("POST", f"/authorities/{id_}:roll-over"),
        ("POST", f"/authorities/{id_}:retire"),
    ):
        body = {"name": "x"} if method == "POST" else None
        assert (await viewer.request(method, path, json=body)).status_code == 403, path
        if id_ in path:
            assert (await stranger.request(method, path, json=body)).status_code == 404, path
    assert (await stranger.get("/authorities")).json()["items"] == []
    assert (await admin.get(f"/authorities/{id_}")).json()["state"] == "current"


async def test_the_list_of_what_is_revoked_is_signed_by_the_authority(
    admin: httpx.AsyncClient, company: Company
) -> None:
    made = (await admin.post("/authorities", json={"name": "Nordvik"})).json()

    answer = await admin.get(f"/authorities/{made['id']}/crl")

    assert answer.headers["content-type"] == "application/pkix-crl"
    key = x509.load_pem_x509_certificate(made["trust"].encode()).public_key()
    assert x509.load_der_x509_crl(answer.content).is_signature_valid(key)  # type: ignore[arg-type]
