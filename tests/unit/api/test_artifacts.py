"""Artifacts: firmware images and models."""

from collections.abc import Mapping

import httpx
import pytest

from shoal.api.bounds import FORM_BYTES_MAX
from shoal.bff import heard
from tests.unit.api.company import Company

FORM = {"name": "fish-count", "version": "2.1.0", "kind": "model"}
FILE = {"file": ("fish-count-2.1.0.bin", b"weights" * 1_000)}


async def test_an_artifact_is_taken_in_and_listed(company: Company, admin: httpx.AsyncClient) -> None:
    created = await admin.post("/artifacts", data=FORM, files=FILE)
    listed = await admin.get("/artifacts", params={"kind": "model"})
    one = await admin.get(f"/artifacts/{created.json()['id']}")

    said = heard.Artifact.model_validate(created.json())
    assert created.status_code == 201, created.text
    assert (said.name, said.version, said.kind, said.size) == ("fish-count", "2.1.0", "model", 7_000)
    assert [item["id"] for item in listed.json()["items"]] == [said.id]
    assert one.json() == created.json()
    kept = company.installation.files.path(created.json()["sha256"])
    assert kept.read_bytes() == b"weights" * 1_000


async def test_the_same_again_is_the_one_that_is_there_and_other_bytes_are_a_conflict(
    admin: httpx.AsyncClient,
) -> None:
    first = await admin.post("/artifacts", data=FORM, files=FILE)
    same = await admin.post("/artifacts", data=FORM, files=FILE)
    other = await admin.post("/artifacts", data=FORM, files={"file": ("x", b"other")})

    assert same.json()["id"] == first.json()["id"]
    assert (other.status_code, other.json()["type"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("form", "files"),
    [
        (FORM, {}),
        (FORM, {"file": ("empty", b"")}),
        (FORM | {"kind": "virus"}, FILE),
        (FORM | {"name": ""}, FILE),
        ({"name": "x", "kind": "model"}, FILE),
    ],
)
async def test_what_cannot_be_an_artifact_is_refused(
    admin: httpx.AsyncClient, form: dict[str, str], files: Mapping[str, tuple[str, bytes]]
) -> None:
    # An empty part makes httpx send a form even without a file.
    answer = await admin.post("/artifacts", data=form, files=files or {"note": (None, b"none")})

    assert (answer.status_code, answer.json()["type"]) == (400, "invalid")
    assert (await admin.get("/artifacts")).json()["items"] == []


async def test_what_is_no_form_is_refused(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/artifacts", json=FORM)

    assert (answer.status_code, answer.json()["type"]) == (415, "unsupported-media-type")


async def test_a_file_that_says_it_is_too_large_is_refused_unread(admin: httpx.AsyncClient) -> None:
    request = admin.build_request("POST", "/artifacts", data=FORM, files=FILE)
    request.headers["Content-Length"] = str(FORM_BYTES_MAX + 1)

    answer = await admin.send(request)

    assert (answer.status_code, answer.json()["type"]) == (413, "too-large")


async def test_nobody_else_fills_the_disk(company: Company, viewer: httpx.AsyncClient) -> None:
    unknown = await company.bearing(None).post("/artifacts", data=FORM, files=FILE)
    refused = await viewer.post("/artifacts", data=FORM, files=FILE)

    assert (unknown.status_code, refused.status_code) == (401, 403)
    assert not (company.installation.folder / "artifacts").exists()


async def test_when_enough_come_in_already_the_next_is_asked_to_come_back(
    company: Company, admin: httpx.AsyncClient
) -> None:
    company.rooms.uploads.taken = 4

    answer = await admin.post("/artifacts", data=FORM, files=FILE)

    assert (answer.status_code, answer.json()["type"]) == (503, "unavailable")


async def test_another_tenant_sees_no_artifact(admin: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    artifact = (await admin.post("/artifacts", data=FORM, files=FILE)).json()["id"]

    assert (await stranger.get(f"/artifacts/{artifact}")).status_code == 404
    assert (await stranger.get("/artifacts")).json()["items"] == []
