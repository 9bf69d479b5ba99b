"""What is different on PostgreSQL: several processes write, notices go between them, and its errors say what to do."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Column, Integer, Table, Text, func, insert, make_url, select, text

from shoal.errors import Conflict, Unavailable
from shoal.storage.database import Database, metadata
from shoal.storage.postgres import PostgresEngine
from tests.harness import databases

pytestmark = pytest.mark.skipif(databases.SERVER is None, reason="runs in the suite `postgres`")

boats = Table(
    "test_boats",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False, unique=True),
)
PATIENCE_S = 30


@pytest.fixture
def url() -> str:
    return databases.fresh_url()


@pytest.fixture
async def here(url: str) -> AsyncIterator[Database]:
    opened = await Database.open(url, migrate=False)
    yield opened
    await opened.close()


@pytest.fixture
async def there(url: str, here: Database) -> AsyncIterator[Database]:
    """Another process on the same database."""
    opened = await Database.open(url, migrate=False)
    yield opened
    await opened.close()


async def test_a_poke_reaches_other_processes_once_the_change_is_kept(here: Database, there: Database) -> None:
    heard, own = asyncio.Event(), []
    there.on("test_boats", heard.set)
    here.on("test_boats", lambda: own.append("own"))

    async def change(name: str) -> None:
        async with here.transaction() as tx:
            await tx.execute(insert(boats), {"name": name})
            tx.poke("test_boats")

    async with asyncio.timeout(PATIENCE_S):
        # Whoever has just connected may miss the first ones: pokes are a short cut only.
        number = 0
        while not heard.is_set():
            await change(f"boat {number}")
            number += 1
            await asyncio.sleep(0.05)

    assert len(own) == number, "a process is not told by itself and by the server"


async def test_nobody_hears_of_what_was_not_kept(here: Database, there: Database) -> None:
    heard: list[str] = []
    kept = asyncio.Event()
    there.on("lost", lambda: heard.append("lost"))
    there.on("kept", kept.set)

    async def fail() -> None:
        async with here.transaction() as tx:
            tx.poke("lost")
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    async with asyncio.timeout(PATIENCE_S):
        while not kept.is_set():
            async with here.transaction() as tx:
                tx.poke("kept")
            await asyncio.sleep(0.05)

    assert heard == []


async def test_numbers_drawn_in_order_are_kept_in_order(here: Database, there: Database) -> None:
    seen: list[int] = []
    is_drawn, may_keep = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with here.transaction() as tx:
            await tx.in_order("test_boats")
            await tx.execute(insert(boats), {"name": "slow"})
            is_drawn.set()
            await may_keep.wait()

    async def quick() -> None:
        async with there.transaction() as tx:
            await tx.in_order("test_boats")
            await tx.execute(insert(boats), {"name": "quick"})

    slowly = asyncio.create_task(slow())
    await is_drawn.wait()
    quickly = asyncio.create_task(quick())
    await asyncio.sleep(0.1)
    seen.extend(await _numbers(here))
    may_keep.set()
    await asyncio.gather(slowly, quickly)
    after = await _numbers(here)

    assert seen == [], "the later number was there before the earlier one"
    assert len(after) == 2


async def test_one_of_several_is_alone_and_the_next_after_it(here: Database, there: Database) -> None:
    async with here.alone("relay") as mine, there.alone("relay") as theirs, there.alone("other") as other:
        assert (mine, theirs, other) == (True, False, True)
    async with there.alone("relay") as theirs:
        assert theirs


async def test_a_value_that_somebody_else_took_is_a_conflict(here: Database) -> None:
    async with here.transaction() as tx:
        await tx.execute(insert(boats), {"name": "Havørn"})

    with pytest.raises(Conflict):
        async with here.transaction() as tx:
            await tx.execute(insert(boats), {"name": "Havørn"})


async def test_text_with_a_nul_is_kept_with_a_sign_in_its_place(here: Database) -> None:
    async with here.transaction() as tx:
        await tx.execute(insert(boats), [{"name": "Hav\0rn"}, {"name": "Sjø"}])
        found = await tx.rows(select(boats.c.name).where(boats.c.name.icontains("HAV\0")))
        none = await tx.rows(select(boats.c.name).where(boats.c.name > "Sjø\0"))

    assert [row.name for row in found] == ["Hav\ufffdrn"]
    assert none == []


async def test_readers_see_one_state_whatever_others_write(here: Database, there: Database) -> None:
    async with here.reading() as connection:
        before = await connection.scalar(select(boats.c.number).limit(1))
        async with there.transaction() as tx:
            await tx.execute(insert(boats), {"name": "later"})
        assert await connection.scalar(select(boats.c.number).limit(1)) == before is None


async def test_a_connection_that_the_server_ended_is_replaced(here: Database, there: Database) -> None:
    await _numbers(here)
    async with there.transaction() as tx:
        await tx.connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )

    assert await _numbers(here) == []


@pytest.mark.parametrize(
    ("change", "reason", "remedy"),
    [
        ({"password": "wrong"}, "refuses our name or password", "password"),
        ({"database": "nowhere"}, "is not there", "Create it"),
        ({"port": 1}, "cannot be reached", "network"),
    ],
)
async def test_a_server_that_does_not_take_us_says_why(
    url: str, change: dict[str, object], reason: str, remedy: str
) -> None:
    wrong = make_url(url).set(**change).render_as_string(hide_password=False)  # type: ignore[arg-type]

    with pytest.raises(Unavailable) as refused:
        await Database.open(wrong)

    assert reason in refused.value.reason
    assert remedy in refused.value.remedy
    assert str(make_url(url).password) not in str(refused.value)


async def test_tables_of_another_version_are_told_before_anything_is_done() -> None:
    empty = databases.empty_url()
    with pytest.raises(Unavailable, match="shoal db migrate"):
        await Database.join(empty)

    await (await Database.open(empty)).close()
    joined = await Database.join(empty)
    async with joined.transaction() as tx:
        await tx.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await joined.close()

    for way in (Database.join, Database.open):
        with pytest.raises(Unavailable, match="newer"):
            await way(empty)


async def _numbers(database: Database) -> list[int]:
    async with database.reading() as connection:
        return list(await connection.scalars(select(boats.c.number).order_by(boats.c.number)))


async def test_a_claim_is_one_processs_until_its_connection_ends(here: Database, there: Database) -> None:
    assert await here.claim("node 0")
    assert await here.claim("node 0"), "it has it"
    assert not await there.claim("node 0")
    assert await there.claim("node 1")

    await here.close()

    await _claimed(there, "node 0")


async def test_a_claim_can_be_given_back(here: Database, there: Database) -> None:
    assert await here.claim("node 0")
    await here.give_back("node 0")

    assert await there.claim("node 0")
    assert not await here.claim("node 0")
    assert await here.lost_claims() == set()


async def test_after_a_break_a_claim_is_taken_again_or_known_to_be_lost(here: Database, there: Database) -> None:
    assert await here.claim("node 0")
    assert await here.claim("node 1")
    await _end_claims(here, there)
    assert await here.lost_claims() == set()
    assert not await there.claim("node 0"), "claimed anew"

    await _end_claims(here, there)
    await _claimed(there, "node 1")

    with pytest.raises(Unavailable):
        await here.claim("node 2")
    assert await here.claim("node 2"), "by a new connection, which does not hold the others yet"
    assert await here.lost_claims() == {"node 1"}
    assert await here.lost_claims() == {"node 1"}, "it is not forgotten at the next look"
    assert not await there.claim("node 0")


async def _end_claims(database: Database, other: Database) -> None:
    """Ends the connection that holds the claims, as a server that is restarted does."""
    engine = database._engine
    assert isinstance(engine, PostgresEngine)
    assert engine._claims is not None
    async with other.transaction() as tx:
        await tx.execute(select(func.pg_terminate_backend(engine._claims.info.backend_pid)))


async def _claimed(database: Database, name: str) -> None:
    """Claims it as soon as the server has noticed that nobody has it any more."""
    for _ in range(1_000):
        if await database.claim(name):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{name} is still taken")
