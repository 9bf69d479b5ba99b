"""All secrets of the database: counted by their key, re-encrypted in pieces, given up."""

from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import Column, MetaData, Table, Text, func, insert, select, update

from shoal.storage import sealed
from shoal.storage.database import Database
from shoal.storage.secrets import KEY_BYTES, Secret, Vault, key_id
from shoal.storage.tables import metadata
from tests.harness.databases import fresh_database

OLD, NEW = b"o" * KEY_BYTES, b"n" * KEY_BYTES

own = MetaData()
gates = Table(
    "test_gates",
    own,
    Column("name", Text, primary_key=True),
    Column("code", Secret("name", "codes of gates")),
)
notes = Table(
    "test_notes",
    own,
    Column("name", Text, primary_key=True),
    Column("text", Secret("name", "notes"), nullable=False),
)


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    opened = await fresh_database()
    yield opened
    await opened.close()


@pytest.fixture(autouse=True, scope="module")
def known() -> Iterator[None]:
    """Tables of Shoal for as long as these tests run: others look for secrets in all tables that there are."""
    copies = [table.to_metadata(metadata) for table in (gates, notes)]
    yield
    for copy in copies:
        metadata.remove(copy)


async def fill(database: Database, vault: Vault, *names: str) -> None:
    async with database.transaction() as tx:
        for name in names:
            await tx.execute(insert(gates).values(name=name, code=vault.encrypt(b"code", name)))
            await tx.execute(insert(notes).values(name=name, text=vault.encrypt(b"note", name)))


async def opened(database: Database, vault: Vault) -> dict[str, bytes | None]:
    async with database.reading() as connection:
        rows = (await connection.execute(select(gates))).all()
    return {name: None if code is None else vault.decrypt(code, name) for name, code in rows}


async def test_what_no_key_opens_is_counted_by_kind(database: Database) -> None:
    await fill(database, Vault(OLD), "north", "south")
    await fill(database, Vault(NEW), "west")

    assert await sealed.unreadable(database, Vault(NEW, OLD)) == []
    lost = {kind.says: kind for kind in await sealed.unreadable(database, Vault(NEW))}
    assert set(lost) == {"codes of gates", "notes"}
    assert lost["notes"].contexts == {"north", "south"}
    assert lost["notes"].key_ids == {key_id(OLD)}
    assert str(lost["notes"]) == "notes (2: north, south)"
    everything = await sealed.unreadable(database, None)
    assert everything[0].contexts == {"north", "south", "west"}


async def test_a_long_list_is_told_by_its_beginning(database: Database) -> None:
    await fill(database, Vault(OLD), *"abcdefg")

    [codes, _] = await sealed.unreadable(database, None)
    assert str(codes) == "codes of gates (7: a, b, c and 4 more)"


async def test_every_secret_comes_under_the_new_key(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "ROWS_PER_ROUND_MAX", 3)
    await fill(database, Vault(OLD), *"abcdefgh")
    await fill(database, Vault(NEW), "z")

    assert await sealed.reencrypt(database, Vault(NEW, OLD)) == (16, set())

    assert await opened(database, Vault(NEW)) == dict.fromkeys("abcdefghz", b"code")
    assert await sealed.unreadable(database, Vault(NEW)) == []
    assert await sealed.reencrypt(database, Vault(NEW, OLD)) == (0, set())


async def test_an_interrupted_pass_is_taken_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "ROWS_PER_ROUND_MAX", 2)
    await fill(database, Vault(OLD), *"abcdefgh")
    both = Vault(NEW, OLD)
    left = 5
    encrypt = both.encrypt

    def cut(plaintext: bytes, context: str) -> bytes:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return encrypt(plaintext, context)

    monkeypatch.setattr(both, "encrypt", cut)
    with pytest.raises(KeyboardInterrupt):
        await sealed.reencrypt(database, both)

    # Whatever was done, everything can be read, and only the rest is left to do.
    assert await opened(database, Vault(NEW, OLD)) == dict.fromkeys("abcdefgh", b"code")
    assert await sealed.reencrypt(database, Vault(NEW, OLD)) == (12, set())
    assert await opened(database, Vault(NEW)) == dict.fromkeys("abcdefgh", b"code")


async def test_a_damaged_secret_is_given_up_and_told(database: Database) -> None:
    await fill(database, Vault(OLD), "north", "south")
    async with database.transaction() as tx:
        broken = Vault(OLD).encrypt(b"code", "elsewhere")
        await tx.execute(update(gates).where(gates.c.name == "south").values(code=broken))
        await tx.execute(update(notes).where(notes.c.name == "south").values(text=broken))

    assert await sealed.reencrypt(database, Vault(NEW, OLD)) == (2, {"south"})

    assert await opened(database, Vault(NEW)) == {"north": b"code", "south": None}
    assert await sealed.unreadable(database, Vault(NEW)) == []


async def test_what_is_given_up_leaves_its_owner_where_that_can_be(database: Database) -> None:
    await fill(database, Vault(OLD), "north")
    await fill(database, Vault(NEW), "west")

    await sealed.give_up(database, Vault(NEW))

    assert await opened(database, Vault(NEW)) == {"north": None, "west": b"code"}
    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(notes)) == 1
    await sealed.give_up(database, None)
    assert await opened(database, Vault(NEW)) == {"north": None, "west": None}
