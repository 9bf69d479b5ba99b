"""What operators see of this process: what it cannot work without, and its numbers."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter
from sqlalchemy import text

from shoal.api import measures, operations
from shoal.api.operations import Probe
from shoal.clock import Clock
from shoal.errors import Unavailable
from shoal.gateway.loop import Gateway
from shoal.health.store import Health
from shoal.storage.database import Database
from shoal.stream.relay import Relay


def operations_router(database: Database, gateway: Gateway, relay: Relay, health: Health, clock: Clock) -> APIRouter:
    """`/healthz`, `/readyz` and `/metrics` of a process with all roles."""

    def uplink() -> Mapping[str, int]:
        return {"stored": gateway.uplink.stored_events, "refused": gateway.uplink.refused_events}

    return operations.create_router(
        neighbours={
            "database": _answers(database),
            # Devices hear 5.03 and changes wait in the outbox, until it is back.
            "log": _failing(lambda: gateway.uplink.failure or relay.failure),
        },
        meters=(
            measures.devices_by_status(health),
            measures.pipeline(health, clock),
            measures.outbox(database),
            measures.counters("shoal_core", "What the data plane counted, and how much it holds.", gateway.core.stats),
            measures.counters("shoal_uplink_events", "Events of devices, by what became of them.", uplink),
        ),
    )


def _answers(database: Database) -> Probe:
    async def probe() -> str | None:
        async with database.reading() as connection:
            await connection.execute(text("SELECT 1"))
        return None

    return probe


def _failing(failure: Callable[[], Unavailable | None]) -> Probe:
    async def probe() -> str | None:
        found = failure()
        return None if found is None else str(found)

    return probe
