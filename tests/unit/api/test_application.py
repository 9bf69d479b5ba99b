"""The API as a whole: its paths, its document, and what is refused before any route."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from shoal.api.operations import create_router
from tests.harness.installation import installation
from tests.unit.api.company import Company


def operations_of(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, operation) for path, item in document["paths"].items() for method, operation in item.items()]


async def test_the_document_is_openapi_and_open_to_everybody(company: Company) -> None:
    answer = await company.bearing(None).get("/openapi.json")

    document = answer.json()
    assert answer.status_code == 200
    assert document["openapi"].startswith("3.1")
    assert all(path.startswith("/api/v1/") for path in document["paths"])
    assert {"/api/v1/farms", "/api/v1/devices/{device}/objects/{path}", "/api/v1/events"} <= set(document["paths"])


async def test_every_route_but_the_login_and_a_signed_address_needs_a_token(company: Company) -> None:
    document = company.application.openapi()

    open_to_all = [(method, path) for method, path, said in operations_of(document) if not said.get("security")]

    assert sorted(open_to_all) == [
        ("get", "/api/v1/downloads/{update}/{file}/{expires}/{signature}"),
        ("post", "/api/v1/invitations:accept"),
        ("post", "/api/v1/invitations:look"),
        ("post", "/api/v1/sessions"),
    ]


async def test_every_route_is_described(company: Company) -> None:
    document = company.application.openapi()

    assert [path for _, path, said in operations_of(document) if not said.get("description")] == []


async def test_every_list_in_a_query_or_a_body_has_an_end(company: Company) -> None:
    document = company.application.openapi()
    parameters = [
        (path, parameter["name"], parameter["schema"])
        for _, path, said in operations_of(document)
        for parameter in said.get("parameters", [])
    ]

    def arrays(schema: dict[str, Any]) -> list[dict[str, Any]]:
        found = [schema] if schema.get("type") == "array" else []
        return found + [one for part in schema.get("anyOf", []) for one in arrays(part)]

    endless = [(path, name) for path, name, schema in parameters for one in arrays(schema) if "maxItems" not in one]
    assert endless == []


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/farms/", 404, "not-found"),
        ("PUT", "/farms", 405, "method-not-allowed"),
    ],
)
async def test_what_is_not_there_is_told_as_a_problem(
    admin: httpx.AsyncClient, method: str, path: str, status: int, kind: str
) -> None:
    answer = await admin.request(method, path)

    assert (answer.status_code, answer.json()["type"]) == (status, kind)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_that_is_no_json_is_a_problem(admin: httpx.AsyncClient) -> None:
    broken = await admin.post("/farms", content=b"{", headers={"Content-Type": "application/json"})
    form = await admin.post("/farms", data={"name": "North"})
    large = await admin.post("/farms", json={"name": "x" * 300_000})

    assert [answer.status_code for answer in (broken, form, large)] == [422, 415, 413]
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in (broken, form, large))


async def test_operators_are_answered_on_the_same_port_when_that_is_wanted(tmp_path: Path) -> None:
    async with installation(tmp_path) as shoal:
        company = Company(shoal, operations=create_router(neighbours={}, meters=[]))
        client = company.bearing(None)

        answers = [await client.get(f"http://api{path}") for path in ("/healthz", "/readyz", "/metrics")]
        await company.close()

    assert [answer.status_code for answer in answers] == [200, 200, 200]


async def test_nobody_asks_operators_questions_where_that_is_not_wanted(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("http://api/metrics")).status_code == 404


async def test_every_post_that_needs_a_token_takes_a_key(company: Company) -> None:
    for method, path, said in operations_of(company.application.openapi()):
        takes = [each["name"] for each in said.get("parameters", []) if each["name"] == "Idempotency-Key"]
        assert takes == (["Idempotency-Key"] if method == "post" and said.get("security") else []), path
