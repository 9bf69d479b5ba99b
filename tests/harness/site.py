"""The gateway with its real core on loopback, over the rooms of an installation."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import msgspec

from shoal.app.neighbours import registrations_for_gateway
from shoal.app.signing import signs_for_devices
from shoal.audit.store import Audit
from shoal.clock import SystemClock
from shoal.commands.command import Command, Operation
from shoal.commands.store import Commands
from shoal.gateway.enrolling import Sign, nobody
from shoal.gateway.loop import Gateway, GatewayOptions
from shoal.gateway.nodes import Nodes
from shoal.gateway.shelf import DeviceFile, Fetching
from shoal.ids import DeviceId, EnclosureId, TenantId
from shoal.inventory.device import Device as InventoryDevice
from shoal.lwm2m.certificates import Certificate
from shoal.lwm2m.device import Device
from shoal.storage.database import Database
from tests.harness.authority import Authority
from tests.harness.installation import Installation, installation

# A busy machine may take its time; a test that waits this long has failed.
PATIENCE = timedelta(seconds=20)

Found = TypeVar("Found")


@dataclass
class Site:
    """A farm's gateway: the rooms, the gateway, and a tenant of them."""

    shoal: Installation
    gateway: Gateway
    commands: Commands
    tenant: TenantId
    keys: dict[str, bytes]
    # What devices may fetch now; the shelf looks here.
    fetching: list[DeviceFile]
    servers: Authority

    async def device(self, endpoint: str = "oxy-0101", enclosure: EnclosureId | None = None) -> InventoryDevice:
        """A device that may connect, and that the gateway knows."""
        device = await self.shoal.create_device(self.tenant, endpoint, enclosure)
        async with self.shoal.database.transaction() as tx:
            made = await self.shoal.credentials.create(tx, self.tenant, device.id, identity=endpoint)
        assert made.key is not None
        self.keys[endpoint] = bytes.fromhex(made.key)
        await self.gateway.roster.follow()
        return device

    def client(self, endpoint: str = "oxy-0101", key: bytes | None = None, **more: object) -> Device:
        return Device(
            endpoint,
            self.gateway.addresses[0],
            identity=endpoint,
            key=self.keys[endpoint] if key is None else key,
            **more,  # type: ignore[arg-type]  # keywords of one test each
        )

    def client_with(self, authority: Authority, endpoint: str, **more: object) -> Device:
        """A device that shows a certificate of an authority."""
        shown = authority.certificate(endpoint)
        certificate = Certificate.load(shown.cert, shown.key, self.servers.ca)
        return Device(
            endpoint,
            self.gateway.addresses[0],
            certificate=certificate,
            **more,  # type: ignore[arg-type]  # keywords of one test each
        )

    async def ask(self, device: InventoryDevice, operation: Operation, path: str, body: bytes | None = None) -> Command:
        """Queues a command."""
        place = (await self.shoal.inventory.device(self.tenant, device.id)).place
        async with self.shoal.database.transaction() as tx:
            return await self.commands.enqueue(
                tx,
                place,
                operation,
                path,
                body=body,
                time_to_live=timedelta(minutes=5),
                by=None,
                wait_for_wake=True,
            )

    async def until(self, ask: Callable[[], Awaitable[Found | None]]) -> Found:
        """Asks until there is an answer."""
        async with asyncio.timeout(PATIENCE.total_seconds()):
            while True:
                found = await ask()
                if found:
                    return found
                await asyncio.sleep(0.02)

    async def finished(self, command: Command) -> Command:
        """The command, once it is over."""

        async def over() -> Command | None:
            found = await self.commands.command(self.tenant, command.id)
            return None if found.state.is_unfinished else found

        return await self.until(over)

    async def heard(self, device: DeviceId, kind: str) -> list[dict[str, object]]:
        """What the log holds of a device, of one kind of event."""
        found = [event for event in await self.shoal.events() if getattr(event, "device", None) == device]
        return [plain for event in found if (plain := msgspec.to_builtins(event))["type"] == kind]


async def gateway_over(
    shoal: Installation,
    commands: Commands,
    *,
    listen: str = "coaps://127.0.0.1:0",
    database: Database | None = None,
    nodes: Nodes | None = None,
    link: tuple[str, bytes] | None = None,
    certificate: tuple[Path, Path] | None = None,
    fetching: Fetching | None = None,
    sign: Sign = nobody,
) -> Gateway:
    """A gateway that has claimed its numbers and is not started yet."""

    async def no_files() -> list[DeviceFile]:
        return []

    clock = SystemClock()
    database = database or shoal.database
    if nodes is None:
        nodes = Nodes(database, clock)
        await nodes.claim()
    return Gateway(
        GatewayOptions(
            listen=(listen,),
            boot=secrets.token_hex(4),
            partitions=1,
            linger=timedelta(milliseconds=1),
            certificate=certificate,
            link=link,
        ),
        nodes=nodes,
        database=database,
        vault=shoal.vault,
        stream=shoal.log,
        commands=commands,
        clock=clock,
        fetching=fetching or no_files,
        farms_of_enclosures=shoal.inventory.farms_of_enclosures,
        registered=registrations_for_gateway(database),
        sign=sign,
    )


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    """A gateway that runs over a fresh installation."""
    async with installation(folder) as shoal:
        clock = SystemClock()
        fetching: list[DeviceFile] = []

        async def looked_up() -> list[DeviceFile]:
            return fetching

        servers = Authority(folder / "servers")
        own = servers.certificate("gateway")
        commands = Commands(shoal.database, clock)
        gateway = await gateway_over(
            shoal,
            commands,
            certificate=(own.cert, own.key),
            fetching=looked_up,
            sign=signs_for_devices(
                shoal.database, shoal.certificates, shoal.enrolments, Audit(shoal.database), shoal.clock
            ),
        )
        await gateway.start()
        working = asyncio.create_task(gateway.run())
        yield Site(shoal, gateway, commands, await shoal.create_tenant(), {}, fetching, servers)
        working.cancel()
        await asyncio.wait([working])
        await gateway.close()
