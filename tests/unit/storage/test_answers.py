"""Answers under their keys: claimed, marked with the change, kept, forgotten."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Column, Table, Text, func, insert, select

from shoal.errors import Conflict
from shoal.storage import answers
from shoal.storage.answers import KEPT, WORKED_ON_MAX, AnswerLost, Claim, KeptAnswer, WorkedOn, kept_answers
from shoal.storage.database import Database
from shoal.storage.secrets import KEY_BYTES, Vault
from shoal.storage.tables import metadata
from tests.harness.databases import fresh_database

VAULT = Vault(b"k" * KEY_BYTES)
NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
ANSWER = KeptAnswer(request=b"digest", status=201, headers=[(b"location", b"/farms/frm-1")], body=b"{}")

done = Table("test_done", metadata, Column("what", Text, nullable=False))


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    opened = await fresh_database()
    yield opened
    await opened.close()


async def claim(database: Database, at: datetime = NOW, id_: str = "id", owner: str = "usr-1") -> answers.Claimed:
    return await answers.claim(database, VAULT, id_, owner, at)


async def ours(database: Database, at: datetime = NOW, id_: str = "id", owner: str = "usr-1") -> Claim:
    found = await claim(database, at, id_, owner)
    assert isinstance(found, Claim)
    return found


async def do(database: Database, claimed: Claim) -> None:
    async with database.transaction() as tx:
        await tx.execute(insert(done).values(what="it"))
        await answers.mark_done(tx, claimed)


async def count(database: Database, table: Table) -> int:
    async with database.reading() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


async def test_a_key_goes_its_way_from_claimed_to_kept_to_forgotten(database: Database) -> None:
    mine = await ours(database)
    assert await claim(database) == WorkedOn()
    await do(database, mine)
    assert await claim(database) == WorkedOn()
    await answers.keep(database, VAULT, mine, ANSWER)

    assert await claim(database, NOW + KEPT - timedelta(seconds=1)) == ANSWER
    assert await answers.forget(database, NOW + KEPT - timedelta(seconds=1)) == 0
    assert await answers.forget(database, NOW + KEPT) == 1
    assert await count(database, kept_answers) == 0


async def test_of_two_that_take_a_dead_ones_place_only_the_last_is_kept(database: Database) -> None:
    slow = await ours(database)
    quick = await ours(database, NOW + WORKED_ON_MAX)

    with pytest.raises(Conflict, match="took too long"):
        await do(database, slow)
    await answers.keep(database, VAULT, slow, ANSWER)
    await answers.release(database, slow)
    await do(database, quick)

    assert await count(database, done) == 1
    assert await claim(database, NOW + WORKED_ON_MAX) == WorkedOn()


async def test_what_was_done_is_never_done_again_although_its_answer_is_lost(database: Database) -> None:
    mine = await ours(database)
    await do(database, mine)
    await answers.release(database, mine)

    assert await claim(database, NOW + WORKED_ON_MAX) == AnswerLost(NOW)


async def test_a_released_key_is_free(database: Database) -> None:
    await answers.release(database, await ours(database))

    await ours(database)


async def test_one_owner_keeps_only_the_newest(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "ANSWERS_PER_OWNER_MAX", 3)
    for number in range(5):
        at = NOW + timedelta(seconds=number)
        await answers.keep(database, VAULT, await ours(database, at, f"id-{number}"), ANSWER)
    await ours(database, NOW, "of-another", "usr-2")

    assert await answers.forget(database, NOW + timedelta(minutes=1)) == 2

    async with database.reading() as connection:
        left = set((await connection.execute(select(kept_answers.c.id))).scalars())
    assert left == {"id-2", "id-3", "id-4", "of-another"}
