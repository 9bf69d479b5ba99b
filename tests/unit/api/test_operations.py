"""What operators ask of a process."""

from collections.abc import AsyncIterator, Iterable

import httpx
import pytest
from fastapi import FastAPI

from shoal import metrics
from shoal.api.operations import Meter, Metric, Probe, create_router
from shoal.errors import Unavailable


async def there() -> str | None:
    return None


async def broken() -> str | None:
    return "the disk is full"


async def away() -> str | None:
    raise Unavailable("log", "no broker answers")


async def devices() -> Iterable[Metric]:
    samples = [({"status": "silent"}, 3.0), ({"status": "healthy"}, 40.0)]
    return [Metric(name="shoal_devices", kind="gauge", help="Devices by status.", samples=samples)]


async def events() -> Iterable[Metric]:
    return [Metric(name="shoal_core_events", kind="counter", help="Events.", samples=[({}, 7.0)])]


async def failing() -> Iterable[Metric]:
    raise Unavailable("database", "locked")


async def client(neighbours: dict[str, Probe], *meters: Meter) -> AsyncIterator[httpx.AsyncClient]:
    application = FastAPI()
    application.include_router(create_router(neighbours=neighbours, meters=meters))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://ops") as opened:
        yield opened


async def asked(path: str, neighbours: dict[str, Probe], *meters: Meter) -> httpx.Response:
    async for opened in client(neighbours, *meters):
        return await opened.get(path)
    raise AssertionError


async def test_a_process_that_answers_is_alive_whoever_is_away() -> None:
    answer = await asked("/healthz", {"log": away})

    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_a_process_is_ready_when_all_are_there() -> None:
    answer = await asked("/readyz", {"database": there, "log": there})

    assert (answer.status_code, answer.json()) == (200, {"ready": True, "away": {}, "there": ["database", "log"]})


@pytest.mark.parametrize(("probe", "reason"), [(broken, "the disk is full"), (away, "no broker answers")])
async def test_a_process_that_is_not_ready_says_who_is_away(probe: Probe, reason: str) -> None:
    answer = await asked("/readyz", {"database": there, "log": probe})

    assert (answer.status_code, answer.json()["away"]) == (503, {"log": reason})


async def test_numbers_come_as_prometheus_reads_them() -> None:
    answer = await asked("/metrics", {}, devices, events)

    assert answer.headers["content-type"].startswith("text/plain")
    assert "# TYPE shoal_devices gauge" in answer.text
    assert 'shoal_devices{status="silent"} 3.0' in answer.text
    assert "# TYPE shoal_core_events_total counter" in answer.text
    assert "shoal_core_events_total 7.0" in answer.text


async def test_a_neighbour_that_is_away_is_a_number_too() -> None:
    answer = await asked("/metrics", {"database": there, "log": away})

    assert 'shoal_neighbour_up{neighbour="database"} 1.0' in answer.text
    assert 'shoal_neighbour_up{neighbour="log"} 0.0' in answer.text


async def test_what_rooms_count_while_they_work_is_among_the_numbers() -> None:
    metrics.relayed.labels("shoal.test.v1").inc(3)

    answer = await asked("/metrics", {}, devices)

    assert 'shoal_relay_events_total{topic="shoal.test.v1"} 3.0' in answer.text
    assert "process_resident_memory_bytes" in answer.text


async def test_a_source_that_fails_leaves_the_others_their_numbers() -> None:
    answer = await asked("/metrics", {}, failing, events)

    assert answer.status_code == 200
    assert "shoal_core_events_total 7.0" in answer.text
