"""Ids are drawn until one is free."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from shoal.errors import Unavailable
from shoal.ids import Prefix
from shoal.inventory.tables import DRAWS_MAX, fresh_id, tenants
from tests.harness.installation import Installation

TAKEN = {"id": "ten-TAKEN001", "name": "Taken", "created_at": datetime(2026, 11, 1, tzinfo=UTC)}


async def test_an_id_that_is_taken_is_drawn_again(shoal: Installation) -> None:
    drawn: Iterator[str] = iter(["ten-TAKEN001", "ten-TAKEN001", "ten-FREE0001"])
    async with shoal.database.transaction() as tx:
        await tx.execute(insert(tenants).values(TAKEN))

        assert await fresh_id(tx, tenants, Prefix.TENANT, lambda _: next(drawn)) == "ten-FREE0001"


async def test_a_generator_that_always_says_the_same_is_noticed(shoal: Installation) -> None:
    asked: list[Prefix] = []

    def draw(prefix: Prefix) -> str:
        asked.append(prefix)
        return "ten-TAKEN001"

    async with shoal.database.transaction() as tx:
        await tx.execute(insert(tenants).values(TAKEN))

        with pytest.raises(Unavailable):
            await fresh_id(tx, tenants, Prefix.TENANT, draw)

    assert asked == [Prefix.TENANT] * DRAWS_MAX
