"""Contacts and the outbox of notifications, in a real database."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from shoal.clock import FakeClock
from shoal.errors import Conflict, NotFound, Rejected
from shoal.events.alert import NotificationDue
from shoal.events.severity import Severity
from shoal.notifications import store
from shoal.notifications.channel import Sent, TryAgain
from shoal.notifications.delivery import LEASE, DeliveryState, after_outcome
from shoal.notifications.store import Notification, Notifications
from shoal.storage.database import Database
from tests.harness.databases import fresh_database
from tests.harness.findings import NOON, due

SECOND = timedelta(seconds=1)


class World:
    """The outbox, and a clock for those who work on it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FakeClock(NOON)
        self.notifications = Notifications(database, self.clock)

    async def lay_out(self, *events: NotificationDue) -> None:
        async with self.database.transaction() as tx:
            for event in events:
                await store.lay_out(tx, event, self.clock.now())

    async def lease(self, owner: str = "a", limit: int = 10) -> list[Notification]:
        async with self.database.transaction() as tx:
            return await store.lease(tx, owner, self.clock.now(), limit)

    async def begin(self, notification: Notification, owner: str = "a") -> int | None:
        async with self.database.transaction() as tx:
            return await store.begin_call(tx, owner, notification.id, self.clock.now())

    async def settle(self, notification: Notification, attempt: int, outcome: Any, owner: str = "a") -> bool:
        now = self.clock.now()
        attempted = after_outcome(notification.id, attempt, notification.created_at, outcome, now)
        async with self.database.transaction() as tx:
            return await store.settle(tx, owner, notification.id, attempt, attempted, now)

    async def send(self, notification: Notification, outcome: Any, owner: str = "a") -> bool:
        attempt = await self.begin(notification, owner)
        assert attempt is not None
        return await self.settle(notification, attempt, outcome, owner)

    async def next_due(self) -> Any:
        async with self.database.transaction() as tx:
            return await store.next_due(tx)

    async def mails(self) -> list[Notification]:
        """The email rows, oldest step first."""
        rows = await self.notifications.list("ten-1", limit=100)
        return sorted((row for row in rows if row.channel == "email"), key=lambda row: row.due.step if row.due else -1)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    database = await fresh_database()
    yield World(database)
    await database.close()


async def only_mail(world: World) -> None:
    """The dashboard has had its rows."""
    for row in await world.lease():
        if row.channel == "dashboard":
            await world.send(row, Sent(""))
        else:
            async with world.database.transaction() as tx:
                await tx.execute(
                    store.notifications.update()
                    .where(store.notifications.c.id == row.id)
                    .values(state="waiting", owner=None, lease_until=None)
                )


# -- contacts ----------------------------------------------------------------------------------------------------------


async def test_contacts_are_a_tenants_own(world: World) -> None:
    kari = await world.notifications.add_contact("ten-1", "Kari", "kari@farm.example", "high")
    await world.notifications.add_contact("ten-2", "Kari", "kari@farm.example")

    assert await world.notifications.contacts("ten-1") == [kari]
    assert kari.min_severity is Severity.HIGH
    for ask in (world.notifications.contact, world.notifications.remove_contact, world.notifications.send_test):
        with pytest.raises(NotFound):
            await ask("ten-2", kari.id)


async def test_an_address_is_one_contact(world: World) -> None:
    kari = await world.notifications.add_contact("ten-1", "Kari", "kari@farm.example")
    ola = await world.notifications.add_contact("ten-1", "Ola", "ola@farm.example")

    with pytest.raises(Conflict) as caught:
        await world.notifications.add_contact("ten-1", "Again", "kari@farm.example")
    assert caught.value.facts["contact"] == kari.id
    with pytest.raises(Conflict):
        await world.notifications.change_contact("ten-1", ola.id, email="kari@farm.example")
    with pytest.raises(Rejected):
        await world.notifications.change_contact("ten-1", ola.id, email="nobody")
    assert await world.notifications.contact("ten-1", ola.id) == ola


async def test_a_tenant_has_a_bound_of_contacts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CONTACTS_PER_TENANT_MAX", 2)
    for number in range(2):
        await world.notifications.add_contact("ten-1", "N", f"n{number}@farm.example")

    with pytest.raises(Conflict, match="mailing list"):
        await world.notifications.add_contact("ten-1", "N", "n9@farm.example")


async def test_what_waits_goes_to_the_new_address(world: World) -> None:
    kari = await world.notifications.add_contact("ten-1", "Kari", "kari@farm.example")
    await world.lay_out(due())

    await world.notifications.change_contact("ten-1", kari.id, name="Kari N.", email="kari@new.example")

    assert [row.address for row in await world.mails()] == ["kari@new.example"]
    assert (await world.notifications.contact("ten-1", kari.id)).name == "Kari N."


async def test_a_test_message_is_a_row_that_tells_what_became_of_it(world: World) -> None:
    kari = await world.notifications.add_contact("ten-1", "Kari", "kari@farm.example")

    laid = await world.notifications.send_test("ten-1", kari.id)
    [leased] = await world.lease()
    await world.send(leased, Sent("250 ok"))

    assert (laid.about, laid.state, laid.due) == ("test", DeliveryState.WAITING, None)
    assert (await world.notifications.one("ten-1", laid.id)).state is DeliveryState.ACCEPTED


# -- laying out --------------------------------------------------------------------------------------------------------


async def test_one_row_for_each_contact_that_wants_it_and_one_for_the_dashboard(world: World) -> None:
    await world.notifications.add_contact("ten-1", "Kari", "kari@farm.example", "warning")
    await world.notifications.add_contact("ten-1", "Boss", "boss@farm.example", "critical")
    await world.notifications.add_contact("ten-2", "Other", "other@farm.example")

    await world.lay_out(due(), due())

    rows = await world.notifications.list("ten-1", alert="alr-1")
    assert {(row.channel, row.address) for row in rows} == {("dashboard", ""), ("email", "kari@farm.example")}
    assert len(rows) == 2
    assert await world.notifications.list("ten-2") == []


async def test_who_was_told_it_opened_is_told_how_it_goes_on_and_nobody_else(world: World) -> None:
    await world.notifications.add_contact("ten-1", "Kari", "kari@farm.example", "high")
    await world.lay_out(due(0))
    await world.notifications.add_contact("ten-1", "Ola", "ola@farm.example", "warning")

    await world.lay_out(due(1, about="acknowledged", by="Kari"), due(2, about="resolved", severity="warning"))

    assert [(row.address, row.about) for row in await world.mails()] == [
        ("kari@farm.example", "opened"),
        ("kari@farm.example", "acknowledged"),
        ("kari@farm.example", "resolved"),
    ]


# -- leases ------------------------------------------------------------------------------------------------------------


async def test_a_leased_message_is_nobody_elses_until_the_lease_is_over(world: World) -> None:
    await world.lay_out(due())

    [row] = await world.lease("a")
    assert await world.lease("b") == []
    world.clock.advance(LEASE)

    [again] = await world.lease("b")
    assert again.id == row.id
    assert await world.begin(row, "a") is None
    assert await world.begin(again, "b") == 1


async def test_the_gravest_goes_first(world: World) -> None:
    await world.lay_out(due(alert="alr-1", severity="warning"), due(alert="alr-2", severity="critical"))

    assert [row.alert for row in await world.lease(limit=1)] == ["alr-2"]


async def test_messages_of_one_alert_to_one_person_keep_their_order(world: World) -> None:
    await world.notifications.add_contact("ten-1", "Kari", "kari@farm.example")
    await world.lay_out(due(0), due(1, about="resolved"))
    await only_mail(world)

    [first] = [row for row in await world.lease() if row.channel == "email"]
    await world.send(first, TryAgain("away"))
    assert [row.about for row in await world.lease() if row.channel == "email"] == []
    world.clock.advance(timedelta(minutes=1))
    [again] = await world.lease()
    assert again.id == first.id
    await world.send(again, Sent("250 ok"))

    assert [row.about for row in await world.lease()] == ["resolved"]


async def test_a_message_that_is_held_up_by_an_earlier_one_wakes_nobody(world: World) -> None:
    await world.notifications.add_contact("ten-1", "Kari", "kari@farm.example")
    await world.lay_out(due(0), due(1, about="resolved"))
    for row in await world.lease():
        await world.send(row, TryAgain("away") if row.channel == "email" else Sent(""))
    for row in await world.lease():
        await world.send(row, Sent(""))

    [first, held_up] = await world.mails()

    assert held_up.due_at == NOON
    assert await world.next_due() == first.due_at
    assert first.due_at is not None
    assert first.due_at > NOON


async def test_a_slow_worker_that_lost_its_lease_writes_nothing(world: World) -> None:
    await world.lay_out(due())
    [row] = await world.lease("a")
    attempt = await world.begin(row, "a")
    world.clock.advance(LEASE)
    [again] = await world.lease("b")
    await world.send(again, Sent("by b"), "b")

    assert attempt is not None
    assert not await world.settle(row, attempt, TryAgain("by a"), "a")
    settled = await world.notifications.one("ten-1", row.id)
    assert (settled.state, settled.note, settled.attempts) == (DeliveryState.ACCEPTED, "by b", 2)


@pytest.mark.parametrize(("severity", "state"), [("high", DeliveryState.LEASED), ("warning", DeliveryState.ACCEPTED)])
async def test_a_call_of_which_nobody_knows_the_end_is_repeated_when_it_is_grave(
    world: World, severity: str, state: DeliveryState
) -> None:
    await world.lay_out(due(severity=severity))
    [row] = await world.lease("a")
    await world.begin(row, "a")
    world.clock.advance(LEASE)

    await world.lease("b")

    after = await world.notifications.one("ten-1", row.id)
    assert after.state is state
    assert after.note == "the sender stopped; perhaps it was sent"


async def test_what_nobody_needs_any_more_is_dropped_with_the_reason(world: World) -> None:
    await world.lay_out(due())
    [row] = await world.lease("a")

    async with world.database.transaction() as tx:
        await store.drop(tx, "b", row.id, "not yours", NOON)
        await store.drop(tx, "a", row.id, "the contact was removed", NOON)

    dropped = await world.notifications.one("ten-1", row.id)
    assert (dropped.state, dropped.note) == (DeliveryState.DROPPED, "the contact was removed")


async def test_what_is_due_next_is_the_earliest_of_messages_and_leases(world: World) -> None:
    assert await world.next_due() is None
    await world.lay_out(due())
    assert await world.next_due() == NOON

    [row] = await world.lease("a")
    assert await world.next_due() == NOON + LEASE
    await world.send(row, Sent(""))
    assert await world.next_due() is None


async def test_what_waits_is_counted_as_waiting(world: World) -> None:
    await world.notifications.add_contact("ten-1", "Kari", "kari@farm.example")
    await world.lay_out(due())
    await only_mail(world)

    counts = await world.notifications.counts("ten-1")

    assert (counts[DeliveryState.WAITING], counts[DeliveryState.ACCEPTED]) == (1, 1)
    assert [row.channel for row in await world.notifications.list("ten-1", states=[DeliveryState.WAITING])] == ["email"]
    assert sum((await world.notifications.counts("ten-2")).values()) == 0
