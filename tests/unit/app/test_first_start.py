"""The first tenant, the first login, tokens: made once, found again."""

import stat
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest

from shoal.access.policy import Role
from shoal.app import first_start
from shoal.app.first_start import ADMINISTRATOR_EMAIL, DEMO_FILE, Login
from shoal.audit.store import Audit
from shoal.clock import FakeClock
from shoal.errors import NotFound, Rejected, Unavailable
from shoal.identity.invitation import InvitationOver
from shoal.identity.login import Unauthenticated
from shoal.identity.store import Identity
from shoal.ids import TenantId
from shoal.inventory.place import Tenant
from shoal.inventory.store import Inventory
from shoal.settings import Settings
from shoal.storage.database import Database
from shoal.storage.folder import database_url
from tests.harness.databases import fresh_url
from tests.harness.races import needs_two_writers, overtaken


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(database_url(tmp_path))
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def inventory(database: Database, clock: FakeClock) -> Inventory:
    return Inventory(database, clock)


@pytest.fixture
def identity(database: Database, clock: FakeClock) -> Identity:
    return Identity(database, clock)


async def test_a_tenant_is_made_when_it_is_missing_and_found_when_it_is_there(
    database: Database, inventory: Inventory
) -> None:
    any_tenant = await first_start.any_tenant(database, inventory)
    demo = await first_start.tenant_named(database, inventory, "Demo")

    assert any_tenant.name == "Main"
    assert await first_start.tenant_named(database, inventory, "Demo") == demo
    assert await first_start.tenant_named(database, inventory, "demo") == demo
    assert await first_start.any_tenant(database, inventory) in {any_tenant, demo}
    assert len((await inventory.tenants()).items) == 2


async def test_of_two_tenants_that_differ_in_capitals_each_is_found_by_its_own_name(
    database: Database, inventory: Inventory
) -> None:
    async with database.transaction() as tx:
        made = [await inventory.create_tenant(tx, name) for name in ("Main", "main")]

    assert [await first_start.tenant_named(database, inventory, tenant.name) for tenant in made] == made


async def test_the_first_administrator_can_log_in_and_is_told_once(
    database: Database, inventory: Inventory, identity: Identity
) -> None:
    tenant = await first_start.any_tenant(database, inventory)

    login = await first_start.first_administrator(identity, tenant.id)

    assert login is not None
    assert login.email == ADMINISTRATOR_EMAIL
    _, user = await identity.log_in(login.email, login.password)
    assert user.role is Role.ADMINISTRATOR
    assert await first_start.first_administrator(identity, tenant.id) is None


@needs_two_writers
async def test_two_processes_that_start_at_once_make_one_tenant() -> None:
    url = fresh_url()

    def start(database: Database) -> Awaitable[Tenant]:
        return first_start.any_tenant(database, Inventory(database, FakeClock()))

    first, second = await overtaken(url, start, start)

    assert isinstance(first, Tenant)
    assert first == second


@needs_two_writers
async def test_two_processes_that_start_at_once_make_one_administrator() -> None:
    url = fresh_url()

    def start(database: Database) -> Awaitable[Login | None]:
        return first_start.first_administrator(Identity(database, FakeClock()), TenantId("ten-OURS0000"))

    first, second = await overtaken(url, start, start)

    assert isinstance(first, Login)
    assert second is None


def test_passwords_can_be_typed_and_do_not_repeat() -> None:
    made = {first_start.new_password() for _ in range(100)}

    assert len(made) == 100
    assert all(len(password) == 19 and password.count("-") == 3 for password in made)
    assert not any(set("0o1il") & set(password) for password in made)


async def test_a_demo_has_the_same_login_at_each_start_in_a_file_for_its_owner(
    database: Database, inventory: Inventory, identity: Identity, clock: FakeClock, tmp_path: Path
) -> None:
    tenant = await first_start.any_tenant(database, inventory)
    login = await first_start.first_administrator(identity, tenant.id)

    first = await first_start.demo_access(tmp_path, identity, database, clock, login)
    again = await first_start.demo_access(tmp_path, identity, database, clock, None)

    assert first == again
    assert stat.S_IMODE((tmp_path / DEMO_FILE).stat().st_mode) == 0o600
    assert (await identity.authenticate(first.token)).subject.role is Role.ADMINISTRATOR


async def test_a_demo_whose_token_is_over_gets_a_new_one(
    database: Database, inventory: Inventory, identity: Identity, clock: FakeClock, tmp_path: Path
) -> None:
    tenant = await first_start.any_tenant(database, inventory)
    login = await first_start.first_administrator(identity, tenant.id)
    first = await first_start.demo_access(tmp_path, identity, database, clock, login)
    clock.advance(first_start.DEMO_TOKEN_LIFETIME)

    again = await first_start.demo_access(tmp_path, identity, database, clock, None)

    assert (again.email, again.password) == (first.email, first.password)
    await identity.authenticate(again.token)
    with pytest.raises(Unauthenticated):
        await identity.authenticate(first.token)


async def test_a_demo_that_lost_its_login_says_how_to_begin_again(
    database: Database, identity: Identity, clock: FakeClock, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match="--fresh"):
        await first_start.demo_access(tmp_path, identity, database, clock, None)


async def test_a_token_from_the_command_line_speaks_for_the_only_tenant_until_it_is_revoked(
    database: Database, inventory: Inventory, identity: Identity, tmp_path: Path
) -> None:
    tenant = await first_start.any_tenant(database, inventory)

    secret = await first_start.create_token(Settings(data=tmp_path), "script", "viewer", None)

    spoken = await identity.authenticate(secret)
    assert (spoken.subject.tenant, spoken.subject.role) == (tenant.id, Role.VIEWER)
    await first_start.revoke_token(Settings(data=tmp_path), spoken.token.id)
    with pytest.raises(Unauthenticated):
        await identity.authenticate(secret)

    revoked, created = await Audit(database).entries(tenant.id)
    assert (created.act.action, created.act.path, created.act.thing) == (
        "create",
        "shoal token create",
        spoken.token.id,
    )
    assert created.after == {"name": "script", "role": "viewer", "places": [], "kind": "service"}
    assert (revoked.act.action, revoked.act.thing, revoked.by) == ("delete", spoken.token.id, "command line")
    assert secret not in str([created, revoked])


async def test_among_several_tenants_one_must_be_named_by_name_or_id(
    database: Database, inventory: Inventory, identity: Identity, tmp_path: Path
) -> None:
    await first_start.any_tenant(database, inventory)
    other = await first_start.tenant_named(database, inventory, "Other")
    settings = Settings(data=tmp_path)

    with pytest.raises(Rejected, match="--tenant"):
        await first_start.create_token(settings, "script", "viewer", None)
    with pytest.raises(NotFound):
        await first_start.create_token(settings, "script", "viewer", "Nobody")
    for name in ("Other", other.id):
        secret = await first_start.create_token(settings, "script", "viewer", name)
        assert (await identity.authenticate(secret)).subject.tenant == other.id


async def test_a_mistyped_folder_is_not_made(tmp_path: Path) -> None:
    absent = tmp_path / "absent"

    with pytest.raises(Rejected, match="there is no Shoal in"):
        await first_start.create_token(Settings(data=absent), "script", "viewer", None)

    assert not absent.exists()


async def test_a_token_that_is_not_there_cannot_be_revoked(database: Database, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)

    with pytest.raises(Rejected):
        await first_start.revoke_token(settings, "not-an-id")
    with pytest.raises(NotFound):
        await first_start.revoke_token(settings, "tok-0000000" + "0")


async def test_the_first_person_is_invited_anew_at_each_start_until_there_is_one(
    database: Database, inventory: Inventory, identity: Identity
) -> None:
    tenant = await first_start.any_tenant(database, inventory)

    first = await first_start.first_invitation(database, identity, tenant.id)
    second = await first_start.first_invitation(database, identity, tenant.id)

    assert first is not None
    assert second is not None
    with pytest.raises(InvitationOver):
        await identity.invitation(first.secret)
    await identity.accept(second.secret, email="kari@farm.example", name="Kari", password="long enough")
    assert await first_start.first_invitation(database, identity, tenant.id) is None


async def test_an_operator_invites_another_administrator(
    database: Database, inventory: Inventory, identity: Identity, tmp_path: Path
) -> None:
    tenant = await first_start.any_tenant(database, inventory)

    # The clock of the command line is the real one.
    made = await first_start.invite(Settings(data=tmp_path), None)

    assert made.tenant == tenant.id
    assert made.role is Role.ADMINISTRATOR
    assert made.link("http://127.0.0.1:8080").startswith("http://127.0.0.1:8080/welcome#shoal_")
    [entry] = await Audit(database).entries(tenant.id)
    assert (entry.act.action, entry.act.resource, entry.act.path) == ("invite", "users", "shoal admin invite")
    assert made.secret not in str(entry)
