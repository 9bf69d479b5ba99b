"""Every kind of error has one look (RFC 9457)."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from shoal.api import problems
from shoal.errors import Conflict, DeviceFault, Forbidden, NotFound, Outdated, Rejected, TooMany, Unavailable
from shoal.identity.login import TooManyAttempts, Unauthenticated

CASES: list[tuple[Exception, int, str, dict[str, Any]]] = [
    (Rejected("name", "too long"), 400, "invalid", {"title": "name: too long"}),
    (Unauthenticated("token", "unknown"), 401, "unauthenticated", {}),
    (Forbidden("write", "the role viewer does not grant write"), 403, "forbidden", {}),
    (NotFound("dev-1", "no such device"), 404, "not-found", {}),
    (Conflict("endpoint", "taken", device="dev-1"), 409, "conflict", {"device": "dev-1"}),
    (TooMany("test", "ten in a minute", 60), 429, "too-many-requests", {"retry_after_s": 60}),
    (Outdated("frm-1", "changed", version=2, expected=1), 412, "outdated", {"version": 2, "expected": 1}),
    (TooManyAttempts(timedelta(seconds=90)), 429, "too-many-attempts", {"retry_after_s": 90}),
    (DeviceFault("oxy-1", "write", "4.05", "not allowed"), 502, "device-refused", {"code": "4.05"}),
    (problems.NoAnswer("oxy-1", "read", "cmd-1"), 504, "no-answer", {"command": "cmd-1"}),
    (Unavailable("database", "/data/shoal.db: disk full"), 503, "unavailable", {"neighbour": "database"}),
    (RuntimeError("a secret"), 500, "internal", {}),
]


@pytest.fixture
def application() -> FastAPI:
    made = FastAPI()
    problems.install(made)

    @made.get("/fails/{number}")
    async def fails(number: int) -> None:
        raise CASES[number][0]

    return made


async def asked(application: FastAPI, path: str, method: str = "GET") -> httpx.Response:
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        return await client.request(method, path)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case[2] for case in CASES])
async def test_an_error_is_told_by_its_type(application: FastAPI, number: int) -> None:
    _, status, kind, members = CASES[number]

    answer = await asked(application, f"/fails/{number}")

    body = answer.json()
    assert (answer.status_code, body["status"], body["type"]) == (status, status, kind)
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["title"]
    assert {name: body[name] for name in members} == members


async def test_a_fault_of_ours_gives_nothing_away(application: FastAPI) -> None:
    number = next(n for n, case in enumerate(CASES) if case[2] == "internal")

    answer = await asked(application, f"/fails/{number}")

    assert "a secret" not in answer.text


async def test_what_is_away_is_named_without_its_folder_and_with_when_to_come_back(application: FastAPI) -> None:
    number = next(n for n, case in enumerate(CASES) if case[2] == "unavailable")

    answer = await asked(application, f"/fails/{number}")

    assert "/data" not in answer.text
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("PUT", "/fails/1", 405, "method-not-allowed"),
        ("GET", "/fails/nonsense", 422, "invalid"),
    ],
)
async def test_what_the_framework_refuses_looks_the_same(
    application: FastAPI, method: str, path: str, status: int, kind: str
) -> None:
    answer = await asked(application, path, method)

    assert (answer.status_code, answer.json()["type"]) == (status, kind)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_wrong_field_is_named(application: FastAPI) -> None:
    answer = await asked(application, "/fails/nonsense")

    assert answer.json()["errors"][0]["field"] == "path.number"


async def test_a_method_that_is_not_there_says_which_are(application: FastAPI) -> None:
    answer = await asked(application, "/fails/1", "PUT")

    assert answer.headers["Allow"] == "GET"
