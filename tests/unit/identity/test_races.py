"""Several processes let people in at once: no limit is passed, no decision of an administrator is undone."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from argon2 import PasswordHasher
from sqlalchemy import CursorResult, Executable, select, update

from shoal.access.policy import Role
from shoal.clock import FakeClock
from shoal.errors import Conflict, Rejected
from shoal.identity.attempt_store import Attempts, _key
from shoal.identity.login import ACCOUNT_HERE, TooManyAttempts, Tried, Unauthenticated
from shoal.identity.store import Identity, users
from shoal.identity.user import User
from shoal.ids import TenantId
from shoal.storage.database import Database, Parameters
from tests.harness.databases import fresh_url
from tests.harness.races import Unhurried, needs_two_writers, overtaken

pytestmark = needs_two_writers

NOW: Final = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
TENANT: Final = TenantId("ten-OURS0000")
PASSWORD: Final = "correct horse battery"
HOME: Final = "192.0.2.1"


def identity(database: Database) -> Identity:
    return Identity(database, FakeClock(NOW))


async def create(database: Database, name: str) -> User:
    return await identity(database).create_user(
        TENANT, email=f"{name}@farm.example", name=name, role=Role.ADMINISTRATOR, password=PASSWORD
    )


async def demote(database: Database, user: User) -> User:
    async with database.transaction() as tx:
        return await identity(database).change_user(tx, TENANT, user.id, role=Role.VIEWER)


async def test_of_two_administrators_who_step_down_at_once_one_stays() -> None:
    url = fresh_url()
    database = await Database.open(url, migrate=False)
    kari, ola = await create(database, "kari"), await create(database, "ola")

    first, second = await overtaken(url, lambda slow: demote(slow, kari), lambda quick: demote(quick, ola))

    assert isinstance(first, User)
    assert isinstance(second, Conflict)
    people = await identity(database).users(TENANT)
    assert [person.id for person in people if person.role is Role.ADMINISTRATOR] == [ola.id]
    await database.close()


async def test_a_role_and_a_name_that_are_changed_at_once_are_both_kept() -> None:
    url = fresh_url()
    database = await Database.open(url, migrate=False)
    await create(database, "kari")
    ola = await create(database, "ola")

    async def rename(quick: Database) -> User:
        async with quick.transaction() as tx:
            return await identity(quick).change_user(tx, TENANT, ola.id, name="Ola N.")

    await overtaken(url, lambda slow: demote(slow, ola), rename)

    changed = await identity(database).user(TENANT, ola.id)
    assert (changed.role, changed.name) == (Role.VIEWER, "Ola N.")
    await database.close()


async def test_guesses_that_are_made_at_once_are_counted_together() -> None:
    url = fresh_url()
    database = await Database.open(url, migrate=False)
    await create(database, "kari")
    for _ in range(ACCOUNT_HERE.free - 1):
        with pytest.raises(Unauthenticated):
            await identity(database).log_in("kari@farm.example", "wrong")

    first, second = await overtaken(
        url,
        lambda slow: identity(slow).log_in("kari@farm.example", "wrong"),
        lambda quick: identity(quick).log_in("kari@farm.example", "wrong"),
    )

    assert type(first) is Unauthenticated
    assert isinstance(second, TooManyAttempts)
    await database.close()


async def test_an_email_address_is_given_once() -> None:
    url = fresh_url()

    first, second = await overtaken(url, lambda slow: create(slow, "kari"), lambda quick: create(quick, "kari"))

    assert isinstance(first, User)
    assert isinstance(second, Conflict)


@pytest.mark.parametrize("what", ["password", "shut out"])
async def test_a_login_with_a_password_that_is_void_by_then_is_none(what: str) -> None:
    """Somebody logs in with the old password while it is compared; the change ends all logins, this one too."""
    url = fresh_url()
    database = await Database.open(url, migrate=False)
    kari = await create(database, "kari")
    await create(database, "ola")

    async def change(slow: Unhurried) -> None:
        if what == "password":
            await identity(slow).set_password(TENANT, kari.id, "another horse battery")
            return
        async with slow.transaction() as tx:
            await identity(slow).change_user(tx, TENANT, kari.id, is_disabled=True)

    # The change has been made and is not kept: the login still reads the old password, compares it, and waits.
    _, logged_in = await overtaken(url, change, lambda quick: identity(quick).log_in("kari@farm.example", PASSWORD))

    assert isinstance(logged_in, Unauthenticated)
    await database.close()


async def test_a_stronger_hash_of_an_old_password_does_not_bring_it_back() -> None:
    url = fresh_url()
    database = await Database.open(url, migrate=False)
    kari = await create(database, "kari")
    weak = PasswordHasher(time_cost=1, memory_cost=1_024).hash(PASSWORD)
    async with database.transaction() as tx:
        await tx.execute(update(users).where(users.c.id == kari.id).values(password_hash=weak))

    _, logged_in = await overtaken(
        url,
        lambda slow: identity(slow).set_password(TENANT, kari.id, "another horse battery"),
        lambda quick: identity(quick).log_in("kari@farm.example", PASSWORD),
    )

    assert isinstance(logged_in, Rejected)
    async with database.reading() as connection:
        kept = await connection.scalar(select(users.c.password_hash))
    assert PasswordHasher().verify(kept, "another horse battery")
    await database.close()


async def test_a_login_and_a_guess_from_the_same_network_never_wait_in_a_circle() -> None:
    """What both count stands in two rows; the login has changed one of them when the guess looks at both."""
    url = fresh_url()
    database = await Database.open(url, migrate=False)
    kari = await create(database, "kari")
    # Of the two keys, that of the network comes first for some people.
    email = next(name for n in range(99) if _key("", HOME) < _key(name := f"{n}@farm.example", HOME))
    await Attempts(database, FakeClock(NOW)).begin(email, HOME)

    async def succeed(slow: Unhurried) -> None:
        async with slow.transaction() as tx:
            execute = tx.execute

            async def one_by_one(statement: Executable, parameters: Parameters | None = None) -> CursorResult[Any]:
                result = await execute(statement, parameters)
                await slow.stand()
                return result

            tx.execute = one_by_one  # type: ignore[method-assign]  # to stop between two statements
            await Attempts(slow, FakeClock(NOW)).succeeded(tx, kari.id, email, HOME)

    tried = Tried(login=email, tenant=None)
    both = await overtaken(url, succeed, lambda quick: Attempts(quick, FakeClock(NOW)).failed(tried, HOME))

    assert both == (None, None)
    await database.close()
