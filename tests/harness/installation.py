"""The rooms of one Shoal over one database and one embedded log, on a clock that stands still until it is told.

What the composition root does in the product is done here by hand: who wires rooms together can read it here. There is no
gateway: `hear` appends what one would have written, `firmware_device.py` plays its downlink.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from shoal.app.device_trust import AnchorsOfAuthorities
from shoal.app.neighbours import (
    devices_for_credentials,
    files_for_devices,
    policies_for_inventory,
    queue_for_campaigns,
    queue_for_inventory,
)
from shoal.authority.certificate_store import Certificates
from shoal.authority.enrolment_store import Enrolments
from shoal.authority.store import Authorities
from shoal.campaigns.campaigns import Campaigns
from shoal.campaigns.facts import DeviceFacts
from shoal.campaigns.files import ArtifactFiles
from shoal.campaigns.links import Links
from shoal.campaigns.neighbours import FileServer
from shoal.campaigns.worker import CampaignHandler
from shoal.clock import FakeClock
from shoal.commands.store import Commands
from shoal.commands.worker import Expiry
from shoal.credentials.anchor_store import TrustAnchors
from shoal.credentials.bootstrap_store import BootstrapCredentials
from shoal.credentials.store import Credentials
from shoal.credentials.worker import CredentialHandler
from shoal.events.codec import AnyEvent, decode, encode
from shoal.events.device import DeviceEvent, Heartbeat
from shoal.events.topics import DEVICE, Topic
from shoal.identity.store import Identity
from shoal.ids import EnclosureId, FarmId, TenantId
from shoal.inventory.device import Device, Kind, Security
from shoal.inventory.store import Inventory
from shoal.inventory.worker import InventoryHandler
from shoal.lwm2m.dataplane import decompress
from shoal.lwm2m.short_id import SHORT_ID
from shoal.policies.store import AccessPolicies
from shoal.sharing.worker import Conductor, PolicyWatch, SharingHandler
from shoal.storage.database import Database
from shoal.storage.secrets import Vault
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.log import Entry
from shoal.stream.relay import Relay
from shoal.stream.worker import Worker
from tests.harness.databases import fresh_database

START: Final = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)


class Installation:
    """One Shoal without sockets."""

    def __init__(self, folder: Path, log: EmbeddedLog, database: Database, clock: FakeClock) -> None:
        self.folder = folder
        self.log = log
        self.database = database
        self.clock = clock
        self.pokes = 0
        self.vault = Vault(bytes(range(32)))
        self.commands = Commands(database, clock)
        self.commands.on_change(self._count)
        self.expiry = Expiry(self.commands, database, clock)
        self.inventory = Inventory(database, clock, tell=queue_for_inventory(self.commands))
        self.credentials = Credentials(database, self.vault, clock)
        self.trust_anchors = TrustAnchors(database, clock)
        self.authorities = Authorities(database, self.vault, clock, AnchorsOfAuthorities(self.trust_anchors))
        self.certificates = Certificates(database, self.authorities, clock)
        self.enrolments = Enrolments(database, self.certificates, clock)
        self.bootstraps = BootstrapCredentials(database, self.vault, clock)
        self.identity = Identity(database, clock)
        self.files = ArtifactFiles(folder / "artifacts")
        server = FileServer(
            address=_address,
            file=self.files.path,
            links=Links(self.vault.signing_key("downloads"), "https://shoal.example"),
        )
        enqueue = queue_for_campaigns(self.commands)
        # What a gateway would serve now, and to whom.
        self.offered = files_for_devices(database, self.files)
        self.campaign_handler = CampaignHandler(enqueue, server)
        self.campaigns = Campaigns(database, clock, self.files, enqueue, server)
        self.relay = Relay(database, log)
        self.access = AccessPolicies(database, clock)
        sharing = Conductor(self.commands, self.access, SHORT_ID)
        self.policy_watch = PolicyWatch(database, self.access, sharing, clock)
        self.workers = [
            Worker(
                log,
                database,
                InventoryHandler(self.inventory, policies_for_inventory(self.access)),
                clock,
            ),
            Worker(log, database, self.campaign_handler, clock),
            Worker(log, database, CredentialHandler(self.credentials, devices_for_credentials(self.inventory)), clock),
            Worker(log, database, SharingHandler(sharing), clock),
        ]

    # -- what people do ----------------------------------------------------------------------------------------------

    async def create_tenant(self, name: str = "Nordlaks") -> TenantId:
        async with self.database.transaction() as tx:
            return (await self.inventory.create_tenant(tx, name)).id

    async def create_farm(self, tenant: TenantId, name: str = "Storholmen") -> FarmId:
        async with self.database.transaction() as tx:
            return (await self.inventory.create_farm(tx, tenant, name)).id

    async def create_enclosure(self, tenant: TenantId, farm: FarmId, name: str = "Pen 1") -> EnclosureId:
        async with self.database.transaction() as tx:
            return (await self.inventory.create_enclosure(tx, tenant, farm, name, "pen")).id

    async def create_device(
        self,
        tenant: TenantId,
        endpoint: str = "oxy-0101",
        enclosure: EnclosureId | None = None,
        kind: Kind = Kind.SENSOR,
        security: Security = Security.PSK,
    ) -> Device:
        async with self.database.transaction() as tx:
            return await self.inventory.create_device(
                tx, tenant, endpoint=endpoint, kind=kind, security=security, enclosure=enclosure
            )

    # -- what devices do ---------------------------------------------------------------------------------------------

    async def hear(self, *events: DeviceEvent) -> None:
        """Appends what a gateway would have written."""
        for event in events:
            await self.log.append(DEVICE, [Entry(event.key, encode(event))])

    async def settle(self) -> None:
        """Until nothing is left to do at this moment."""
        while True:
            for worker in self.workers:
                await worker.drain()
            judged = await self.policy_watch.follow()
            if not await self.relay.carry() and not judged:
                return

    async def advance(self, by: timedelta) -> None:
        """Time passes; the gateway says that it was there."""
        self.clock.advance(by)
        now = self.clock.now()
        await self.hear(Heartbeat(id=f"heartbeat-{now.isoformat()}", time=now, partition=0))
        await self.settle()

    async def events(self, topic: Topic = DEVICE) -> list[AnyEvent]:
        """All that stands in the log by now, heartbeats left out; what waits in the outbox is carried first."""
        await self.relay.carry()
        part = await self.log.read(topic, 0, 0, limit=10_000, wait=timedelta())
        events = [decode(topic, record.value) for record in part.records]
        return [event for event in events if not isinstance(event, Heartbeat)]

    # -- how the rooms are wired -------------------------------------------------------------------------------------

    def _count(self) -> None:
        self.pokes += 1


def _address(facts: DeviceFacts) -> str:
    return "coaps://127.0.0.1:5684" if facts.secure else "coap://127.0.0.1:5683"


@asynccontextmanager
async def installation(folder: Path, url: str | None = None) -> AsyncIterator[Installation]:
    """An installation in this folder; with the same folder and the same database it goes on where it was."""
    clock = FakeClock(START)
    log = EmbeddedLog(folder, partitions=1, decompress=decompress, clock=clock)
    await log.start()
    database = await (fresh_database() if url is None else Database.open(url, migrate=False))
    try:
        yield Installation(folder, log, database, clock)
    finally:
        await database.close()
        await log.close()
