"""The outbox of notifications, in a real database."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from shoal.clock import FakeClock
from shoal.errors import TooMany
from shoal.events.alert import NotificationDue, NotificationSettled
from shoal.events.codec import decode
from shoal.events.topics import ALERT
from shoal.notifications import store
from shoal.notifications.channel import GiveUp, Sent, TryAgain
from shoal.notifications.contact import Contact, Method
from shoal.notifications.contact_store import Contacts
from shoal.notifications.delivery import LEASE, DeliveryState, after_outcome
from shoal.notifications.store import TESTS_MAX, Notification, Notifications
from shoal.notifications.tables import notifications as table
from shoal.storage.database import Database
from tests.harness.databases import fresh_database
from tests.harness.findings import NOON, at, due

SECOND = timedelta(seconds=1)


class World:
    """The outbox, and a clock for those who work on it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FakeClock(NOON)
        self.contacts = Contacts(database, self.clock)
        self.notifications = Notifications(database, self.clock)

    async def contact(self, name: str, *ways: str, severity: str = "warning", tenant: str = "ten-1") -> Contact:
        """Somebody who is reached by these mail addresses; without an @ it is another channel."""
        methods = [("email", way) if "@" in way else (way, "") for way in ways]
        return await self.contacts.add(tenant, name, methods, severity)

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
        async with self.database.transaction() as tx:
            another = await store.another_way(tx, notification) is not None
            until = notification.due.until if notification.due else None
            attempted = after_outcome(
                notification.id, attempt, notification.created_at, outcome, now, has_another_way=another, until=until
            )
            return await store.settle(tx, owner, notification, attempt, attempted, now)

    async def send(self, notification: Notification, outcome: Any, owner: str = "a") -> bool:
        attempt = await self.begin(notification, owner)
        assert attempt is not None
        return await self.settle(notification, attempt, outcome, owner)

    async def next_due(self) -> Any:
        async with self.database.transaction() as tx:
            return await store.next_due(tx)

    async def ways(self) -> list[str]:
        """Who is told by which channel, for the rows that are somebody's."""
        names = {person.id: person.name for person in await self.contacts.all("ten-1")}
        rows = await self.notifications.list("ten-1", limit=100)
        return sorted(f"{names[row.contact]} {row.channel}" for row in rows if row.contact)

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
                    table.update().where(table.c.id == row.id).values(state="waiting", owner=None, lease_until=None)
                )


# -- tests -------------------------------------------------------------------------------------------------------------


async def test_a_test_message_is_a_row_that_tells_what_became_of_it(world: World) -> None:
    kari = await world.contact("Kari", "kari@farm.example")

    [laid] = await world.notifications.send_test("ten-1", kari.methods, kari.id)
    [leased] = await world.lease()
    await world.send(leased, Sent("250 ok"))

    assert (laid.about, laid.state, laid.due) == ("test", DeliveryState.WAITING, None)
    assert (await world.notifications.one("ten-1", laid.id)).state is DeliveryState.ACCEPTED
    assert (await world.contacts.one("ten-1", kari.id)).methods[0].delivered_at == NOON


async def test_a_button_that_is_pressed_again_and_again_sends_no_more(world: World) -> None:
    way = Method(channel="email", address="kari@farm.example")
    for _ in range(TESTS_MAX):
        await world.notifications.send_test("ten-1", [way])

    with pytest.raises(TooMany) as caught:
        await world.notifications.send_test("ten-1", [way])
    assert caught.value.facts["retry_after_s"] == 60
    await world.notifications.send_test("ten-2", [way])
    world.clock.advance(timedelta(minutes=1))
    await world.notifications.send_test("ten-1", [way])


async def test_the_latest_message_of_a_webhook_is_known(world: World) -> None:
    for address in ("chn-1", "chn-2", "chn-1"):
        world.clock.advance(SECOND)
        await world.notifications.send_test("ten-1", [Method(channel="webhook", address=address)])

    latest = await world.notifications.latest("ten-1", ["chn-1", "chn-2", "chn-3"])

    assert {key: row.created_at for key, row in latest.items()} == {"chn-1": at(3), "chn-2": at(2)}
    assert await world.notifications.latest("ten-2", ["chn-1"]) == {}


# -- laying out --------------------------------------------------------------------------------------------------------


async def test_one_row_for_each_contact_that_wants_it_and_one_for_the_dashboard(world: World) -> None:
    await world.contact("Kari", "kari@farm.example", severity="warning")
    await world.contact("Boss", "boss@farm.example", severity="critical")
    await world.contact("Other", "other@farm.example", tenant="ten-2")

    await world.lay_out(due(), due())

    rows = await world.notifications.list("ten-1", alert="alr-1")
    assert {(row.channel, row.address) for row in rows} == {("dashboard", ""), ("email", "kari@farm.example")}
    assert len(rows) == 2
    assert await world.notifications.list("ten-2") == []


async def test_who_was_told_it_opened_is_told_how_it_goes_on_and_nobody_else(world: World) -> None:
    await world.contact("Kari", "kari@farm.example", severity="high")
    await world.lay_out(due(0))
    await world.contact("Ola", "ola@farm.example", severity="warning")

    await world.lay_out(due(1, about="acknowledged", by="Kari"), due(2, about="resolved", severity="warning"))

    assert [(row.address, row.about) for row in await world.mails()] == [
        ("kari@farm.example", "opened"),
        ("kari@farm.example", "acknowledged"),
        ("kari@farm.example", "resolved"),
    ]


async def test_whom_a_step_names_is_told_and_in_the_way_that_it_says(world: World) -> None:
    kari = await world.contact("Kari", "kari@farm.example", "dashboard", "k@home.example")
    await world.contact("Ola", "ola@farm.example")

    await world.lay_out(due(0, contacts=[kari.id]))
    assert await world.ways() == ["Kari email"]
    await world.lay_out(due(1, contacts=[kari.id], channels=["dashboard"]))
    assert await world.ways() == ["Kari dashboard", "Kari email"]
    await world.lay_out(due(2, contacts=[kari.id], at_once=True))
    assert await world.ways() == ["Kari dashboard", "Kari dashboard", "Kari email", "Kari email", "Kari email"]


async def test_a_step_whose_people_are_gone_tells_everybody(world: World) -> None:
    await world.contact("Boss", "boss@farm.example", severity="critical")

    await world.lay_out(due(0, severity="warning", contacts=["con-gone"]))

    assert await world.ways() == ["Boss email"]


async def test_who_was_called_is_told_how_it_goes_on_by_the_way_they_were_called(world: World) -> None:
    kari = await world.contact("Kari", "kari@farm.example", "dashboard")
    ola = await world.contact("Ola", "dashboard")
    await world.lay_out(due(0, contacts=[kari.id], channels=["dashboard"]), due(1, contacts=[ola.id]))

    await world.lay_out(due(2, about="acknowledged", by="Kari"))
    # It is withdrawn: whoever is called now is told once, and the others hear of it, too.
    await world.lay_out(due(3, about="withdrawn", contacts=[ola.id]))

    rows = await world.notifications.list("ten-1", limit=100)
    assert sorted((row.about, row.contact) for row in rows if row.contact and row.due and row.due.step > 1) == sorted(
        (about, person.id) for about in ("acknowledged", "withdrawn") for person in (kari, ola)
    )
    assert {row.channel for row in rows if row.contact == kari.id} == {"dashboard"}


# -- another way -------------------------------------------------------------------------------------------------------


async def test_where_a_call_fails_the_next_way_is_due_at_once(world: World) -> None:
    kari = await world.contact("Kari", "kari@farm.example", "k@home.example", "dashboard")
    await world.lay_out(due())
    await only_mail(world)

    for address in ("kari@farm.example", "k@home.example"):
        [row] = await world.lease()
        assert row.address == address
        await world.send(row, GiveUp("550 no such user"))

    [last] = await world.lease()
    assert (last.contact, last.channel, last.due_at) == (kari.id, "dashboard", NOON)
    await world.send(last, Sent("shown"))
    assert await world.lease() == []
    methods = (await world.contacts.one("ten-1", kari.id)).methods
    assert [(way.failure, way.delivered_at) for way in methods] == [
        ("550 no such user", None),
        ("550 no such user", None),
        ("", NOON),
    ]


async def test_what_came_of_a_call_is_an_event(world: World) -> None:
    kari = await world.contact("Kari", "kari@farm.example", "dashboard")
    await world.lay_out(due())
    await only_mail(world)
    [row] = await world.lease()
    await world.send(row, TryAgain("busy"))
    world.clock.advance(timedelta(minutes=1))
    [row] = await world.lease()
    await world.send(row, GiveUp("550 no such user"))
    [row] = await world.lease()
    await world.send(row, Sent("shown on the dashboard"))

    events = [decode(ALERT, row.value) for row in await world.database.outbox(100)]

    assert [
        (event.contact, event.channel, event.state, event.note)
        for event in events
        if isinstance(event, NotificationSettled)
    ] == [
        (kari.id, "email", "failed", "550 no such user"),
        (kari.id, "dashboard", "accepted", "shown on the dashboard"),
    ]


async def test_news_that_fail_and_calls_that_nobody_needs_any_more_go_no_other_way(world: World) -> None:
    await world.contact("Kari", "kari@farm.example", "dashboard")
    await world.lay_out(due(0), due(1, about="resolved"))
    await only_mail(world)

    [call] = [row for row in await world.lease() if row.channel == "email"]
    await world.send(call, GiveUp("550 no such user"))
    [news] = [row for row in await world.lease() if row.channel == "email"]
    await world.send(news, GiveUp("550 no such user"))

    assert await world.ways() == ["Kari email", "Kari email"]


async def test_a_channel_that_is_away_until_the_step_is_over_gives_way_to_the_next(world: World) -> None:
    await world.contact("Kari", "kari@farm.example", "dashboard")
    await world.lay_out(due(until=NOON + timedelta(minutes=1)))
    await only_mail(world)

    channels = []
    for _ in range(12):
        for row in await world.lease():
            channels.append((row.channel, int((world.clock.now() - NOON).total_seconds())))
            await world.send(row, TryAgain("away") if row.channel == "email" else Sent(""))
        world.clock.advance(timedelta(seconds=5))

    tried = [seconds for channel, seconds in channels if channel == "email"]
    assert tried == [0, 5, 15, 35]
    # Its next try would come after the step.
    assert [seconds for channel, seconds in channels if channel == "dashboard"] == [40]


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
    await world.contact("Kari", "kari@farm.example")
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
    await world.contact("Kari", "kari@farm.example")
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
    await world.contact("Kari", "kari@farm.example")
    await world.lay_out(due())
    await only_mail(world)

    counts = await world.notifications.counts("ten-1")

    assert (counts[DeliveryState.WAITING], counts[DeliveryState.ACCEPTED]) == (1, 1)
    assert [row.channel for row in await world.notifications.list("ten-1", states=[DeliveryState.WAITING])] == ["email"]
    assert sum((await world.notifications.counts("ten-2")).values()) == 0
