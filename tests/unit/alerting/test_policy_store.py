"""Escalation policies in a real database."""

from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest

from shoal.alerting import policy_store
from shoal.alerting.policy import Policy, Step, default_id, default_policy
from shoal.alerting.policy_store import Policies
from shoal.clock import FakeClock
from shoal.errors import Conflict, NotFound, Outdated, Rejected
from shoal.events.severity import Severity
from tests.harness.databases import fresh_database
from tests.harness.findings import NOON


@pytest.fixture
async def policies() -> AsyncIterator[Policies]:
    database = await fresh_database()
    yield Policies(database, FakeClock(NOON))
    await database.close()


def night(name: str = "Night", tenant: str = "ten-1") -> Policy:
    steps = [Step(after=timedelta(minutes=3), contacts=["con-1"], channels=["email"], at_once=True)]
    return Policy(id="", tenant=tenant, name=name, steps=steps, severities=[Severity.HIGH], places=["frm-1"], repeat=1)


async def test_a_tenant_that_wrote_nothing_has_the_default(policies: Policies) -> None:
    assert await policies.all("ten-1") == [default_policy("ten-1")]
    assert await policies.one("ten-1", default_id("ten-1")) == default_policy("ten-1")


async def test_a_policy_comes_back_as_it_was_and_only_to_its_tenant(policies: Policies) -> None:
    added = await policies.add(night())

    assert await policies.one("ten-1", added.id) == added
    assert (added.name, added.steps, added.version) == ("Night", night().steps, 1)
    for ask in (policies.one("ten-2", added.id), policies.remove("ten-2", added.id, None)):
        with pytest.raises(NotFound):
            await ask


async def test_the_default_is_changed_but_never_removed(policies: Policies) -> None:
    default = default_policy("ten-1")
    changed = await policies.change(msgspec.structs.replace(default, repeat=5), 0)

    assert (changed.repeat, changed.version) == (5, 1)
    assert await policies.all("ten-1") == [changed]
    assert (await policies.all("ten-2"))[0].repeat == default.repeat
    with pytest.raises(Conflict, match="always there"):
        await policies.remove("ten-1", default.id, None)


async def test_nobody_overwrites_what_they_have_not_seen(policies: Policies) -> None:
    added = await policies.add(night())
    await policies.change(msgspec.structs.replace(added, name="Mine"), added.version)

    with pytest.raises(Outdated):
        await policies.change(msgspec.structs.replace(added, name="Yours"), added.version)
    with pytest.raises(Outdated):
        await policies.remove("ten-1", added.id, added.version)
    assert (await policies.one("ten-1", added.id)).name == "Mine"
    await policies.remove("ten-1", added.id, added.version + 1)
    assert await policies.all("ten-1") == [default_policy("ten-1")]


async def test_policies_are_asked_in_the_order_that_people_gave_them(policies: Policies) -> None:
    first, second, third = [await policies.add(night(name)) for name in ("a", "b", "c")]

    ordered = await policies.order("ten-1", [third.id, first.id, second.id])
    later = await policies.add(night("d"))

    assert [policy.name for policy in ordered] == ["c", "a", "b", "Default"]
    assert [policy.id for policy in await policies.all("ten-1")][3] == later.id
    for wrong in ([third.id], [third.id, third.id, first.id, second.id], [*(p.id for p in ordered), later.id]):
        with pytest.raises(Rejected):
            await policies.order("ten-1", wrong)


async def test_a_tenant_has_a_bound_of_policies(policies: Policies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_store, "POLICIES_PER_TENANT_MAX", 2)
    for name in "ab":
        await policies.add(night(name))

    with pytest.raises(Conflict):
        await policies.add(night("c"))
