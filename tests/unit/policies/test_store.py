"""Policies in the database: what one process writes, the next decision of another obeys."""

import pytest

from shoal.access.decision import Place, Subject, may
from shoal.access.pattern import ALL, ITSELF, Pattern
from shoal.access.policy import EVERYBODY, Effect, Operation, Policy, Role, Who, WhoKind
from shoal.errors import NotFound, Outdated, Rejected
from shoal.ids import TenantId
from shoal.policies import store
from shoal.policies.store import AccessPolicies
from tests.harness.installation import Installation

TENANT, OTHER = TenantId("ten-OURS0000"), TenantId("ten-THEIRS00")
KARI = Subject(tenant=TENANT, role=Role.VIEWER, id="usr-1", name="Kari")
DENIES = Policy(
    id="", effect=Effect.DENY, who=EVERYBODY, operations=frozenset({Operation.READ}), place=TENANT, paths=(ALL,)
)


@pytest.fixture
def policies(shoal: Installation) -> AccessPolicies:
    return AccessPolicies(shoal.database, shoal.clock)


async def test_what_is_kept_comes_back_as_it_was(shoal: Installation, policies: AccessPolicies) -> None:
    written = Policy(
        id="",
        effect=Effect.ALLOW,
        who=Who(WhoKind.ROLE, "technician"),
        operations=frozenset({Operation.WRITE, Operation.EXECUTE}),
        place="frm-1",
        paths=(ITSELF, Pattern.parse("/3/0/9"), Pattern.parse("/5/*")),
    )
    async with shoal.database.transaction() as tx:
        kept = await policies.create(tx, TENANT, written, "why", "Kari")

    assert await policies.one(TENANT, kept.policy.id) == kept
    assert await policies.all(TENANT) == [kept]
    assert kept.policy.paths == written.paths
    assert (kept.changed_by, kept.note, kept.version) == ("Kari", "why", 1)
    assert await policies.all(OTHER) == []
    with pytest.raises(NotFound):
        await policies.one(OTHER, kept.policy.id)


async def test_what_another_process_changes_counts_at_once(shoal: Installation, policies: AccessPolicies) -> None:
    elsewhere, place = AccessPolicies(shoal.database, shoal.clock), Place(tenant=TENANT)
    assert may(await policies.of(TENANT), KARI, Operation.READ, place)
    assert await policies.of(TENANT) is await policies.of(TENANT), "kept while nobody changes it"

    async with shoal.database.transaction() as tx:
        kept = await elsewhere.create(tx, TENANT, DENIES, "", "Ola")
        assert not may(await elsewhere.inside(tx, TENANT), KARI, Operation.READ, place)
    assert not may(await policies.of(TENANT), KARI, Operation.READ, place)
    assert await policies.versions() == {TENANT: 1}

    async with shoal.database.transaction() as tx:
        await elsewhere.delete(tx, TENANT, kept.policy.id)
    assert may(await policies.of(TENANT), KARI, Operation.READ, place)


async def test_only_what_was_read_is_changed(shoal: Installation, policies: AccessPolicies) -> None:
    async with shoal.database.transaction() as tx:
        kept = await policies.create(tx, TENANT, DENIES, "", "Kari")
        changed = await policies.change(tx, TENANT, kept.policy, "why", "Ola", if_version=1)

    assert (changed.version, changed.changed_by) == (2, "Ola")
    async with shoal.database.transaction() as tx:
        with pytest.raises(Outdated):
            await policies.change(tx, TENANT, kept.policy, "", "Ola", if_version=1)
        with pytest.raises(Outdated):
            await policies.delete(tx, TENANT, kept.policy.id, if_version=1)
        with pytest.raises(NotFound):
            await policies.delete(tx, OTHER, kept.policy.id)


async def test_a_tenant_has_no_more_than_it_can_have(
    shoal: Installation, policies: AccessPolicies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "POLICIES_MAX", 1)
    async with shoal.database.transaction() as tx:
        await policies.create(tx, TENANT, DENIES, "", "Kari")
        await policies.create(tx, OTHER, DENIES, "", "Eve")
        with pytest.raises(Rejected):
            await policies.create(tx, TENANT, DENIES, "", "Kari")
