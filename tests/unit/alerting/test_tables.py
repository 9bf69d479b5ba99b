"""What the database itself refuses, and what it finds without looking at every row."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from shoal.alerting.policy import default_policy
from shoal.alerting.tables import escalation_policies
from shoal.errors import Conflict
from shoal.storage.database import Database
from tests.harness.findings import NOON


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    made = await Database.open("sqlite://")
    yield made
    await made.close()


async def test_a_policy_is_there_once_for_each_tenant(database: Database) -> None:
    async def keep(tenant: str) -> None:
        policy = default_policy(tenant)
        row = {"tenant_id": tenant, "id": "pol-1", "position": 0, "version": 1, "created_at": NOON, "body": policy}
        async with database.transaction() as tx:
            await tx.execute(insert(escalation_policies), row)

    await keep("ten-1")
    await keep("ten-2")
    with pytest.raises((IntegrityError, Conflict)):
        await keep("ten-1")


@pytest.mark.parametrize("frame", ["next_step_at", "ack_due", "resolve_due"])
async def test_the_next_time_frame_is_found_by_an_index(database: Database, frame: str) -> None:
    query = f"EXPLAIN QUERY PLAN SELECT min({frame}) FROM alerts WHERE {frame} IS NOT NULL"
    async with database.reading() as connection:
        plan = (await connection.execute(text(query))).all()

    assert any(f"ix_alerts_{frame}" in row[-1] for row in plan), plan
