"""Every request has an id, every answer names it, and how long it took is counted by route."""

import json
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from shoal import metrics
from shoal.api import problems
from shoal.app.logs import JsonFormatter
from shoal.errors import NotFound
from shoal.http_exchange import REQUEST_ID, Observed, handed_on

NAMED = "support-case-4711"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    application = FastAPI()
    problems.install(application)

    @application.get("/devices/{device}")
    async def device(device: str) -> dict[str, str]:
        if device == "missing":
            raise NotFound(device, "no such device")
        if device == "broken":
            raise RuntimeError("a fault of ours")
        logging.getLogger("shoal.test").warning("device.looked_at", extra={"device": device})
        return handed_on()

    application.add_middleware(Observed, name="test", trusts_traces=True)
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as opened:
        yield opened


def count(route: str, status: str, method: str = "GET") -> float:
    labels = {"application": "test", "method": method, "route": route, "status": status}
    return metrics.REGISTRY.get_sample_value("shoal_http_request_seconds_count", labels) or 0.0


async def test_an_answer_names_its_request_by_the_callers_id(client: httpx.AsyncClient) -> None:
    answer = await client.get("/devices/dev-1", headers={REQUEST_ID: NAMED})

    assert answer.headers[REQUEST_ID] == NAMED
    # And so does what we ask of a neighbour meanwhile.
    assert answer.json() == {REQUEST_ID: NAMED}


@pytest.mark.parametrize("said", ["", "short", "x" * 65, "with spaces in it", 'a"b\\c=defghijk', "line\tfeed-or-so"])
async def test_an_id_that_could_forge_a_log_is_replaced(client: httpx.AsyncClient, said: str) -> None:
    answer = await client.get("/devices/dev-1", headers={REQUEST_ID: said})

    assert answer.headers[REQUEST_ID] != said
    assert len(answer.headers[REQUEST_ID]) == 16


async def test_two_requests_without_an_id_get_different_ones(client: httpx.AsyncClient) -> None:
    first, second = [(await client.get("/devices/dev-1")).headers[REQUEST_ID] for _ in range(2)]

    assert first != second


@pytest.mark.parametrize(("device", "status"), [("missing", 404), ("broken", 500)])
async def test_a_problem_names_its_request_in_the_header_and_in_the_body(
    client: httpx.AsyncClient, device: str, status: int
) -> None:
    answer = await client.get(f"/devices/{device}", headers={REQUEST_ID: NAMED})

    assert answer.status_code == status
    assert answer.headers.get_list(REQUEST_ID) == [NAMED]
    assert answer.json()["request"] == NAMED


async def test_what_is_logged_meanwhile_names_the_request(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    shown: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            shown.append(JsonFormatter().format(record))

    logger, handler = logging.getLogger("shoal.test"), Kept()
    logger.addHandler(handler)
    try:
        await client.get("/devices/dev-1", headers={REQUEST_ID: NAMED})
    finally:
        logger.removeHandler(handler)

    [line] = [json.loads(text) for text in shown]
    assert (line["event"], line["device"], line["request"]) == ("device.looked_at", "dev-1", NAMED)


async def test_answers_are_counted_by_the_routes_template_never_by_an_id(client: httpx.AsyncClient) -> None:
    good, bad, none = count("/devices/{device}", "200"), count("/devices/{device}", "500"), count("(none)", "404")

    await client.get("/devices/dev-1")
    await client.get("/devices/dev-2")
    await client.get("/devices/broken")
    await client.get("/devices-of-a-scanner/.env")

    assert count("/devices/{device}", "200") == good + 2
    assert count("/devices/{device}", "500") == bad + 1
    assert count("(none)", "404") == none + 1


async def test_a_method_of_the_callers_own_is_no_label(client: httpx.AsyncClient) -> None:
    before = count("(none)", "405", "other") + count("/devices/{device}", "405", "other")

    await client.request("MKFARM", "/devices/dev-1")

    assert count("(none)", "405", "other") + count("/devices/{device}", "405", "other") == before + 1
