"""A farm without sockets: what the core would write goes into the log, the rooms work, and the clock is ours.

The inventory, health, alerting, notifications and history are the real ones, over the embedded log and a private
database; mail goes to a real mail server on loopback.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from shoal.alerting.escalator import Escalator
from shoal.alerting.policy_store import Policies
from shoal.alerting.store import Alerts
from shoal.alerting.worker import AlertHandler
from shoal.app.neighbours import policies_for_inventory
from shoal.clock import FakeClock
from shoal.errors import Unavailable
from shoal.events.codec import AnyEvent, decode, encode
from shoal.events.device import AnyDeviceEvent, Heartbeat
from shoal.events.topics import DEVICE, Topic
from shoal.health.store import DeviceHealth, Health
from shoal.health.worker import HealthHandler
from shoal.history.store import History
from shoal.history.worker import HistoryHandler
from shoal.ids import EnclosureId, FarmId, TenantId
from shoal.inventory.device import Device, Kind, Security
from shoal.inventory.profile import ProfileId, ProfileSettings
from shoal.inventory.store import Inventory
from shoal.inventory.worker import InventoryHandler
from shoal.notifications.channel_store import Channels
from shoal.notifications.contact_store import Contacts
from shoal.notifications.dashboard import DashboardChannel
from shoal.notifications.email import EmailChannel, MailSecurity, MailSettings
from shoal.notifications.outbound import Outbound
from shoal.notifications.store import Notifications
from shoal.notifications.webhook import WebhookChannel
from shoal.notifications.worker import Delivery, NotificationHandler
from shoal.policies.store import AccessPolicies
from shoal.storage.database import Database
from shoal.storage.secrets import Vault
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.log import PageIn, partition_of
from shoal.stream.relay import Relay
from shoal.stream.worker import Worker
from tests.harness.databases import fresh_database
from tests.harness.mail import MailServer
from tests.harness.voices import Voice

# The rhythm of the demonstration: reports every 5 s, so that all of a story happens within minutes.
QUICK: Final = ProfileSettings(report_every_s=5, lifetime_s=30, grace_s=15, awake_window_s=6)
STEP: Final = timedelta(seconds=5)  # gateways write a heartbeat this often
PARTITIONS: Final = 1  # more only repeat the same; the workers' own tests have several


@dataclass
class Resident:
    """A device of the farm. While it is alive it reports `values` every `every`."""

    voice: Voice
    device: Device
    every: timedelta
    values: dict[str, float | str]
    is_alive: bool = True
    next_at: datetime | None = None
    said: list[AnyDeviceEvent] = field(default_factory=list)


class Farm:
    """One tenant with one farm, all rooms that watch over it, and one person who gets mail."""

    def __init__(self, folder: Path, clock: FakeClock, log: EmbeddedLog, database: Database, mail: MailServer) -> None:
        self.folder = folder
        self.clock = clock
        self.log = log
        self.database = database
        self.mail = mail
        self.inventory = Inventory(database, clock)
        self.health = Health(database, clock)
        self.alerts = Alerts(database, clock)
        self.policies = Policies(database, clock)
        self.contacts = Contacts(database, clock)
        # The receivers of a test listen on loopback.
        self._outbound = Outbound(is_private_allowed=True)
        self.channels = Channels(database, clock, Vault(bytes(range(32))), self._outbound)
        self.notifications = Notifications(database, clock)
        self.history = History(database)
        self.residents: list[Resident] = []
        self.tenant = TenantId("")
        self.farm = FarmId("")
        self._profile = ProfileId("")
        self.start_workers()

    def start_workers(self) -> None:
        """Workers that know nothing but what is stored; once more, and Shoal was restarted."""
        handlers = (
            InventoryHandler(self.inventory, policies_for_inventory(AccessPolicies(self.database, self.clock))),
            HealthHandler(),
            AlertHandler(self.clock),
            NotificationHandler(self.clock),
            HistoryHandler(),
        )
        self._workers = [Worker(self.log, self.database, handler, self.clock) for handler in handlers]
        settings = MailSettings("127.0.0.1", self.mail.port, "shoal@farm.example", MailSecurity.NONE)
        webhooks = WebhookChannel(self.channels.endpoint, self._outbound, self.clock, "https://shoal.example")
        channels = (EmailChannel(settings), DashboardChannel(), webhooks)
        self._escalator = Escalator(self.database, self.clock)
        self._delivery = Delivery(self.database, self.clock, channels, owner="here", base_url="https://shoal.example")

    async def found(self) -> None:
        """The tenant, its farm, the profile of its devices, and the person who is on duty."""
        async with self.database.transaction() as tx:
            self.tenant = (await self.inventory.create_tenant(tx, "Nordlaks")).id
            self.farm = (await self.inventory.create_farm(tx, self.tenant, "Storholmen")).id
            self._profile = (await self.inventory.create_profile(tx, self.tenant, "Quick", QUICK)).id
        await self.contacts.add(self.tenant, "Kari", [("email", "kari@farm.example")])

    async def enclosure(self, name: str) -> EnclosureId:
        async with self.database.transaction() as tx:
            return (await self.inventory.create_enclosure(tx, self.tenant, self.farm, name, "pen")).id

    async def device(
        self,
        endpoint: str,
        enclosure: EnclosureId,
        *,
        kind: Kind = Kind.CAMERA,
        values: dict[str, float | str] | None = None,
        sleeps: bool = False,
        every: timedelta = STEP,
        claim: str | None = None,
    ) -> Resident:
        """A device that an operator created and that has just registered."""
        async with self.database.transaction() as tx:
            device = await self.inventory.create_device(
                tx,
                self.tenant,
                endpoint=endpoint,
                kind=kind,
                security=Security.PSK,
                enclosure=enclosure,
                profile=self._profile,
            )
        voice = Voice(device.id, tenant=self.tenant, farm=self.farm, enclosure=enclosure, endpoint=endpoint)
        resident = Resident(voice, device, every, values or {"/26242/0/0": 25.0})
        self.residents.append(resident)
        await self.settle()
        await self.hear(voice.registered(self.clock.now(), lifetime_s=QUICK.lifetime_s, queue_mode=sleeps, claim=claim))
        return resident

    async def hear(self, *events: AnyDeviceEvent | bytes, partition: int = 0) -> None:
        """Puts events into the log as the gateway does: a page for each, in the partition of the device."""
        for event in events:
            line = event if isinstance(event, bytes) else encode(event)
            place = partition if isinstance(event, bytes) else partition_of(event.key, PARTITIONS)
            self.log.append_pages(DEVICE, [PageIn(place, 1, line + b"\n")])
        await self.settle()

    async def skip(self, span: timedelta) -> None:
        """Time in which Shoal does not hear: nothing is written, the workers look once at its end."""
        self.clock.advance(span)
        await self.settle()

    async def pass_time(self, span: timedelta) -> None:
        """Lets the farm live: devices report and the gateway beats at every step, the rooms look at every other."""
        steps = span // STEP
        for number in range(1, steps + 1):
            self.clock.advance(STEP)
            now = self.clock.now()
            for resident in self.residents:
                self._let_report(resident, now)
            for partition in range(PARTITIONS):
                beat = Heartbeat(id=f"hb-{partition}-{now.timestamp()}", time=now, partition=partition)
                self.log.append_pages(DEVICE, [PageIn(partition, 1, encode(beat) + b"\n")])
            if number % 2 == 0 or number == steps:
                await self.settle()

    def _let_report(self, resident: Resident, now: datetime) -> None:
        if not resident.is_alive or (resident.next_at is not None and now < resident.next_at):
            return
        resident.next_at = now + resident.every
        event = resident.voice.reported(now, resident.values)
        partition = partition_of(event.key, PARTITIONS)
        self.log.append_pages(DEVICE, [PageIn(partition, 1, encode(event) + b"\n")])

    async def settle(self) -> None:
        """Until nobody has anything to do: workers, relay, delivery."""
        relay = Relay(self.database, self.log)
        while True:
            for worker in self._workers:
                await worker.drain()
            if not (await self._escalator.escalate_due() or await relay.carry() or await self._deliver()):
                return

    async def _deliver(self) -> int:
        try:
            return await self._delivery.deliver_due()
        except Unavailable:
            return 0

    async def health_of(self, resident: Resident) -> DeviceHealth:
        return (await self.health.of(self.tenant, [resident.device.id]))[resident.device.id]

    async def events(self, topic: Topic) -> list[AnyEvent]:
        """All that stands in a topic, partition by partition."""
        found: list[AnyEvent] = []
        for partition in range(PARTITIONS):
            part = await self.log.read(topic, partition, 0, limit=1_000, wait=timedelta())
            found.extend(decode(topic, record.value) for record in part.records)
        return found


@asynccontextmanager
async def farm(folder: Path) -> AsyncIterator[Farm]:
    """A founded farm with its mail server."""
    clock = FakeClock()
    log = EmbeddedLog(folder, partitions=PARTITIONS, clock=clock)
    mail = MailServer()
    await log.start()
    database = await fresh_database()
    mail.start()
    try:
        running = Farm(folder, clock, log, database, mail)
        await running.found()
        yield running
    finally:
        mail.stop()
        await database.close()
        await log.close()
