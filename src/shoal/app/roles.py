"""What each role does: which rooms it runs, what it cannot work without, which numbers it shows.

`shoal up` is one process with all of them; in a cluster each is a process of its own, over the same database and log.
"""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from shoal.alerting.escalator import Escalator
from shoal.alerting.policy_store import Policies
from shoal.alerting.store import Alerts
from shoal.alerting.worker import AlertHandler
from shoal.api import measures, operations
from shoal.api.application import create_application as create_api
from shoal.api.changes import Changes
from shoal.api.context import Rooms
from shoal.api.est import EstRooms
from shoal.api.est import create_application as create_est
from shoal.api.operations import Meter, Probe
from shoal.api.refused import write_now_and_then
from shoal.app import first_start, web
from shoal.app.device_trust import AnchorsOfAuthorities
from shoal.app.est import Anchors
from shoal.app.foundation import Foundation
from shoal.app.neighbours import (
    devices_for_credentials,
    file_address,
    files_for_devices,
    mail_settings,
    place_names,
    policies_for_inventory,
    queue_for_campaigns,
    queue_for_inventory,
    registrations_for_gateway,
    secure_address,
)
from shoal.app.signing import signs_for_devices
from shoal.app.thinning import thin_now_and_then
from shoal.app.watching import answers, failing
from shoal.app.web_secret import web_secret
from shoal.audit.store import Audit
from shoal.authority.certificate_store import Certificates
from shoal.authority.enrolment_store import Enrolments
from shoal.authority.store import Authorities
from shoal.bff.api import connect
from shoal.bff.application import create_application as create_pages
from shoal.campaigns import store as campaign_store
from shoal.campaigns.campaigns import Campaigns
from shoal.campaigns.files import ArtifactFiles
from shoal.campaigns.links import Links
from shoal.campaigns.neighbours import FileServer
from shoal.campaigns.worker import CampaignHandler
from shoal.clock import Clock
from shoal.commands.store import Commands
from shoal.commands.worker import Expiry
from shoal.credentials.anchor_store import TrustAnchors
from shoal.credentials.bootstrap_store import BootstrapCredentials
from shoal.credentials.store import Credentials
from shoal.credentials.worker import CredentialHandler
from shoal.credentials.worker import Expiry as CredentialExpiry
from shoal.gateway.bootstrap import BootstrapGateway, BootstrapOptions
from shoal.gateway.loop import Gateway, GatewayOptions
from shoal.gateway.nodes import Nodes
from shoal.health.store import Health
from shoal.health.worker import HealthHandler
from shoal.history.store import History
from shoal.history.worker import HistoryHandler, forget_now_and_then
from shoal.identity.store import Identity
from shoal.inventory.store import Inventory
from shoal.inventory.worker import InventoryHandler
from shoal.notifications.channel_store import Channels
from shoal.notifications.contact_store import Contacts
from shoal.notifications.dashboard import DashboardChannel
from shoal.notifications.email import EmailChannel
from shoal.notifications.outbound import Outbound
from shoal.notifications.store import Notifications
from shoal.notifications.webhook import WebhookChannel
from shoal.notifications.worker import Delivery, NotificationHandler
from shoal.policies.store import AccessPolicies
from shoal.settings import Settings
from shoal.sharing.worker import Conductor, PolicyWatch, SharingHandler
from shoal.storage import offsets
from shoal.stream.log import Log
from shoal.stream.relay import Relay
from shoal.stream.spool import Spool
from shoal.stream.worker import Handler, Worker

ASSETS: Final = Path(__file__).parents[1] / "bff" / "assets"
# A gateway that starts waits this long for the inventory to have read what an earlier one wrote. Devices that it then
# does not know register again.
INVENTORY_BEHIND_MAX: Final = timedelta(seconds=15)
INVENTORY_LOOK_EVERY: Final = timedelta(milliseconds=200)

Work = Callable[[], Coroutine[None, None, object]]


class Process:
    """The rooms that run in this process. Each `add_` opens what a role needs and says what has to be running."""

    def __init__(self, base: Foundation, opened: contextlib.AsyncExitStack, role: str) -> None:
        self.base = base
        self._opened = opened
        self._work: list[tuple[str, Work]] = []
        self._probes: dict[str, Probe] = {"database": answers(base.database)}
        self._workers: dict[str, Worker] = {}
        self._meters: list[Meter] = [measures.process(role), measures.workers(self._behind, self._lag)]
        self._failures: list[Callable[[], Exception | None]] = []
        self.commands: Final = Commands(base.database, base.clock)
        self.inventory: Final = Inventory(base.database, base.clock, tell=queue_for_inventory(self.commands))
        self.identity: Final = Identity(base.database, base.clock)
        self.trust_anchors: Final = TrustAnchors(base.database, base.clock)
        self.authorities: Final = Authorities(
            base.database, base.vault, base.clock, AnchorsOfAuthorities(self.trust_anchors)
        )
        self.certificates: Final = Certificates(base.database, self.authorities, base.clock)
        self.enrolments: Final = Enrolments(base.database, self.certificates, base.clock)
        self.health: Final = Health(base.database, base.clock)
        self.artifacts: Final = ArtifactFiles(base.folder / "artifacts")
        self.gateway: Gateway | None = None
        self.bootstrap: BootstrapGateway | None = None

    # -- gateway -----------------------------------------------------------------------------------------------------

    async def add_gateway(self) -> Gateway:
        """Opens the listeners. Nobody is answered before `start_gateway`.

        Raises:
            Unavailable: an address is taken; the spool is damaged.
        """
        base = self.base
        fetching = files_for_devices(base.database, self.artifacts)
        nodes = Nodes(base.database, base.clock, base.settings.peer_address or base.settings.peer_listen)
        await nodes.claim()
        sink = await self._spooled(base.stream)
        gateway = self.gateway = Gateway(
            await _gateway_options(base, self.inventory),
            nodes=nodes,
            database=base.database,
            vault=base.vault,
            stream=sink,
            commands=self.commands,
            clock=base.clock,
            fetching=fetching,
            farms_of_enclosures=self.inventory.farms_of_enclosures,
            registered=registrations_for_gateway(base.database),
            sign=signs_for_devices(base.database, self.certificates, self.enrolments, Audit(base.database), base.clock),
        )
        base.database.on(campaign_store.updates.name, gateway.shelf.poke)
        self._opened.push_async_callback(gateway.close)
        self._failures.append(lambda: gateway.uplink.failure)
        self._work.append(("gateway", gateway.run))

        def uplink() -> Mapping[str, int]:
            return {"stored": gateway.uplink.stored_events, "refused": gateway.uplink.refused_events}

        self._meters += [
            measures.core(gateway.core.stats),
            measures.counters("shoal_uplink_events", "Events of devices, by what became of them.", uplink),
        ]
        self._add_bootstrap(gateway, sink)
        return gateway

    def _add_bootstrap(self, gateway: Gateway, sink: Log | Spool) -> None:
        """Opens the bootstrap server's listeners, where there are to be any."""
        base = self.base
        settings = base.settings
        if not settings.bootstrap_listen:
            return
        bootstrap = self.bootstrap = BootstrapGateway(
            BootstrapOptions(
                listen=settings.bootstrap_listen,
                server=secure_address(gateway.addresses, settings.public_coap),
                short_id=settings.short_server_id,
                boot=secrets.token_hex(4),
                partitions=settings.partitions,
                lifetime=timedelta(seconds=settings.bootstrap_lifetime_s),
                objects=base.objects,
            ),
            database=base.database,
            credentials=BootstrapCredentials(base.database, base.vault, base.clock),
            stream=sink,
            settle=gateway.roster.follow,
        )
        self._opened.push_async_callback(bootstrap.close)
        self._failures.append(lambda: bootstrap.uplink.failure)
        self._work.append(("bootstrap", bootstrap.run))

    async def start_gateway(self, gateway: Gateway) -> None:
        """Lets devices in, those first who were registered when the last gateway ended.

        Raises:
            Unavailable: the database or the log is away.
        """
        await gateway.start()
        if self.bootstrap is not None:
            await self.bootstrap.start()

    async def inventory_has_read(self) -> None:
        """Waits, for a while, until the process that keeps the inventory has read all that there is by now."""
        stream, database = self.base.stream, self.base.database
        handler = self._inventory_handler()
        lanes = [(topic, n) for topic in handler.topics for n in range(stream.partitions(topic))]
        ends = {(topic.name, n): (await stream.bounds(topic, n))[1] for topic, n in lanes}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(INVENTORY_BEHIND_MAX.total_seconds()):
                while True:
                    held = await offsets.positions(database, handler.group)
                    if all(
                        end == 0 or (place in held and held[place].next_offset >= end) for place, end in ends.items()
                    ):
                        return
                    await asyncio.sleep(INVENTORY_LOOK_EVERY.total_seconds())

    async def _spooled(self, stream: Log) -> Log | Spool:
        """A file takes what a broker on the network cannot; the embedded log is such a file itself."""
        base = self.base
        if base.settings.kafka is None:
            return stream
        bytes_max = base.settings.spool_mb << 20
        spool = Spool(stream, base.settings.spool or base.folder, bytes_max=bytes_max)
        await asyncio.to_thread(spool.start)
        self._opened.push_async_callback(asyncio.to_thread, spool.close)
        self._failures.append(lambda: spool.failure)
        self._meters.append(measures.spool(lambda: (spool.waiting.events, spool.waiting.size_bytes), bytes_max))
        return spool

    # -- workers -----------------------------------------------------------------------------------------------------

    def add_health(self) -> None:
        """Judges whether devices are well."""
        self._add_worker(HealthHandler(self.base.clock))

    def add_alerts(self) -> None:
        """Opens alerts and takes them to people."""
        base = self.base
        channels, outbound = self._channels()
        delivery = Delivery(
            base.database,
            base.clock,
            (
                DashboardChannel(),
                EmailChannel(mail_settings(base.settings)),
                WebhookChannel(channels.endpoint, outbound, base.clock, base.settings.base_url),
            ),
            owner=secrets.token_hex(4),
            base_url=base.settings.base_url,
            place_name=place_names(self.inventory),
        )
        self._add_worker(AlertHandler(base.clock))
        self._add_worker(NotificationHandler(base.clock))
        self._work += [("escalation", Escalator(base.database, base.clock).run), ("delivery", delivery.run)]
        self._meters.append(measures.notifications(Notifications(base.database, base.clock), base.clock))

    def add_campaigns(self) -> None:
        """Moves updates on."""
        self._add_worker(CampaignHandler(queue_for_campaigns(self.commands), self._files()))

    async def catch_up_inventory(self) -> None:
        """Handles all that the log holds, before anything is appended: the log is the truth and the tables follow it."""
        worker = Worker(self.base.stream, self.base.database, self._inventory_handler(), self.base.clock)
        while any([await worker.step(lane, wait=timedelta()) for lane in worker.lanes]):
            pass

    def _inventory_handler(self) -> InventoryHandler:
        policies = AccessPolicies(self.base.database, self.base.clock)
        return InventoryHandler(self.inventory, policies_for_inventory(policies))

    def _add_worker(self, handler: Handler) -> None:
        worker = Worker(self.base.stream, self.base.database, handler, self.base.clock)
        self._workers[handler.group] = worker
        self._work.append((f"worker {handler.group}", worker.run))

    # -- API and pages -----------------------------------------------------------------------------------------------

    def add_api(self) -> FastAPI:
        """The API and what belongs to it: the inventory, the history, the relay of the outbox, overdue commands."""
        base = self.base
        credentials = Credentials(base.database, base.vault, base.clock)
        relay = Relay(base.database, base.stream)
        changes = Changes(base.stream, self.health)
        self._failures.append(lambda: relay.failure)
        self._add_worker(self._inventory_handler())
        self._add_worker(HistoryHandler())
        access = AccessPolicies(base.database, base.clock)
        sharing = Conductor(self.commands, access, base.settings.short_server_id)
        self._add_worker(SharingHandler(sharing))
        self._add_worker(CredentialHandler(credentials, devices_for_credentials(self.inventory)))
        self._work += [
            ("relay", relay.run),
            ("changes", changes.run),
            ("sharing", PolicyWatch(base.database, access, sharing, base.clock).run),
            ("expiry", Expiry(self.commands, base.database, base.clock).run),
            ("expiry of credentials", CredentialExpiry(credentials, base.database).run),
            ("thinning", lambda: thin_now_and_then(base.database, base.clock, base.settings.audit_days)),
            ("forgetting", lambda: forget_now_and_then(History(base.database), base.clock)),
        ]
        self._meters += [
            measures.devices_by_status(self.health),
            measures.pipeline(self.health, base.clock),
            measures.outbox(base.database, base.clock),
        ]
        rooms = Rooms(
            database=base.database,
            vault=base.vault,
            clock=base.clock,
            objects=base.objects,
            audit=Audit(base.database),
            inventory=self.inventory,
            credentials=credentials,
            bootstraps=BootstrapCredentials(base.database, base.vault, base.clock),
            authorities=self.authorities,
            certificates=self.certificates,
            enrolments=self.enrolments,
            trust_anchors=self.trust_anchors,
            identity=self.identity,
            access=access,
            commands=self.commands,
            history=History(base.database),
            health=self.health,
            alerts=Alerts(base.database, base.clock),
            policies=Policies(base.database, base.clock),
            contacts=Contacts(base.database, base.clock),
            channels=self._channels()[0],
            notifications=Notifications(base.database, base.clock),
            mail_server=base.settings.smtp_host,
            campaigns=Campaigns(
                base.database, base.clock, self.artifacts, queue_for_campaigns(self.commands), self._files()
            ),
            changes=changes,
        )
        self._work.append(("refused", lambda: write_now_and_then(rooms)))
        return create_api(rooms, operations=self.operations())

    def add_est(self, address: socket.socket | None) -> list[str]:
        """Lets devices fetch and renew certificates there, if there is where; what to say of it.

        Raises:
            Rejected: the server's own certificate or its key is none.
        """
        base, settings = self.base, self.base.settings
        if address is None or settings.tls_cert is None or settings.tls_key is None:
            return []
        anchors = Anchors(self.authorities, base.database, settings.tls_cert, settings.tls_key)
        application = create_est(
            EstRooms(
                database=base.database,
                clock=base.clock,
                audit=Audit(base.database),
                authorities=self.authorities,
                certificates=self.certificates,
                enrolments=self.enrolments,
            )
        )
        # Whoever stands between would have to be believed about the certificate: nobody may.
        server = web.WebServer(application, address, trusted_proxies=(), mutual=anchors.context)
        self._work += [("est anchors", anchors.run), ("est", server.run)]
        return [f"Devices enrol on {web.url_of(address, 'https')}/.well-known/est/"]

    def serve(self, name: str, application: ASGIApp, address: socket.socket, *, with_tls: bool = True) -> None:
        """Serves an application: on the outside as the settings say, or `with_tls` off to our own pages on loopback."""
        server = outer(self.base.settings, application, address) if with_tls else web.WebServer(application, address)
        self._work.append((name, server.run))

    def operations(self) -> APIRouter:
        """`/healthz`, `/readyz` and `/metrics` of this process. Roles that are added later are in it, too."""
        self._probes.setdefault("log", failing(lambda: next((f for read in self._failures if (f := read())), None)))
        return operations.create_router(neighbours=self._probes, meters=self._meters)

    # -- all of them -------------------------------------------------------------------------------------------------

    async def run(self, beside: Coroutine[None, None, None]) -> None:
        """Works until it is cancelled. Whatever fails that should not takes the process with it."""
        async with asyncio.TaskGroup() as tasks:
            for name, work in self._work:
                tasks.create_task(work(), name=name)
            tasks.create_task(beside, name="beside")

    def _channels(self) -> tuple[Channels, Outbound]:
        base = self.base
        outbound = Outbound(is_private_allowed=base.settings.allow_private_webhooks)
        return Channels(base.database, base.clock, base.vault, outbound), outbound

    def _behind(self) -> dict[tuple[str, str, int], int]:
        return {
            (group, topic, partition): records
            for group, worker in self._workers.items()
            for (topic, partition), records in worker.behind().items()
        }

    def _lag(self) -> dict[tuple[str, str], timedelta]:
        return {(group, topic): age for group, worker in self._workers.items() for topic, age in worker.lag().items()}

    def _files(self) -> FileServer:
        settings = self.base.settings
        addresses = self.gateway.addresses if self.gateway is not None else settings.listen
        return FileServer(
            address=file_address(addresses, settings.public_coap),
            file=self.artifacts.path,
            links=Links(self.base.vault.signing_key("downloads"), settings.downloads_url),
        )


def outer(settings: Settings, application: ASGIApp, address: socket.socket) -> web.WebServer:
    """A server for whoever may come from elsewhere: over TLS where there is a certificate, perhaps behind a proxy."""
    return web.WebServer(
        application,
        address,
        cert=settings.tls_cert,
        key=settings.tls_key,
        trusted_proxies=settings.trusted_proxies,
    )


def pages(settings: Settings, api: str, opened: contextlib.AsyncExitStack, clock: Clock) -> FastAPI:
    """The pages, over the API at that URL."""
    client = connect(api, ca=settings.api_ca)
    opened.push_async_callback(client.aclose)
    return create_pages(
        client,
        ASSETS,
        secret=web_secret(settings.data, settings.web_secret),
        clock=clock,
        is_secure=settings.tls_cert is not None,
    )


async def _gateway_options(base: Foundation, inventory: Inventory) -> GatewayOptions:
    settings = base.settings
    strangers = settings.open_enrolment
    enrolled = None if strangers is None else await first_start.tenant_named(base.database, inventory, strangers)
    return GatewayOptions(
        listen=settings.listen,
        boot=secrets.token_hex(4),
        partitions=settings.partitions,
        linger=timedelta(milliseconds=settings.linger_ms),
        enclosure_option=settings.enclosure_option,
        open_enrolment=None if enrolled is None else enrolled.id,
        objects=base.objects,
        certificate=settings.device_certificate,
        link=None if settings.peer_listen is None else (settings.peer_listen, base.vault.signing_key("gateways")),
    )
