"""What has to be there before anybody can use Shoal: a tenant, a person who may log in, tokens for programs."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec

from shoal.access.policy import Role
from shoal.app import shell
from shoal.audit.store import Audit
from shoal.clock import Clock, SystemClock
from shoal.errors import Conflict, NotFound, Rejected, Unavailable
from shoal.identity.invitation import NewInvitation
from shoal.identity.login import Unauthenticated
from shoal.identity.store import Identity
from shoal.identity.user import parse_places
from shoal.ids import EnclosureId, FarmId, Prefix, TenantId, TokenId, parse_id
from shoal.inventory.place import Tenant
from shoal.inventory.store import Inventory
from shoal.settings import Settings
from shoal.storage.database import Database
from shoal.storage.folder import DATABASE

ROLES: Final = tuple(role.value for role in Role)
FIRST_TENANT: Final = "Main"
ADMINISTRATOR_EMAIL: Final = "admin@shoal.example"
# Read from a terminal once and typed into a browser: 60 random bits in four groups.
PASSWORD_GROUPS: Final = 4
_LETTERS: Final = "abcdefghjkmnpqrstvwxyz23456789"
DEMO_FILE: Final = "demo-login.json"
# The demo's own token: for as long as somebody may leave a demo running.
DEMO_TOKEN_LIFETIME: Final = timedelta(days=90)
# All tenants of an installation that the command line looks through for a name.
TENANTS_LOOKED_AT_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Login:
    """How the first administrator of a demo logs in."""

    email: str
    password: str


class Access(msgspec.Struct, frozen=True):
    """The login and the token of a demo."""

    email: str
    password: str
    token: str


async def tenant_named(database: Database, inventory: Inventory, name: str) -> Tenant:
    """The tenant of that name, made when it is missing."""
    found = await _found(inventory, name)
    if found is not None:
        return found
    async with database.transaction() as tx:
        # Several processes may start on an empty database: the first makes it, the others find it.
        await tx.in_order("tenants")
        return await _found(inventory, name) or await inventory.create_tenant(tx, name)


async def tenant_of(database: Database, inventory: Inventory, name: str | None) -> Tenant:
    """The tenant of that name, or any; made when it is missing."""
    return await (any_tenant(database, inventory) if name is None else tenant_named(database, inventory, name))


async def any_tenant(database: Database, inventory: Inventory) -> Tenant:
    """A tenant that is there, the only one as a rule; made when there is none."""
    page = await inventory.tenants(limit=1)
    return page.items[0] if page.items else await tenant_named(database, inventory, FIRST_TENANT)


async def first_administrator(identity: Identity, tenant: TenantId) -> Login | None:
    """Makes the first person of a demo, who need not choose anything; None when there is somebody already."""
    if await identity.has_users():
        return None
    login = Login(ADMINISTRATOR_EMAIL, new_password())
    try:
        await identity.create_user(
            tenant, email=login.email, name="Administrator", role=Role.ADMINISTRATOR, password=login.password
        )
    except Conflict:
        return None  # another process made it a moment ago, and tells its login
    return login


async def first_invitation(database: Database, identity: Identity, tenant: TenantId) -> NewInvitation | None:
    """Invites the first person of the installation, anew at each start; None when there is somebody already."""
    if await identity.has_users():
        return None
    async with database.transaction() as tx:
        return await identity.invite(tx, tenant, Role.ADMINISTRATOR)


async def invite(settings: Settings, tenant: str | None) -> NewInvitation:
    """Invites another administrator, also while Shoal runs on the same data folder.

    Raises:
        Rejected: several tenants and none named; no data folder yet.
        NotFound: no such tenant.
    """
    database = await _existing(settings)
    try:
        clock = SystemClock()
        owner = await _tenant(Inventory(database, clock), tenant)
        async with database.transaction() as tx:
            made = await Identity(database, clock).invite(tx, owner, Role.ADMINISTRATOR)
            after = {"role": made.role.value, "expires_at": made.expires_at}
            at = clock.now()
            await shell.tell(Audit(database), tx, owner, "admin invite", "invite", "users", None, at=at, after=after)
            return made
    finally:
        await database.close()


def new_password() -> str:
    """A password that a person can type."""
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(PASSWORD_GROUPS))
    return "-".join(groups)


async def demo_access(
    folder: Path, identity: Identity, database: Database, clock: Clock, first: Login | None
) -> Access:
    """How people and programs get into the demo: the same at each start, in a file that only its owner can read.

    Raises:
        Unavailable: there are people already, and the file with their login is gone.
    """
    file = folder / DEMO_FILE
    if file.exists() and first is None:
        access = msgspec.json.decode(file.read_bytes(), type=Access)
        with contextlib.suppress(Unauthenticated):
            return msgspec.structs.replace(access, token=await _living(identity, access.token))
        return await _remembered(file, identity, database, clock, access.email, access.password)
    if first is None:
        raise Unavailable("demo", f"{file} is gone, and with it the login", "Begin again with --fresh")
    return await _remembered(file, identity, database, clock, first.email, first.password)


async def _living(identity: Identity, secret: str) -> str:
    await identity.authenticate(secret)
    return secret


async def _remembered(
    file: Path, identity: Identity, database: Database, clock: Clock, email: str, password: str
) -> Access:
    _, user = await identity.log_in(email, password)
    async with database.transaction() as tx:
        token = await identity.create_token(
            tx,
            user.tenant,
            name="demo",
            role=Role.ADMINISTRATOR,
            expires_at=clock.now() + DEMO_TOKEN_LIFETIME,
        )
    access = Access(email=email, password=password, token=token.secret)
    new = file.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_bytes(msgspec.json.encode(access))
    new.replace(file)
    return access


async def create_token(settings: Settings, name: str, role: str, tenant: str | None, places: Sequence[str] = ()) -> str:
    """Makes a token, also while Shoal runs on the same data folder; its secret. Without places it is good everywhere.

    Raises:
        Rejected: a role, a name or a place that is none; several tenants and none named; no data folder yet.
        NotFound: no such tenant, farm or enclosure.
    """
    database = await _existing(settings)
    try:
        clock = SystemClock()
        inventory = Inventory(database, clock)
        owner = await _tenant(inventory, tenant)
        held_at = parse_places(places)
        for place in held_at:
            is_farm = place.startswith(Prefix.FARM)
            await (inventory.farm(owner, FarmId(place)) if is_farm else inventory.enclosure(owner, EnclosureId(place)))
        async with database.transaction() as tx:
            new = await Identity(database, clock).create_token(tx, owner, name=name, role=Role(role), places=held_at)
            made, at = new.token, clock.now()
            after = {"name": made.name, "role": role, "places": list(made.places), "kind": made.kind.value}
            await shell.tell(
                Audit(database), tx, owner, "token create", "create", "tokens", made.id, at=at, after=after
            )
        return new.secret
    finally:
        await database.close()


async def revoke_token(settings: Settings, token: str) -> None:
    """Ends a token at once.

    Raises:
        Rejected: not an id of a token.
        NotFound: no such token.
    """
    wanted = TokenId(parse_id(token, Prefix.TOKEN))
    database = await _existing(settings)
    try:
        clock = SystemClock()
        identity = Identity(database, clock)
        for tenant in (await Inventory(database, clock).tenants(limit=TENANTS_LOOKED_AT_MAX)).items:
            try:
                async with database.transaction() as tx:
                    was, at = await identity.revoke_token(tx, tenant.id, wanted), clock.now()
                    before = {"name": was.name, "role": was.role.value}
                    await shell.tell(
                        Audit(database), tx, tenant.id, "token revoke", "delete", "tokens", wanted, at=at, before=before
                    )
            except NotFound:
                continue
            return
        raise NotFound(token, "no such token")
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def reached(settings: Settings, tenant: str | None) -> AsyncIterator[tuple[Database, TenantId]]:
    """The database of a Shoal that may be running, and a tenant of it: the one that is named, or the only one.

    Raises:
        Rejected: several tenants and none named; no data folder yet.
        NotFound: no such tenant.
    """
    database = await _existing(settings)
    try:
        yield database, await _tenant(Inventory(database, SystemClock()), tenant)
    finally:
        await database.close()


async def _existing(settings: Settings) -> Database:
    """The database, which must be there: a typing error must not make a new one."""
    if settings.postgres is None and not (settings.data / DATABASE).is_file():
        raise Rejected(
            "data", f"there is no Shoal in {settings.data}; start `shoal up` there first, or name another --data"
        )
    return await Database.join(settings.database_url)


async def _tenant(inventory: Inventory, wanted: str | None) -> TenantId:
    if wanted is not None:
        found = await _found(inventory, wanted)
        if found is None:
            raise NotFound(wanted, "no such tenant")
        return found.id
    tenants = (await inventory.tenants(limit=2)).items
    if len(tenants) > 1:
        raise Rejected("tenant", "there are several: name one with --tenant")
    if not tenants:
        raise Rejected("tenant", "there is none yet: start `shoal up` on this folder first")
    return tenants[0].id


async def _found(inventory: Inventory, wanted: str) -> Tenant | None:
    """By id or name, capital letters or not: who types "main" does not mean another tenant beside "Main"."""
    tenants = (await inventory.tenants(limit=TENANTS_LOOKED_AT_MAX)).items
    exact = (tenant for tenant in tenants if wanted in {tenant.id, tenant.name})
    alike = (tenant for tenant in tenants if wanted.casefold() == tenant.name.casefold())
    return next(exact, None) or next(alike, None)
