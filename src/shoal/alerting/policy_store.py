"""Escalation policies in the database. Every tenant has a default, also before anybody wrote one."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Select, delete, insert, select, update

from shoal.alerting.policy import Policy, default_id, default_policy
from shoal.alerting.tables import escalation_policies
from shoal.clock import Clock
from shoal.errors import Conflict, NotFound, Outdated, Rejected, check_version
from shoal.ids import Prefix, new_id
from shoal.storage.database import Database, Transaction, upsert

POLICIES_PER_TENANT_MAX: Final = 50  # more, and nobody knows any longer who is told of what
# Where a new policy stands until somebody orders them; of several, the older ones are asked first.
POSITION_LAST: Final = 1_000


class Policies:
    """What people write down about who is told. What is given has been checked (`policy.checked`)."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def all(self, tenant: str) -> list[Policy]:
        """All policies of a tenant in the order in which they are asked; the default is the last.

        Raises:
            Unavailable: the database is away.
        """
        async with self._database.reading() as connection:
            rows = (await connection.execute(_of_tenant(tenant))).all()
        return _ordered(tenant, rows)

    async def one(self, tenant: str, policy: str) -> Policy:
        """One policy.

        Raises:
            NotFound: the tenant has no such policy.
            Unavailable: the database is away.
        """
        return _one(await self.all(tenant), policy)

    async def add(self, policy: Policy) -> Policy:
        """A new policy, asked after all others but the default.

        Raises:
            Conflict: the tenant has very many already.
            Unavailable: the database is away.
        """
        async with self._database.transaction() as tx:
            known = await policies_of(tx, policy.tenant)
            if len(known) > POLICIES_PER_TENANT_MAX:
                raise Conflict("escalation-policies", f"there are {POLICIES_PER_TENANT_MAX} already")
            taken = {other.id for other in known}
            drawn = next(drawn for drawn in iter(lambda: new_id(Prefix.POLICY), None) if drawn not in taken)
            added = msgspec.structs.replace(policy, id=drawn, position=POSITION_LAST, version=1)
            await tx.execute(insert(escalation_policies), _row(added) | {"created_at": self._clock.now()})
        return added

    async def change(self, policy: Policy, if_version: int | None) -> Policy:
        """Replaces a policy; its place in the order stays. Open alerts keep the policy that they opened under.

        Raises:
            NotFound: the tenant has no such policy.
            Outdated: `if_version` is not its version.
            Unavailable: the database is away.
        """
        async with self._database.transaction() as tx:
            known = _one(await policies_of(tx, policy.tenant, is_to_change=True), policy.id)
            check_version(policy.id, known.version, if_version)
            changed = msgspec.structs.replace(policy, position=known.position, version=known.version + 1)
            if known.version == 0:
                # Version 0 is the default that nobody has touched yet: two may be the first to do so at once.
                row = _row(changed) | {"created_at": self._clock.now()}
                await upsert(tx, escalation_policies, [row], ["tenant_id", "id"], update=())
                if _one(await policies_of(tx, policy.tenant), policy.id) != changed:
                    raise Outdated(policy.id, "changed since it was read", version=changed.version)
            else:
                await _write(tx, changed)
        return changed

    async def order(self, tenant: str, wanted: Sequence[str]) -> list[Policy]:
        """Has the policies asked in this order.

        Raises:
            Rejected: not all of the tenant's policies but the default, each once.
            Unavailable: the database is away.
        """
        async with self._database.transaction() as tx:
            known = {each.id: each for each in await policies_of(tx, tenant, is_to_change=True) if not each.is_default}
            if sorted(wanted) != sorted(known):
                raise Rejected("policies", "name each policy but the default once")
            for position, policy in enumerate(wanted, 1):
                # The order is nothing that somebody who edits a policy has to have seen: its version stays.
                await _write(tx, msgspec.structs.replace(known[policy], position=position))
        return await self.all(tenant)

    async def remove(self, tenant: str, policy: str, if_version: int | None) -> None:
        """Forgets a policy. Open alerts go on as it said.

        Raises:
            NotFound: the tenant has no such policy.
            Conflict: it is the default, which is always there.
            Outdated: `if_version` is not its version.
            Unavailable: the database is away.
        """
        columns = escalation_policies.c
        async with self._database.transaction() as tx:
            known = _one(await policies_of(tx, tenant, is_to_change=True), policy)
            check_version(policy, known.version, if_version)
            if known.is_default:
                raise Conflict(policy, "the default is always there: change it instead")
            await tx.execute(delete(escalation_policies).where(columns.tenant_id == tenant, columns.id == policy))


async def policies_of(tx: Transaction, tenant: str, *, is_to_change: bool = False) -> list[Policy]:
    """The policies of a tenant in their order, the default last; inside a transaction."""
    query = _of_tenant(tenant)
    return _ordered(tenant, await tx.rows(query.with_for_update() if is_to_change else query))


def _of_tenant(tenant: str) -> Select[Any]:
    columns = escalation_policies.c
    query = (
        select(columns.body)
        .where(columns.tenant_id == tenant)
        .order_by(columns.position, columns.created_at, columns.id)
    )
    return query.limit(2 * POLICIES_PER_TENANT_MAX)


def _ordered(tenant: str, rows: Sequence[Any]) -> list[Policy]:
    found: list[Policy] = [row.body for row in rows]
    default = next((policy for policy in found if policy.id == default_id(tenant)), default_policy(tenant))
    return [policy for policy in found if not policy.is_default] + [default]


def _one(policies: Sequence[Policy], wanted: str) -> Policy:
    for policy in policies:
        if policy.id == wanted:
            return policy
    raise NotFound(wanted, "there is no such escalation policy")


async def _write(tx: Transaction, policy: Policy) -> None:
    columns = escalation_policies.c
    await tx.execute(
        update(escalation_policies)
        .where(columns.tenant_id == policy.tenant, columns.id == policy.id)
        .values(**_row(policy))
    )


def _row(policy: Policy) -> dict[str, object]:
    return {
        "tenant_id": policy.tenant,
        "id": policy.id,
        "position": policy.position,
        "version": policy.version,
        "body": policy,
    }
