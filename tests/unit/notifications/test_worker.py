"""Alert events become messages, and messages go out: to a real mail server, over a real log and database."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from shoal.clock import FakeClock, SystemClock
from shoal.errors import NotFound
from shoal.events.alert import NotificationDue
from shoal.events.codec import encode
from shoal.events.topics import ALERT
from shoal.notifications import outbound as outbound_module
from shoal.notifications import store
from shoal.notifications import worker as worker_module
from shoal.notifications.channel import Channel, Outcome, Sent
from shoal.notifications.channel_store import Channels
from shoal.notifications.contact_store import Contacts
from shoal.notifications.dashboard import DashboardChannel
from shoal.notifications.delivery import LEASE, DeliveryState
from shoal.notifications.email import EmailChannel, MailSecurity, MailSettings
from shoal.notifications.message import Message
from shoal.notifications.outbound import Outbound
from shoal.notifications.store import Notifications
from shoal.notifications.webhook import WebhookChannel
from shoal.notifications.worker import Delivery, NotificationHandler, PlaceName
from shoal.storage.database import Database
from shoal.storage.secrets import Vault
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.log import Entry
from shoal.stream.worker import Worker
from tests.harness.databases import fresh_database
from tests.harness.findings import NOON, due
from tests.harness.hook import HookServer
from tests.harness.mail import MailServer


class World:
    """The alert topic, the outbox, a mail server, and one contact."""

    def __init__(self, log: EmbeddedLog, database: Database, server: MailServer) -> None:
        self.log = log
        self.database = database
        self.server = server
        self.clock = FakeClock(NOON)
        self.contacts = Contacts(database, self.clock)
        self.notifications = Notifications(database, self.clock)
        self.pokes = 0
        database.on("notifications", self._poked)

    def _poked(self) -> None:
        self.pokes += 1

    async def hear(self, *events: NotificationDue) -> None:
        for event in events:
            await self.log.append(ALERT, [Entry(event.key, encode(event))])
        await Worker(self.log, self.database, NotificationHandler(self.clock), self.clock).drain()

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
    await made.contacts.add("ten-1", "Kari", [("email", "kari@farm.example")])
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
    [kari] = await world.contacts.all("ten-1")
    await world.contacts.remove("ten-1", kari.id)

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
    [kari] = await world.contacts.all("ten-1")
    await world.notifications.send_test("ten-1", kari.methods, kari.id)

    await drain(world.delivery())

    assert world.server.subjects == ["Test from Shoal"]


async def test_a_test_that_cannot_go_out_now_has_failed_and_says_why(world: World) -> None:
    [kari] = await world.contacts.all("ten-1")
    await world.notifications.send_test("ten-1", kari.methods, kari.id)
    delivery = Delivery(world.database, world.clock, (EmailChannel(None),), owner="here", base_url="")

    await drain(delivery)

    assert await world.mail() == (DeliveryState.FAILED, "no mail server is configured")
    assert (await world.contacts.all("ten-1"))[0].methods[0].failure == "no mail server is configured"


async def test_a_crash_in_the_middle_of_a_call_repeats_the_same_message(world: World) -> None:
    class PowerCut(BaseException):
        pass

    class Crashing:
        """Sends, and then the power is cut."""

        name = "email"

        def __init__(self, inner: EmailChannel) -> None:
            self.inner = inner

        async def send(self, address: str, message: Message) -> Outcome:
            assert isinstance(await self.inner.send(address, message), Sent)
            raise PowerCut

    await world.hear(due())
    settings = MailSettings("127.0.0.1", world.server.port, "shoal@farm.example", MailSecurity.NONE)
    with pytest.raises(PowerCut):
        await drain(world.delivery(Crashing(EmailChannel(settings))))

    world.clock.advance(timedelta(minutes=1))
    await drain(world.delivery())

    # A grave one goes twice rather than never, under one id.
    assert len(world.server.mails) == 2
    assert len({mail["Message-ID"] for mail in world.server.mails}) == 1


# -- mail and webhook --------------------------------------------------------------------------------------------------


class Hooked:
    """The world with a web server, and Ola, who is reached by mail first and by a webhook second."""

    def __init__(self, world: World, hook: HookServer) -> None:
        self.world = world
        self.hook = hook
        self.outbound = Outbound(is_private_allowed=True)
        self.channels = Channels(world.database, world.clock, Vault(bytes(32)), self.outbound)
        self.ola = ""

    async def begin(self) -> None:
        webhook, _ = await self.channels.add("ten-1", "Duty phone", self.hook.url)
        ways = [("email", "ola@farm.example"), ("webhook", webhook.id)]
        self.ola = (await self.world.contacts.add("ten-1", "Ola", ways)).id

    def channel(self) -> WebhookChannel:
        return WebhookChannel(self.channels.endpoint, self.outbound, self.world.clock, "https://shoal.example")

    def delivery(self) -> Delivery:
        return self.world.delivery(self.channel())

    async def hear(self, *events: NotificationDue) -> None:
        await self.world.hear(*(msgspec.structs.replace(event, contacts=[self.ola]) for event in events))


@pytest.fixture
async def hooked(world: World) -> AsyncIterator[Hooked]:
    hook = HookServer()
    await hook.start()
    made = Hooked(world, hook)
    await made.begin()
    yield made
    await hook.stop()


async def test_a_mail_server_that_refuses_leads_to_the_webhook_within_the_same_step(hooked: Hooked) -> None:
    hooked.world.server.answers["ola@farm.example"] = "550 no such user"
    await hooked.hear(due(until=NOON + timedelta(minutes=5)))

    # The clock stands still: nothing waited for anything.
    await drain(hooked.delivery())

    assert hooked.hook.kinds == ["opened"]
    rows = await hooked.world.notifications.list("ten-1", alert="alr-1")
    assert {(row.channel, row.state, row.note) for row in rows if row.contact} == {
        ("email", DeliveryState.FAILED, "550 no such user"),
        ("webhook", DeliveryState.ACCEPTED, "answered 204"),
    }


async def test_who_was_reached_by_the_webhook_hears_there_that_it_is_taken_and_over(hooked: Hooked) -> None:
    hooked.world.server.answers["ola@farm.example"] = "550 no such user"
    await hooked.hear(due(0))
    await drain(hooked.delivery())

    await hooked.hear(due(1, about="acknowledged", by="Kari"), due(2, about="resolved", by="Kari"))
    await drain(hooked.delivery())

    assert hooked.hook.kinds == ["opened", "acknowledged", "resolved"]
    assert hooked.world.server.mails == []


async def test_a_webhook_that_hangs_holds_up_nobody(hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound_module, "CALL_TIMEOUT", timedelta(milliseconds=300))
    hooked.hook.hangs = True
    await hooked.world.hear(msgspec.structs.replace(due(), contacts=[hooked.ola], channels=["webhook"]))
    await hooked.world.hear(due(alert="alr-2"))

    await hooked.delivery().deliver_due()

    assert sorted(mail["To"] for mail in hooked.world.server.mails) == ["kari@farm.example", "ola@farm.example"]


@pytest.mark.parametrize(("severity", "posts"), [("high", 2), ("warning", 1)])
async def test_a_crash_after_the_webhook_was_called_repeats_only_what_is_grave_and_under_one_key(
    hooked: Hooked, severity: str, posts: int
) -> None:
    class PowerCut(BaseException):
        pass

    class Crashing(WebhookChannel):
        async def send(self, address: str, message: Message) -> Outcome:
            assert isinstance(await super().send(address, message), Sent)
            raise PowerCut

    await hooked.world.hear(due(severity=severity, contacts=[hooked.ola], channels=["webhook"]))
    crashing = Crashing(hooked.channels.endpoint, hooked.outbound, hooked.world.clock, "")
    with pytest.raises(PowerCut):
        await drain(hooked.world.delivery(crashing))

    hooked.world.clock.advance(LEASE)
    await drain(hooked.delivery())

    assert len(hooked.hook.posted) == posts
    assert len({posted.headers["idempotency-key"] for posted in hooked.hook.posted}) == 1


async def test_a_crash_before_the_call_sends_it_once(hooked: Hooked) -> None:
    await hooked.world.hear(due(severity="warning", contacts=[hooked.ola], channels=["webhook"]))
    async with hooked.world.database.transaction() as tx:
        assert await store.lease(tx, "gone", NOON, 10)

    hooked.world.clock.advance(LEASE)
    await drain(hooked.delivery())

    assert hooked.hook.kinds == ["opened"]


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
    handler = NotificationHandler(SystemClock())
    await world.log.append(ALERT, [Entry("frm-1", encode(due()))])
    await Worker(world.log, world.database, handler, SystemClock()).drain()
    async with asyncio.timeout(30):
        await arrived.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
