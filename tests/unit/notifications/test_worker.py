"""Alert events become messages, and messages go out: to a real mail server, over a real log and database."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shoal.clock import FakeClock, SystemClock
from shoal.errors import NotFound
from shoal.events.alert import NotificationDue
from shoal.events.codec import encode
from shoal.events.topics import ALERT
from shoal.notifications import worker as worker_module
from shoal.notifications.channel import Channel, Outcome, Sent
from shoal.notifications.dashboard import DashboardChannel
from shoal.notifications.delivery import DeliveryState
from shoal.notifications.email import EmailChannel, MailSecurity, MailSettings
from shoal.notifications.message import Message
from shoal.notifications.store import Notifications
from shoal.notifications.worker import Delivery, NotificationHandler, PlaceName
from shoal.storage.database import Database
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.log import Entry
from shoal.stream.worker import Worker
from tests.harness.databases import fresh_database
from tests.harness.findings import NOON, due
from tests.harness.mail import MailServer


class World:
    """The alert topic, the outbox, a mail server, and one contact."""

    def __init__(self, log: EmbeddedLog, database: Database, server: MailServer) -> None:
        self.log = log
        self.database = database
        self.server = server
        self.clock = FakeClock(NOON)
        self.notifications = Notifications(database, self.clock)
        self.pokes = 0

    def poke(self) -> None:
        self.pokes += 1

    async def hear(self, *events: NotificationDue) -> None:
        for event in events:
            await self.log.append(ALERT, [Entry(event.key, encode(event))])
        await Worker(self.log, self.database, NotificationHandler(self.clock, self.poke), self.clock).drain()

    def delivery(self, *more: Channel, place_name: PlaceName | None = None) -> Delivery:
        settings = MailSettings("127.0.0.1", self.server.port, "shoal@farm.example", MailSecurity.NONE)
        channels = (DashboardChannel(), EmailChannel(settings), *more)
        return Delivery(
            self.database,
            self.clock,
            channels,
            owner="here",
            base_url="https://shoal.example",
            place_name=place_name,
        )

    async def mail(self) -> tuple[DeliveryState, str]:
        """State and note of the newest mail."""
        rows = [row for row in await self.notifications.list("ten-1", limit=100) if row.channel == "email"]
        return rows[0].state, rows[0].note


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    log = EmbeddedLog(tmp_path, partitions=1, clock=FakeClock(NOON))
    await log.start()
    database = await fresh_database()
    server = MailServer()
    server.start()
    made = World(log, database, server)
    await made.notifications.add_contact("ten-1", "Kari", "kari@farm.example")
    yield made
    server.stop()
    await database.close()
    await log.close()


async def drain(delivery: Delivery) -> None:
    while await delivery.deliver_due():
        pass


async def test_a_message_that_is_due_is_sent_once_however_often_it_comes(world: World) -> None:
    await world.hear(due(), due())
    await drain(world.delivery())
    await world.hear(due())
    await drain(world.delivery())

    assert world.server.subjects == ["High: cam-1 is silent (#K7CC)"]
    assert (await world.mail())[0] is DeliveryState.ACCEPTED
    assert world.pokes >= 1


async def test_mail_waits_for_a_server_that_is_away_and_its_order_stays(world: World) -> None:
    world.server.stop()
    await world.hear(due(0), due(1, about="resolved"))
    delivery = world.delivery()
    await drain(delivery)
    waiting = await world.notifications.list("ten-1", states=[DeliveryState.WAITING])
    assert {(row.about, "the mail server is away" in row.note) for row in waiting} == {
        ("opened", True),
        ("resolved", False),
    }

    world.server.start()
    for _ in range(3):
        world.clock.advance(timedelta(minutes=1))
        await drain(delivery)

    assert [subject.split(":")[0] for subject in world.server.subjects] == ["High", "Resolved"]


async def test_an_address_that_the_server_refuses_for_good_failed_and_says_why(world: World) -> None:
    world.server.answers["kari@farm.example"] = "550 no such user"
    await world.hear(due())

    await drain(world.delivery())

    assert await world.mail() == (DeliveryState.FAILED, "550 no such user")


async def test_what_waits_for_a_contact_that_was_removed_is_dropped(world: World) -> None:
    await world.hear(due())
    [kari] = await world.notifications.contacts("ten-1")
    await world.notifications.remove_contact("ten-1", kari.id)

    await drain(world.delivery())

    assert world.server.mails == []
    assert await world.mail() == (DeliveryState.DROPPED, "the contact was removed")


async def test_a_message_names_the_place_and_does_not_wait_for_a_name_that_is_gone(world: World) -> None:
    async def named(_due: NotificationDue) -> str:
        return "Pen 4, Storholmen"

    async def gone(_due: NotificationDue) -> str:
        raise NotFound("frm-1", "no such farm")

    for number, place_name in enumerate((named, gone)):
        await world.hear(due(alert=f"alr-{number}"))
        await drain(world.delivery(place_name=place_name))

    texts = [str(mail.get_body(("plain",))) for mail in world.server.mails]
    assert ["Pen 4, Storholmen" in text for text in texts] == [True, False]
    assert "enc-1, frm-1" in texts[1]


async def test_a_fault_of_ours_in_one_message_does_not_stop_the_others(world: World) -> None:
    class Broken:
        name = "dashboard"

        async def send(self, address: str, message: Message) -> Outcome:
            raise ZeroDivisionError

    await world.hear(due())

    await drain(world.delivery(Broken()))

    assert len(world.server.mails) == 1
    [dashboard] = await world.notifications.list("ten-1", states=[DeliveryState.WAITING])
    assert dashboard.note == "a fault of our own: ZeroDivisionError"


async def test_without_its_channel_a_message_waits(world: World) -> None:
    await world.hear(due())
    delivery = Delivery(world.database, world.clock, (DashboardChannel(),), owner="here", base_url="")

    await drain(delivery)

    assert await world.mail() == (DeliveryState.WAITING, "no email channel is configured")


async def test_a_test_message_goes_out_like_any_other(world: World) -> None:
    [kari] = await world.notifications.contacts("ten-1")
    await world.notifications.send_test("ten-1", kari.id)

    await drain(world.delivery())

    assert world.server.subjects == ["Test from Shoal"]


async def test_a_crash_in_the_middle_of_a_call_repeats_the_same_message(world: World) -> None:
    class Crashing:
        """Sends, and then the power is cut."""

        name = "email"

        def __init__(self, inner: EmailChannel) -> None:
            self.inner = inner

        async def send(self, address: str, message: Message) -> Outcome:
            assert isinstance(await self.inner.send(address, message), Sent)
            raise KeyboardInterrupt

    await world.hear(due())
    settings = MailSettings("127.0.0.1", world.server.port, "shoal@farm.example", MailSecurity.NONE)
    with pytest.raises(KeyboardInterrupt):
        await drain(world.delivery(Crashing(EmailChannel(settings))))

    world.clock.advance(timedelta(minutes=1))
    await drain(world.delivery())

    # A grave one goes twice rather than never, under one id.
    assert len(world.server.mails) == 2
    assert len({mail["Message-ID"] for mail in world.server.mails}) == 1


async def test_it_runs_by_itself_and_wakes_when_poked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # It must be poked after the commit, not wake up by chance.
    monkeypatch.setattr(worker_module, "LOOK_EVERY", timedelta(hours=1))
    arrived = asyncio.Event()

    class Bell(DashboardChannel):
        async def send(self, address: str, message: Message) -> Outcome:
            arrived.set()
            return await super().send(address, message)

    delivery = Delivery(world.database, SystemClock(), (Bell(),), owner="here", base_url="")
    running = asyncio.create_task(delivery.run())
    handler = NotificationHandler(SystemClock(), delivery.poke)
    await world.log.append(ALERT, [Entry("frm-1", encode(due()))])
    await Worker(world.log, world.database, handler, SystemClock()).drain()
    async with asyncio.timeout(30):
        await arrived.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
