"""Tenants, farms, enclosures and profiles in the database."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, Select, Table, delete, exists, func, insert, select, tuple_, update

from shoal.access.decision import EVERYWHERE, Place, Reach
from shoal.clock import Clock
from shoal.errors import Conflict, NotFound, check_version
from shoal.ids import EnclosureId, FarmId, Prefix, TenantId, new_id
from shoal.inventory.paging import PAGE_ITEMS_MAX, Page, check_limit, cursor_after, parse_cursor
from shoal.inventory.place import Enclosure, Farm, Tenant, parse_kind, parse_name
from shoal.inventory.profile import BUILT_IN, Profile, ProfileId, ProfileSettings, check_settings
from shoal.inventory.reaching import enclosures_shown, farms_shown
from shoal.inventory.tables import Draw, devices, enclosures, farms, fresh_id, profiles, tenants
from shoal.storage.database import Database, Transaction

# Profiles are one per device model; a tenant with more has a question for us.
PROFILES_MAX: Final = 500

_TABLES: Final[dict[str, Table]] = {
    Prefix.FARM.value: farms,
    Prefix.ENCLOSURE.value: enclosures,
    Prefix.DEVICE.value: devices,
    Prefix.PROFILE.value: profiles,
}


class PlaceStore:
    """Where everything hangs. What writes takes the transaction to write in; what reads, reads by itself."""

    def __init__(self, database: Database, clock: Clock, draw: Draw = new_id) -> None:
        self._database = database
        self._clock = clock
        self._draw = draw

    # -- tenants ---------------------------------------------------------------------------------------------------

    async def create_tenant(self, tx: Transaction, name: str) -> Tenant:
        """A new tenant with the profiles that every tenant starts with. Raises Rejected for a bad name."""
        tenant = Tenant(
            id=TenantId(await fresh_id(tx, tenants, Prefix.TENANT, self._draw)),
            name=parse_name(name),
            created_at=self._clock.now(),
        )
        await tx.execute(insert(tenants).values(id=tenant.id, name=tenant.name, created_at=tenant.created_at))
        for key, (title, settings) in BUILT_IN.items():
            await self._insert_profile(tx, tenant.id, key, title, settings)
        return tenant

    async def tenant(self, tenant: TenantId) -> Tenant:
        """The tenant. Raises NotFound."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(tenants).where(tenants.c.id == tenant))).first()
        if row is None:
            raise NotFound(tenant, "no such tenant")
        return Tenant(id=row.id, name=row.name, created_at=row.created_at)

    async def tenants(self, cursor: str | None = None, limit: int = PAGE_ITEMS_MAX) -> Page[Tenant]:
        """All tenants of the installation, by id: for the operator of the installation, never for one of them."""
        query = select(tenants).order_by(tenants.c.id).limit(check_limit(limit) + 1)
        if cursor is not None:
            query = query.where(tenants.c.id > parse_cursor(cursor, parts=1)[0])
        async with self._database.reading() as connection:
            rows = list(await connection.execute(query))
        page = [Tenant(id=row.id, name=row.name, created_at=row.created_at) for row in rows[:limit]]
        return Page(page, cursor_after(page[-1].id) if len(rows) > limit else None)

    # -- farms -----------------------------------------------------------------------------------------------------

    async def create_farm(self, tx: Transaction, tenant: TenantId, name: str) -> Farm:
        """A new farm. Raises Rejected for a bad name, NotFound for an unknown tenant."""
        parsed = parse_name(name)
        if not await tx.scalar(select(exists().where(tenants.c.id == tenant))):
            raise NotFound(tenant, "no such tenant")
        farm = Farm(
            id=FarmId(await fresh_id(tx, farms, Prefix.FARM, self._draw)),
            tenant=tenant,
            name=parsed,
            created_at=self._clock.now(),
            version=1,
        )
        await tx.execute(
            insert(farms).values(
                id=farm.id, tenant_id=tenant, name=farm.name, created_at=farm.created_at, version=farm.version
            )
        )
        return farm

    async def farm(self, tenant: TenantId, farm: FarmId, reach: Reach = EVERYWHERE) -> Farm:
        """One farm. Raises NotFound, also for another tenant's, and when nothing of it is in reach."""
        found = await self.farms_for(tenant, [farm], reach)
        if not found:
            raise NotFound(farm, "no such farm")
        return found[farm]

    async def farms(
        self,
        tenant: TenantId,
        cursor: str | None = None,
        limit: int = PAGE_ITEMS_MAX,
        reach: Reach = EVERYWHERE,
    ) -> Page[Farm]:
        """The tenant's farms by name. Raises Rejected for a cursor or a limit that is none."""
        query = _page(select(farms).where(farms.c.tenant_id == tenant, farms_shown(reach)), farms, cursor, limit)
        async with self._database.reading() as connection:
            rows = list(await connection.execute(query))
        page = [_farm(row) for row in rows[:limit]]
        return Page(page, cursor_after(page[-1].name, page[-1].id) if len(rows) > limit else None)

    async def farms_for(self, tenant: TenantId, ids: Sequence[FarmId], reach: Reach = EVERYWHERE) -> dict[FarmId, Farm]:
        """Those of these farms that the tenant has; at most 500 are asked for at once."""
        check_limit(max(1, len(ids)))
        query = select(farms).where(farms.c.tenant_id == tenant, farms.c.id.in_(ids), farms_shown(reach))
        async with self._database.reading() as connection:
            return {row.id: _farm(row) for row in await connection.execute(query)}

    async def rename_farm(
        self, tx: Transaction, tenant: TenantId, farm: FarmId, name: str, if_version: int | None = None
    ) -> Farm:
        """The farm under another name. Raises Rejected, NotFound, Outdated when `if_version` is not its version."""
        row = await _held(tx, farms, tenant, farm, "farm")
        check_version(farm, row.version, if_version)
        await tx.execute(update(farms).where(farms.c.id == farm).values(name=parse_name(name), version=row.version + 1))
        return _farm(await _held(tx, farms, tenant, farm, "farm"))

    async def delete_farm(self, tx: Transaction, tenant: TenantId, farm: FarmId, if_version: int | None = None) -> None:
        """Deletes an empty farm. Raises NotFound, Outdated, Conflict with how many enclosures it still has."""
        row = await _held(tx, farms, tenant, farm, "farm")
        check_version(farm, row.version, if_version)
        count = await tx.scalar(select(func.count()).where(enclosures.c.farm_id == farm))
        if count:
            raise Conflict(farm, f"still has {count} {'enclosure' if count == 1 else 'enclosures'}", enclosures=count)
        await tx.execute(delete(farms).where(farms.c.id == farm))

    # -- enclosures ------------------------------------------------------------------------------------------------

    async def create_enclosure(
        self, tx: Transaction, tenant: TenantId, farm: FarmId, name: str, kind: str = "enclosure"
    ) -> Enclosure:
        """A new enclosure on a farm. Raises Rejected for a bad name or kind, NotFound for an unknown farm."""
        parsed, parsed_kind = parse_name(name), parse_kind(kind)
        on = await _held(tx, farms, tenant, farm, "farm", with_others=True)
        enclosure = Enclosure(
            id=EnclosureId(await fresh_id(tx, enclosures, Prefix.ENCLOSURE, self._draw)),
            tenant=tenant,
            farm=farm,
            farm_name=on.name,
            name=parsed,
            kind=parsed_kind,
            created_at=self._clock.now(),
            version=1,
        )
        await tx.execute(
            insert(enclosures).values(
                id=enclosure.id,
                tenant_id=tenant,
                farm_id=farm,
                name=enclosure.name,
                kind=enclosure.kind,
                created_at=enclosure.created_at,
                version=enclosure.version,
            )
        )
        return enclosure

    async def enclosure(self, tenant: TenantId, enclosure: EnclosureId, reach: Reach = EVERYWHERE) -> Enclosure:
        """One enclosure. Raises NotFound, also for another tenant's, and when nothing of it is in reach."""
        found = await self.enclosures_for(tenant, [enclosure], reach)
        if not found:
            raise NotFound(enclosure, "no such enclosure")
        return found[enclosure]

    async def enclosures(
        self,
        tenant: TenantId,
        farm: FarmId | None = None,
        cursor: str | None = None,
        limit: int = PAGE_ITEMS_MAX,
        reach: Reach = EVERYWHERE,
    ) -> Page[Enclosure]:
        """The enclosures of a farm, or of all farms, by name. Raises Rejected for a cursor or a limit that is none."""
        query = _page(_enclosures(tenant).where(enclosures_shown(reach)), enclosures, cursor, limit)
        if farm is not None:
            query = query.where(enclosures.c.farm_id == farm)
        async with self._database.reading() as connection:
            rows = list(await connection.execute(query))
        page = [_enclosure(row) for row in rows[:limit]]
        return Page(page, cursor_after(page[-1].name, page[-1].id) if len(rows) > limit else None)

    async def farms_of_enclosures(self, tenant: TenantId) -> dict[str, str]:
        """The farm of each enclosure of a tenant."""
        query = select(enclosures.c.id, enclosures.c.farm_id).where(enclosures.c.tenant_id == tenant)
        async with self._database.reading() as connection:
            return {row.id: row.farm_id for row in await connection.execute(query)}

    async def enclosures_for(
        self, tenant: TenantId, ids: Sequence[EnclosureId], reach: Reach = EVERYWHERE
    ) -> dict[EnclosureId, Enclosure]:
        """Those of these enclosures that the tenant has; at most 500 are asked for at once."""
        check_limit(max(1, len(ids)))
        async with self._database.reading() as connection:
            query = _enclosures(tenant).where(enclosures.c.id.in_(ids), enclosures_shown(reach))
            rows = await connection.execute(query)
            return {row.id: _enclosure(row) for row in rows}

    async def change_enclosure(
        self,
        tx: Transaction,
        tenant: TenantId,
        enclosure: EnclosureId,
        *,
        name: str | None = None,
        kind: str | None = None,
        if_version: int | None = None,
    ) -> Enclosure:
        """The enclosure with another name or kind; None leaves one as it is. Raises Rejected, NotFound, Outdated."""
        row = await _held(tx, enclosures, tenant, enclosure, "enclosure")
        check_version(enclosure, row.version, if_version)
        await tx.execute(
            update(enclosures)
            .where(enclosures.c.id == enclosure)
            .values(
                name=row.name if name is None else parse_name(name),
                kind=row.kind if kind is None else parse_kind(kind),
                version=row.version + 1,
            )
        )
        return _enclosure((await tx.rows(_enclosures(tenant).where(enclosures.c.id == enclosure)))[0])

    async def delete_enclosure(
        self, tx: Transaction, tenant: TenantId, enclosure: EnclosureId, if_version: int | None = None
    ) -> None:
        """Deletes an empty enclosure. Raises NotFound, Outdated, Conflict with how many devices hang in it."""
        row = await _held(tx, enclosures, tenant, enclosure, "enclosure")
        check_version(enclosure, row.version, if_version)
        count = await tx.scalar(select(func.count()).where(devices.c.enclosure_id == enclosure))
        if count:
            raise Conflict(enclosure, f"still has {count} {'device' if count == 1 else 'devices'}", devices=count)
        await tx.execute(delete(enclosures).where(enclosures.c.id == enclosure))

    # -- profiles --------------------------------------------------------------------------------------------------

    async def create_profile(self, tx: Transaction, tenant: TenantId, name: str, settings: ProfileSettings) -> Profile:
        """A profile of the tenant's own. Raises Rejected for bad settings, Conflict when the name is taken."""
        if await tx.scalar(select(func.count()).where(profiles.c.tenant_id == tenant)) >= PROFILES_MAX:
            raise Conflict("profiles", f"already {PROFILES_MAX}")
        return await self._insert_profile(tx, tenant, None, parse_name(name), check_settings(settings))

    async def profile(self, tenant: TenantId, profile: ProfileId) -> Profile:
        """One profile. Raises NotFound."""
        query = select(profiles).where(profiles.c.tenant_id == tenant, profiles.c.id == profile)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(profile, "no such profile")
        return profile_of(row)

    async def profiles(self, tenant: TenantId) -> list[Profile]:
        """All profiles of the tenant, by name."""
        query = select(profiles).where(profiles.c.tenant_id == tenant).order_by(profiles.c.name).limit(PROFILES_MAX)
        async with self._database.reading() as connection:
            return [profile_of(row) for row in await connection.execute(query)]

    # -- ids -------------------------------------------------------------------------------------------------------

    async def existing(self, tenant: TenantId, ids: Sequence[str]) -> tuple[str, ...]:
        """Those of some ids, of farms, enclosures, devices or profiles, that the tenant has: for "did you mean"."""
        found: list[str] = []
        async with self._database.reading() as connection:
            for prefix, table in _TABLES.items():
                asked = [one for one in ids[:PAGE_ITEMS_MAX] if one.startswith(f"{prefix}-")]
                query = select(table.c.id).where(table.c.tenant_id == tenant, table.c.id.in_(asked))
                found.extend((await connection.scalars(query)).all() if asked else ())
        return tuple(found)

    async def _insert_profile(
        self, tx: Transaction, tenant: TenantId, key: str | None, name: str, settings: ProfileSettings
    ) -> Profile:
        if await tx.scalar(select(exists().where(profiles.c.tenant_id == tenant, profiles.c.name == name))):
            raise Conflict("name", "another profile has this name")
        profile = Profile(
            id=ProfileId(await fresh_id(tx, profiles, Prefix.PROFILE, self._draw)),
            tenant=tenant,
            key=key,
            name=name,
            settings=settings,
            created_at=self._clock.now(),
        )
        await tx.execute(
            insert(profiles).values(
                id=profile.id,
                tenant_id=tenant,
                key=key,
                name=name,
                settings=settings,
                created_at=profile.created_at,
            )
        )
        return profile


async def owners(tx: Transaction, claimed: Sequence[str]) -> dict[str, TenantId]:
    """Whose each of some claimed enclosures is, over all tenants: only a judgement may use it, and tell no name."""
    if not claimed:
        return {}
    query = select(enclosures.c.id, enclosures.c.tenant_id).where(enclosures.c.id.in_(claimed))
    return {row.id: TenantId(row.tenant_id) for row in await tx.rows(query)}


async def place_in(tx: Transaction, tenant: TenantId, enclosure: EnclosureId | None) -> Place:
    """The place of an enclosure, which is not deleted before the commit; or nowhere."""
    if enclosure is None:
        return Place(tenant=tenant)
    query = select(enclosures.c.farm_id).where(enclosures.c.tenant_id == tenant, enclosures.c.id == enclosure)
    farm = await tx.scalar(query.with_for_update(read=True, key_share=True))
    if farm is None:
        raise NotFound(enclosure, "no such enclosure")
    return Place(tenant=tenant, farm=farm, enclosure=enclosure)


async def name_of(tx: Transaction, tenant: TenantId, claimed: str) -> str | None:
    """What an enclosure is called, if it is one of the tenant's own."""
    query = select(enclosures.c.name).where(enclosures.c.tenant_id == tenant, enclosures.c.id == claimed)
    name: str | None = await tx.scalar(query)
    return name


def profile_of(row: Row[Any]) -> Profile:
    """A row of the table of profiles."""
    return Profile(
        id=row.id,
        tenant=row.tenant_id,
        key=row.key,
        name=row.name,
        settings=row.settings,
        created_at=row.created_at,
    )


async def _held(
    tx: Transaction, table: Table, tenant: TenantId, id_: str, word: str, *, with_others: bool = False
) -> Row[Any]:
    """A row that nobody else changes before the commit; `with_others`: that nobody deletes, others may hold it too."""
    query = select(table).where(table.c.tenant_id == tenant, table.c.id == id_)
    rows = await tx.rows(query.with_for_update(read=with_others, key_share=with_others))
    if not rows:
        raise NotFound(id_, f"no such {word}")
    return rows[0]


def _page(query: Select[Any], table: Table, cursor: str | None, limit: int) -> Select[Any]:
    """One row more than asked for: it tells whether there is a next page."""
    query = query.order_by(table.c.name, table.c.id).limit(check_limit(limit) + 1)
    if cursor is None:
        return query
    name, id_ = parse_cursor(cursor, parts=2)
    return query.where(tuple_(table.c.name, table.c.id) > tuple_(name, id_))


def _enclosures(tenant: TenantId) -> Select[Any]:
    return (
        select(enclosures, farms.c.name.label("farm_name"))
        .join(farms, farms.c.id == enclosures.c.farm_id)
        .where(enclosures.c.tenant_id == tenant)
    )


def _farm(row: Row[Any]) -> Farm:
    return Farm(id=row.id, tenant=row.tenant_id, name=row.name, created_at=row.created_at, version=row.version)


def _enclosure(row: Row[Any]) -> Enclosure:
    return Enclosure(
        id=row.id,
        tenant=row.tenant_id,
        farm=row.farm_id,
        farm_name=row.farm_name,
        name=row.name,
        kind=row.kind,
        created_at=row.created_at,
        version=row.version,
    )
