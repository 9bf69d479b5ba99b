"""Policies in the database, and in memory for as long as nobody changes them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Row, delete, func, insert, select, update

from shoal.access.decision import Policies
from shoal.access.pattern import Pattern
from shoal.access.policy import Effect, Operation, Policy, Who, WhoKind
from shoal.clock import Clock
from shoal.errors import NotFound, Rejected, Unavailable, check_version
from shoal.ids import Prefix, TenantId, new_id
from shoal.policies.policy import POLICIES_MAX, KeptPolicy
from shoal.policies.tables import access_policies, policy_versions
from shoal.storage.database import Database, Transaction, upsert

# With 2^35 ids two collisions in a row are next to impossible; sixteen are a broken generator.
DRAWS_MAX: Final = 16
# Tenants whose policies are kept in memory: 1,000 rows take about a megabyte.
TENANTS_KEPT_MAX: Final = 200


class AccessPolicies:
    """Who may do what where. Methods that take a transaction write or read in it; the others read by themselves."""

    def __init__(self, database: Database, clock: Clock, draw: Callable[[Prefix], str] = new_id) -> None:
        self._database = database
        self._clock = clock
        self._draw = draw
        self._kept: dict[TenantId, tuple[int, Policies]] = {}

    async def of(self, tenant: TenantId) -> Policies:
        """All that decides in a tenant, as it is at this moment: another process may have changed it."""
        async with self._database.reading() as connection:
            found = await connection.scalar(
                select(policy_versions.c.version).where(policy_versions.c.tenant_id == tenant)
            )
            version = int(found or 0)
            kept = self._kept.get(tenant)
            if kept is not None and kept[0] == version:
                return kept[1]
            rows = await connection.execute(select(access_policies).where(access_policies.c.tenant_id == tenant))
            policies = Policies(tenant, [_kept(row).policy for row in rows])
        if len(self._kept) >= TENANTS_KEPT_MAX:
            self._kept.pop(next(iter(self._kept)))
        self._kept[tenant] = (version, policies)
        return policies

    async def inside(self, tx: Transaction, tenant: TenantId) -> Policies:
        """What will decide once this transaction is kept."""
        rows = await tx.rows(select(access_policies).where(access_policies.c.tenant_id == tenant))
        return Policies(tenant, [_kept(row).policy for row in rows])

    async def version(self, tx: Transaction, tenant: TenantId) -> int:
        """How often the policies of a tenant have changed."""
        found = await tx.scalar(select(policy_versions.c.version).where(policy_versions.c.tenant_id == tenant))
        return int(found or 0)

    async def versions(self) -> dict[str, int]:
        """How often the policies of each tenant have changed: to see whose did."""
        async with self._database.reading() as connection:
            return {row.tenant_id: row.version for row in await connection.execute(select(policy_versions))}

    async def all(self, tenant: TenantId) -> list[KeptPolicy]:
        """The tenant's own policies by id: 1,000 at most."""
        query = select(access_policies).where(access_policies.c.tenant_id == tenant).order_by(access_policies.c.id)
        async with self._database.reading() as connection:
            return [_kept(row) for row in await connection.execute(query)]

    async def one(self, tenant: TenantId, policy: str) -> KeptPolicy:
        """One policy. Raises NotFound, also for another tenant's."""
        condition = (access_policies.c.tenant_id == tenant) & (access_policies.c.id == policy)
        async with self._database.reading() as connection:
            row = (await connection.execute(select(access_policies).where(condition))).first()
        if row is None:
            raise NotFound(policy, "no such policy")
        return _kept(row)

    async def create(self, tx: Transaction, tenant: TenantId, policy: Policy, note: str, by: str) -> KeptPolicy:
        """A new policy; its id is drawn here.

        Raises:
            Rejected: the tenant has as many as it can have.
        """
        await self._touch(tx, tenant)
        mine = access_policies.c.tenant_id == tenant
        if int(await tx.scalar(select(func.count()).where(mine))) >= POLICIES_MAX:
            raise Rejected("policies", f"a tenant has at most {POLICIES_MAX}")
        drawn = replace(policy, id=await self._fresh_id(tx))
        kept = KeptPolicy(policy=drawn, note=note, changed_by=by, changed_at=self._clock.now(), version=1)
        await tx.execute(insert(access_policies).values(tenant_id=tenant, **_columns(kept)))
        return kept

    async def change(
        self, tx: Transaction, tenant: TenantId, policy: Policy, note: str, by: str, if_version: int | None = None
    ) -> KeptPolicy:
        """The policy of that id as it is to be from now on.

        Raises:
            NotFound: no such policy.
            Outdated: `if_version` is not its version.
        """
        await self._touch(tx, tenant)
        was = await self._held(tx, tenant, policy.id, if_version)
        kept = KeptPolicy(
            policy=policy, note=note, changed_by=by, changed_at=self._clock.now(), version=was.version + 1
        )
        await tx.execute(update(access_policies).where(access_policies.c.id == policy.id).values(**_columns(kept)))
        return kept

    async def delete(self, tx: Transaction, tenant: TenantId, policy: str, if_version: int | None = None) -> None:
        """Forgets a policy. Raises NotFound, Outdated."""
        await self._touch(tx, tenant)
        await self._held(tx, tenant, policy, if_version)
        await tx.execute(delete(access_policies).where(access_policies.c.id == policy))

    async def _touch(self, tx: Transaction, tenant: TenantId) -> None:
        """Whoever keeps the tenant's policies in memory reads them again. One change at a time."""
        await tx.in_order(policy_versions.name)
        row = {"tenant_id": tenant, "version": await self.version(tx, tenant) + 1}
        await upsert(tx, policy_versions, [row], ["tenant_id"])
        tx.poke(policy_versions.name)

    async def _held(self, tx: Transaction, tenant: TenantId, policy: str, if_version: int | None) -> Row[Any]:
        condition = (access_policies.c.tenant_id == tenant) & (access_policies.c.id == policy)
        rows = await tx.rows(select(access_policies).where(condition))
        if not rows:
            raise NotFound(policy, "no such policy")
        check_version(policy, rows[0].version, if_version)
        return rows[0]

    async def _fresh_id(self, tx: Transaction) -> str:
        for _ in range(DRAWS_MAX):
            drawn = self._draw(Prefix.POLICY)
            if not await tx.scalar(select(func.count()).where(access_policies.c.id == drawn)):
                return drawn
        reason = f"{DRAWS_MAX} ids in a row are taken"
        raise Unavailable("random numbers", reason, "Look at the system's entropy source")


def _columns(kept: KeptPolicy) -> dict[str, object]:
    policy = kept.policy
    return {
        "id": policy.id,
        "effect": policy.effect.value,
        "who_kind": policy.who.kind.value,
        "who_id": policy.who.id,
        "operations": tuple(sorted(policy.operations)),
        "place": policy.place,
        "paths": tuple(str(path) for path in policy.paths),
        "note": kept.note,
        "changed_by": kept.changed_by,
        "changed_at": kept.changed_at,
        "version": kept.version,
    }


def _kept(row: Row[Any]) -> KeptPolicy:
    return KeptPolicy(
        policy=Policy(
            id=row.id,
            effect=Effect(row.effect),
            who=Who(WhoKind(row.who_kind), row.who_id),
            operations=frozenset(Operation(word) for word in row.operations),
            place=row.place,
            paths=tuple(Pattern.parse(path) for path in row.paths),
        ),
        note=row.note,
        changed_by=row.changed_by,
        changed_at=row.changed_at,
        version=row.version,
    )
