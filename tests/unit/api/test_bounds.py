"""No body is larger than what makes sense, and each is of the kind that is expected."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request

from shoal.api import problems
from shoal.api.bounds import BODY_BYTES_MAX, IMPORT_BYTES_MAX, IMPORT_KINDS, Bounds


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    application = FastAPI()
    problems.install(application)

    @application.post("/taken")
    @application.post("/upload")
    @application.post("/import")
    async def taken(request: Request) -> int:
        return len(await request.body())

    application.add_middleware(Bounds, upload_path="/upload", import_path="/import")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://api") as opened:
        yield opened


async def pieces(total: int) -> AsyncIterator[bytes]:
    for _ in range(0, total, 1024):
        yield b"x" * 1024


@pytest.mark.parametrize("path", ["/taken?q=a%00b", "/taken?%00", "/%00", "/taken/%00?q=a"])
async def test_an_address_with_a_nul_is_refused(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path)

    assert (answer.status_code, answer.json()["type"]) == (400, "invalid")


async def test_a_body_that_says_it_is_too_large_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/taken", content=b"x" * (BODY_BYTES_MAX + 1), headers={"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.json()["type"]) == (413, "too-large")


async def test_a_body_without_a_length_is_counted(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/taken", content=pieces(BODY_BYTES_MAX + 1024), headers={"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.json()["type"]) == (413, "too-large")


async def test_a_body_of_the_largest_size_is_taken(client: httpx.AsyncClient) -> None:
    answer = await client.post("/taken", content=pieces(BODY_BYTES_MAX), headers={"Content-Type": "application/json"})

    assert answer.json() == BODY_BYTES_MAX


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_of_another_kind_is_refused(client: httpx.AsyncClient, kind: str) -> None:
    answer = await client.post("/taken", content=b"{}", headers={"Content-Type": kind})

    assert (answer.status_code, answer.json()["type"]) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"]
)
async def test_json_under_any_of_its_names_is_taken(client: httpx.AsyncClient, kind: str) -> None:
    assert (await client.post("/taken", content=b"{}", headers={"Content-Type": kind})).json() == 2


async def test_no_body_needs_no_kind(client: httpx.AsyncClient) -> None:
    assert (await client.post("/taken")).json() == 0


async def test_an_upload_may_be_larger_and_of_another_kind(client: httpx.AsyncClient) -> None:
    answer = await client.post("/upload", content=pieces(2 * BODY_BYTES_MAX), headers={"Content-Type": "text/plain"})

    assert answer.json() == 2 * BODY_BYTES_MAX


async def test_a_file_of_devices_is_csv_or_json_and_has_its_own_bound(client: httpx.AsyncClient) -> None:
    for kind in IMPORT_KINDS:
        taken = await client.post("/import", content=pieces(IMPORT_BYTES_MAX), headers={"Content-Type": kind})
        assert taken.json() == IMPORT_BYTES_MAX
    other = await client.post("/import", content=b"a", headers={"Content-Type": "text/plain"})
    large = await client.post("/import", content=pieces(2 * IMPORT_BYTES_MAX), headers={"Content-Type": "text/csv"})

    assert (other.status_code, other.json()["title"].split()[:2]) == (415, ["Send", "text/csv"])
    assert large.status_code == 413


async def test_answers_are_not_kept_by_anybody_on_the_way(client: httpx.AsyncClient) -> None:
    answer = await client.post("/taken")

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
