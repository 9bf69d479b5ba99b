"""All of Shoal in one process: opens what it needs, each thing after what it stands on, and closes it the other way."""

import asyncio
import contextlib
import secrets
import shutil
import signal
import socket
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from shoal.alerting.store import Alerts
from shoal.alerting.worker import AlertHandler
from shoal.api.application import create_application as create_api
from shoal.api.changes import Changes
from shoal.app import first_start, logs, web
from shoal.app.first_start import Login
from shoal.app.neighbours import (
    file_address,
    mail_settings,
    place_names,
    queue_for_campaigns,
    queue_for_inventory,
)
from shoal.app.watching import operations_router
from shoal.bff.api import connect
from shoal.bff.application import create_application as create_pages
from shoal.campaigns.campaigns import Campaigns
from shoal.campaigns.files import ArtifactFiles
from shoal.campaigns.links import Links
from shoal.campaigns.neighbours import FileServer
from shoal.campaigns.worker import CampaignHandler
from shoal.clock import Clock, SystemClock
from shoal.commands.poke import Poke
from shoal.commands.store import Commands
from shoal.commands.worker import Expiry
from shoal.credentials.store import Credentials
from shoal.errors import ShoalError
from shoal.gateway.loop import Gateway, GatewayOptions
from shoal.health.store import Health
from shoal.health.worker import HealthHandler
from shoal.history.store import History
from shoal.history.worker import HistoryHandler, forget_now_and_then
from shoal.identity.store import Identity
from shoal.inventory import registration_store
from shoal.inventory.place import Tenant
from shoal.inventory.store import Inventory
from shoal.inventory.worker import InventoryHandler
from shoal.lwm2m.dataplane import RestoredRegistration, decompress
from shoal.notifications.dashboard import DashboardChannel
from shoal.notifications.email import EmailChannel
from shoal.notifications.store import Notifications
from shoal.notifications.worker import Delivery, NotificationHandler
from shoal.settings import Settings
from shoal.storage.database import Database
from shoal.storage.folder import DATABASE, DataFolder
from shoal.storage.secrets import Vault
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.kafka import KafkaConfig, KafkaLog
from shoal.stream.log import Log
from shoal.stream.relay import Relay
from shoal.stream.worker import Handler, Worker

ASSETS: Final = Path(__file__).parents[1] / "bff" / "assets"
# What `--fresh` deletes, and only where a database of ours says that the folder is ours: it may be somebody's home. The
# databases go last, so that a deletion that was interrupted is taken up by the next one.
OURS: Final = ("master.key", "artifacts", "demo*.json", "log.db*", f"{DATABASE}*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A Shoal that is up, for whoever lives beside it: the one who says so on the terminal, the demo farm.

    `pages` is for people, `api` for programs on this machine; devices use `coap`. `login` is the first one that was
    just made, None later.
    """

    pages: str
    api: str
    coap: Sequence[str]
    login: Login | None
    folder: Path
    database: Database
    identity: Identity
    clock: Clock


Beside = Callable[[Running], Coroutine[None, None, None]]


async def up(settings: Settings, beside: Beside, *, fresh: bool = False, tenant: str | None = None) -> int:
    """Runs all roles until a signal comes; the exit code. `beside` is called when all is up, and ends with it.

    `tenant` is the name of the tenant that must be there; by default any will do.

    Raises:
        Unavailable: an address is taken, the data folder is in use or damaged, the broker is away.
    """
    logs.set_up(settings.log_level)
    loop = asyncio.get_running_loop()
    working = loop.create_task(_open_and_run(settings, beside, fresh=fresh, tenant=tenant))
    signals: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        # The first signal asks; a second one does not ask any more.
        loop.remove_signal_handler(number)
        signals.append(number)
        working.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        await working
    except asyncio.CancelledError:
        if not signals:
            raise
    # As a shell has it: ended by a signal. A service manager asks with SIGTERM, and gets what it asked for.
    return 128 + signal.SIGINT if signal.SIGINT in signals else 0


async def _open_and_run(settings: Settings, beside: Beside, *, fresh: bool, tenant: str | None) -> None:
    async with contextlib.AsyncExitStack() as opened:
        shoal = await _open(settings, opened, fresh=fresh, tenant=tenant)
        try:
            await shoal.run(beside)
        except ExceptionGroup as errors:
            said = errors.subgroup(ShoalError)
            if said is None or len(said.exceptions) != len(errors.exceptions):
                raise
            # Several neighbours may be away at once; the first is what to look at first.
            raise said.exceptions[0] from errors


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rooms:
    """The rooms of this process, over one database and one log."""

    database: Database
    stream: Log
    clock: Clock
    inventory: Inventory
    credentials: Credentials
    identity: Identity
    commands: Commands
    campaigns: Campaigns
    gateway: Gateway
    delivery: Delivery
    handlers: Sequence[Handler]


async def _open(settings: Settings, opened: contextlib.AsyncExitStack, *, fresh: bool, tenant: str | None) -> "_Shoal":
    """Opens everything; what was opened before a failure is closed again by the caller's stack."""
    clock = SystemClock()
    folder = DataFolder.open(settings.data)
    opened.callback(folder.close)
    # Both before anything takes long or is changed: whoever made a typing error hears it at once.
    pages_socket = web.listen(settings.web)
    opened.callback(pages_socket.close)
    if fresh:
        _forget(folder.path)
    database = await Database.open(folder.database_url)
    opened.push_async_callback(database.close)
    vault = Vault.open(folder.path)
    stream = _log(settings, folder.path, clock)
    opened.push_async_callback(stream.close)
    await stream.start()

    poke = Poke()
    commands = Commands(database, clock, poke)
    inventory = Inventory(database, clock, tell=queue_for_inventory(commands))
    ours = await _tenant(database, inventory, tenant)
    gateway = Gateway(
        await _gateway_options(settings, database, inventory),
        database=database,
        vault=vault,
        stream=stream,
        commands=commands,
        clock=clock,
        poke=poke,
    )
    opened.push_async_callback(gateway.close)
    rooms = _rooms(settings, folder.path, database, stream, clock, vault, inventory, commands, gateway)
    # The log is the truth and the tables follow it: what it held at the crash comes before what comes now.
    await _catch_up(Worker(stream, database, InventoryHandler(inventory), clock))
    await gateway.start(await _registered(database))
    await rooms.campaigns.serve_all()
    return _Shoal(settings, folder.path, ours, rooms, pages_socket, opened)


async def _tenant(database: Database, inventory: Inventory, name: str | None) -> Tenant:
    if name is None:
        return await first_start.any_tenant(database, inventory)
    return await first_start.tenant_named(database, inventory, name)


async def _gateway_options(settings: Settings, database: Database, inventory: Inventory) -> GatewayOptions:
    strangers = settings.open_enrolment
    enrolled = None if strangers is None else await first_start.tenant_named(database, inventory, strangers)
    return GatewayOptions(
        listen=settings.listen,
        boot=secrets.token_hex(4),
        partitions=settings.partitions,
        linger=timedelta(milliseconds=settings.linger_ms),
        enclosure_option=settings.enclosure_option,
        open_enrolment=None if enrolled is None else enrolled.id,
    )


def _rooms(
    settings: Settings,
    folder: Path,
    database: Database,
    stream: Log,
    clock: Clock,
    vault: Vault,
    inventory: Inventory,
    commands: Commands,
    gateway: Gateway,
) -> _Rooms:
    enqueue = queue_for_campaigns(commands)
    artifacts = ArtifactFiles(folder / "artifacts")
    files = FileServer(
        serve=gateway.shelf.serve,
        withdraw=gateway.shelf.withdraw,
        address=file_address(gateway.addresses, settings.public_coap),
        file=artifacts.path,
        links=Links(vault.signing_key("downloads"), settings.base_url),
    )
    delivery = Delivery(
        database,
        clock,
        (DashboardChannel(), EmailChannel(mail_settings(settings))),
        owner=secrets.token_hex(4),
        base_url=settings.base_url,
        place_name=place_names(inventory),
    )
    return _Rooms(
        database=database,
        stream=stream,
        clock=clock,
        inventory=inventory,
        credentials=Credentials(database, vault, clock),
        identity=Identity(database, clock),
        commands=commands,
        campaigns=Campaigns(database, clock, artifacts, enqueue, files),
        gateway=gateway,
        delivery=delivery,
        handlers=(
            InventoryHandler(inventory),
            HealthHandler(),
            AlertHandler(),
            NotificationHandler(clock, delivery.poke),
            HistoryHandler(),
            CampaignHandler(enqueue, files),
        ),
    )


class _Shoal:
    """Everything that is open, and the tasks that make it work."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        tenant: Tenant,
        rooms: _Rooms,
        pages_socket: socket.socket,
        opened: contextlib.AsyncExitStack,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._tenant = tenant
        self._rooms = rooms
        self._pages_socket = pages_socket
        self._opened = opened

    async def run(self, beside: Beside) -> None:
        """Works until it is cancelled. Whatever fails that should not takes the process with it."""
        rooms = self._rooms
        health = Health(rooms.database, rooms.clock)
        changes = Changes(rooms.stream, health)
        workers = [Worker(rooms.stream, rooms.database, handler, rooms.clock) for handler in rooms.handlers]
        relay = Relay(rooms.database, rooms.stream)
        api = web.Settled(self._api(changes, relay, health), rooms.gateway.roster.follow)
        # The pages ask the API over loopback, TLS or not: what leaves this machine goes through the outer address.
        inner = web.listen("127.0.0.1:0")
        self._opened.callback(inner.close)
        client = connect(web.url_of(inner))
        self._opened.push_async_callback(client.aclose)
        pages = create_pages(
            client,
            ASSETS,
            secret=secrets.token_bytes(32),
            clock=rooms.clock,
            is_secure=self._settings.tls_cert is not None,
        )
        outer = web.WebServer(
            web.Doorman(api, pages), self._pages_socket, cert=self._settings.tls_cert, key=self._settings.tls_key
        )
        async with asyncio.TaskGroup() as tasks:
            for worker, handler in zip(workers, rooms.handlers, strict=True):
                tasks.create_task(worker.run(), name=f"worker {handler.group}")
            for name, work in (
                ("relay", relay.run()),
                ("gateway", rooms.gateway.run()),
                ("expiry", Expiry(rooms.commands, rooms.database, rooms.clock).run()),
                ("delivery", rooms.delivery.run()),
                ("forgetting", forget_now_and_then(History(rooms.database), rooms.clock)),
                ("changes", changes.run()),
                ("inner web", web.WebServer(api, inner).run()),
                ("outer web", outer.run()),
            ):
                tasks.create_task(work, name=name)
            login = await first_start.first_administrator(rooms.identity, self._tenant.id)
            tasks.create_task(beside(self._running(web.url_of(inner), login)), name="beside")

    def _api(self, changes: Changes, relay: Relay, health: Health) -> FastAPI:
        rooms = self._rooms
        return create_api(
            database=rooms.database,
            clock=rooms.clock,
            inventory=rooms.inventory,
            credentials=rooms.credentials,
            identity=rooms.identity,
            commands=rooms.commands,
            history=History(rooms.database),
            health=health,
            alerts=Alerts(rooms.database, rooms.clock),
            notifications=Notifications(rooms.database, rooms.clock),
            campaigns=rooms.campaigns,
            changes=changes,
            operations=operations_router(rooms.database, rooms.gateway, relay, health, rooms.clock),
        )

    def _running(self, api: str, login: Login | None) -> Running:
        rooms = self._rooms
        return Running(
            pages=self._settings.base_url,
            api=api,
            coap=rooms.gateway.addresses,
            login=login,
            folder=self._folder,
            database=rooms.database,
            identity=rooms.identity,
            clock=rooms.clock,
        )


async def _catch_up(worker: Worker) -> None:
    """Handles all that the log holds. Nothing is appended meanwhile, so this has an end."""
    while any([await worker.step(lane, wait=timedelta()) for lane in worker.lanes]):
        pass


async def _registered(database: Database) -> list[RestoredRegistration]:
    """Everybody who was registered when the process ended."""
    found: list[RestoredRegistration] = []
    after = ""
    while page := await registration_store.current(database, after):
        after = page[-1][0]
        found.extend(
            RestoredRegistration(
                device=device,
                registration=registration.id,
                lifetime_s=int(registration.lifetime.total_seconds()),
                version=registration.version,
                binding=registration.binding,
                queue_mode=registration.queue_mode,
                objects=list(registration.objects),
            )
            for device, registration in page
        )
    return found


def _log(settings: Settings, folder: Path, clock: Clock) -> Log:
    if settings.kafka is None:
        return EmbeddedLog(folder, partitions=settings.partitions, decompress=decompress, clock=clock)
    config = KafkaConfig(
        servers=settings.kafka,
        partitions=settings.partitions,
        replication=settings.kafka_replication,
        options=settings.kafka_options,
    )
    return KafkaLog(config, decompress=decompress)


def _forget(folder: Path) -> None:
    """Deletes what Shoal made in the folder, and nothing else."""
    if not any(folder.glob(f"{DATABASE}*")):
        return
    for pattern in OURS:
        for path in folder.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
