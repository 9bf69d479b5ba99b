"""A cluster whose neighbours go away and come back: devices are answered, work waits, nothing acknowledged is lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.harness.cluster import Cluster, cluster
from tests.harness.product import PATIENCE_S, run_to_its_end
from tests.harness.reporters import Reporter, advance, charted, reporting

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

# Without DTLS: a session does not outlive its gateway, and a device needs up to 93 s to see that.
DEVICES = 8


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shoal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reporters(shoal: Cluster) -> AsyncIterator[list[Reporter]]:
    async with reporting(shoal, DEVICES, shoal.coap, secure=False) as running:
        await advance(running)
        yield running


async def ready(shoal: Cluster, name: str) -> Any:
    """What a role says of its neighbours."""
    async with httpx.AsyncClient(verify=shoal.verify, timeout=PATIENCE_S) as client:
        return (await client.get(f"{shoal.ops[name]}/readyz")).json()


async def is_away(shoal: Cluster, name: str, neighbour: str) -> bool:
    return neighbour in (await ready(shoal, name))["away"]


async def all_ready(shoal: Cluster) -> bool:
    return all([await shoal.is_ready(name) for name in shoal.processes])


async def all_charted(shoal: Cluster, reporters: Sequence[Reporter]) -> bool:
    """Whether the history has all that was acknowledged until now."""
    wanted = [len(reporter.acknowledged) for reporter in reporters]
    return all([await charted(shoal, reporter) >= count for reporter, count in zip(reporters, wanted, strict=True)])


async def test_while_kafka_is_away_the_gateway_keeps_what_devices_say(
    shoal: Cluster, reporters: list[Reporter]
) -> None:
    await shoal.to_kafka.cut()
    await shoal.until(lambda: is_away(shoal, "gateway", "log"))

    await advance(reporters)

    assert "Kafka" in (await ready(shoal, "gateway"))["away"]["log"]
    await shoal.to_kafka.restore()
    await shoal.until(lambda: all_charted(shoal, reporters))
    await shoal.until(lambda: all_ready(shoal))


async def test_a_gateway_that_dies_while_kafka_is_away_carries_its_spool_after_its_restart(
    shoal: Cluster, reporters: list[Reporter]
) -> None:
    await shoal.to_kafka.cut()
    await shoal.until(lambda: is_away(shoal, "gateway", "log"))
    await advance(reporters)

    shoal.kill("gateway")
    await shoal.to_kafka.restore()
    shoal.start_role("gateway")

    await shoal.until(lambda: all_charted(shoal, reporters))
    await advance(reporters)


@pytest.mark.parametrize("fault", ["cut", "stall"])
async def test_while_the_database_is_away_devices_are_heard_and_people_are_told(
    shoal: Cluster, reporters: list[Reporter], fault: str
) -> None:
    await (shoal.to_postgres.cut() if fault == "cut" else asyncio.to_thread(shoal.to_postgres.stall))
    await shoal.until(lambda: is_away(shoal, "health-0", "database"))
    api = await shoal.api()
    answer = await api.get("/devices")

    await advance(reporters)

    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert answer.json()["type"].endswith("unavailable")
    await shoal.to_postgres.restore()
    await shoal.until(lambda: all_ready(shoal))
    await shoal.until(lambda: all_charted(shoal, reporters))


async def test_a_database_that_is_started_again_finds_all_roles_at_work(
    shoal: Cluster, reporters: list[Reporter]
) -> None:
    await asyncio.to_thread(shoal.postgres.stop)
    await shoal.until(lambda: is_away(shoal, "alerts", "database"))
    await asyncio.to_thread(shoal.postgres.start)

    await shoal.until(lambda: all_ready(shoal))
    await advance(reporters)
    await shoal.until(lambda: all_charted(shoal, reporters))


async def test_workers_killed_at_any_point_change_no_outcome(shoal: Cluster, reporters: list[Reporter]) -> None:
    """Each time one of two health processes dies, and later comes back: the other takes its share over, and back."""
    for name in ("health-0", "health-1", "health-0"):
        await advance(reporters)
        shoal.kill(name)
        await advance(reporters)
        shoal.start_role("health", name)
        await shoal.until(lambda name=name: shoal.is_ready(name))
    shoal.kill("api")
    await advance(reporters)
    shoal.start_role("api")

    await shoal.until(lambda: shoal.is_ready("api"))
    await shoal.until(lambda: all_charted(shoal, reporters))
    devices = (await shoal.get("/devices"))["items"]
    assert {device["status"] for device in devices} == {"healthy"}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"SHOAL_DATABASE_PASSWORD": "wrong"}, "refuses our name or password"),
        ({"SHOAL_DATABASE": "postgresql://shoal:x@127.0.0.1:1/postgres?{tls}"}, "cannot be reached"),
        ({"SHOAL_KAFKA": "127.0.0.1:1"}, "Kafka"),
        ({"SHOAL_DATABASE": ""}, "share PostgreSQL and Kafka"),
    ],
)
async def test_a_start_without_a_neighbour_ends_with_one_line(
    shoal: Cluster, settings: dict[str, str], says: str, tmp_path: Path
) -> None:
    tls = f"sslmode=verify-full&sslrootcert={shoal.authority.ca}"
    given = {name: value.format(tls=tls) for name, value in settings.items()}

    ended = await run_to_its_end("health", folder=tmp_path, settings=shoal.environment | given)

    assert ended.code in {1, 2}
    assert says in ended.complaint
    assert len(ended.complaint.strip().splitlines()) == 1


async def test_an_expired_certificate_of_ours_is_told_by_kafka(shoal: Cluster, tmp_path: Path) -> None:
    expired = shoal.authority.certificate("expired", expired=True)
    options = shoal.broker.client | {
        "ssl.certificate.location": str(expired.cert),
        "ssl.key.location": str(expired.key),
    }

    ended = await run_to_its_end("health", folder=tmp_path, settings=shoal.with_kafka_options(options))

    assert ended.code == 1
    assert "Kafka" in ended.complaint
