"""The gateway of this process: the core, and everything that goes in and out of it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from shoal.clock import Clock
from shoal.commands.store import Commands
from shoal.errors import Unavailable
from shoal.gateway.checkpoints import Keeper
from shoal.gateway.denials import Denials, FarmsOfEnclosures
from shoal.gateway.downlink import Downlink
from shoal.gateway.enrolling import Enrolling, Sign, nobody
from shoal.gateway.nodes import Nodes
from shoal.gateway.roster import Roster
from shoal.gateway.shelf import Fetching, Shelf
from shoal.gateway.trust import Trust
from shoal.gateway.uplink import Uplink
from shoal.lwm2m.dataplane import DataPlane, RestoredRegistration
from shoal.lwm2m.objects import Objects
from shoal.policies.store import AccessPolicies
from shoal.storage.database import Database
from shoal.storage.secrets import Vault
from shoal.stream.log import Pages
from shoal.stream.worker import HEARTBEAT_EVERY

# How long the last answers may take to leave when the gateway is closed: only the network card is in their way.
CLOSING_TAKES_MAX_S: Final = 2.0

# Which of some devices are meant.
Which = Callable[[Sequence[str]], Awaitable[Collection[str]]]
Registered = Callable[[Which], Awaitable[list[RestoredRegistration]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """How the data plane behaves. `boot` is new at every start: eight hexadecimal digits, part of each event's id. `link` is
    where other gateways reach this one, with the key that all of them have.

    `open_enrolment` is the tenant into which strangers on plain listeners are taken, None to refuse them. `objects` say
    what the values of devices mean, None for what this build knows. `certificate` are the files of the chain and the key that
    devices with certificates are shown; without it they are not let in.
    """

    listen: Sequence[str]
    boot: str
    partitions: int
    linger: timedelta
    enclosure_option: int | None = None
    open_enrolment: str | None = None
    objects: Objects | None = None
    certificate: tuple[Path, Path] | None = None
    link: tuple[str, bytes] | None = None


class Gateway:
    """Devices on one side, log and database on the other."""

    def __init__(
        self,
        options: GatewayOptions,
        *,
        nodes: Nodes,
        database: Database,
        vault: Vault,
        stream: Pages,
        commands: Commands,
        clock: Clock,
        fetching: Fetching,
        farms_of_enclosures: FarmsOfEnclosures,
        registered: Registered,
        sign: Sign = nobody,
    ) -> None:
        """Opens the listeners. `nodes` has claimed its numbers; `registered` tells who of the devices that are this gateway's
        is registered.

        Raises:
            Unavailable: an address is taken, or not this machine's.
        """
        self.nodes: Final = nodes
        self._registered = registered
        self.core: Final = _open(options, nodes)
        denials = Denials(self.core, AccessPolicies(database, clock), farms_of_enclosures, clock)
        self.roster: Final = Roster(self.core, database, vault, denials)
        self.trust: Final = Trust(self.core, database, clock, options.certificate)
        self.shelf: Final = Shelf(self.core, fetching)
        self.downlink: Final = Downlink(self.core, commands, database, self._settle, clock, nodes.serves)
        self.keeper: Final = Keeper(
            self.core, database, vault, clock, nodes, came=self.downlink.came, went=self.downlink.went
        )
        self.uplink: Final = Uplink(self.core, stream, self.downlink.told, self.keeper.take)
        self.enrolling: Final = Enrolling(self.core, sign)

    @property
    def addresses(self) -> list[str]:
        """Where devices reach us, as URIs, in the order of the listeners."""
        return self.core.addresses()

    async def start(self) -> None:
        """Takes over who may connect, who was registered before the restart and who had a session; then lets devices in.

        Raises:
            Unavailable: the database is away, or our own certificate cannot be read.
        """
        self.trust.start()
        await self.trust.follow()
        await self._settle()
        self.nodes.tell(self.core)
        await asyncio.to_thread(self.core.restore, await self._registered(self.nodes.serves))
        for node in self.nodes.held:
            await self.keeper.restore(node)
        self.uplink.start()
        self.core.open()

    async def run(self) -> None:
        """Keeps roster, files and commands in step until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.nodes.run(self.core, self._adopt), name="nodes")
            tasks.create_task(self.uplink.run(), name="uplink")
            tasks.create_task(self.keeper.run(), name="keeper")
            tasks.create_task(self.roster.run(), name="roster")
            tasks.create_task(self.trust.run(), name="trust")
            tasks.create_task(self.shelf.run(), name="shelf")
            tasks.create_task(self.downlink.run(), name="downlink")
            tasks.create_task(self.enrolling.run(), name="enrolling")

    async def _adopt(self, node: int, start: int) -> None:
        """Takes up what another gateway left under this number."""
        await self._settle()
        self.core.count_start(start)
        await asyncio.to_thread(self.core.restore, await self._registered(self.nodes.keepers(node)))
        await self.keeper.restore(node)
        self.downlink.look_again()

    async def _settle(self) -> None:
        """A command may be for a device that was created a moment ago, or name a file that was offered then."""
        await self.roster.follow()
        await self.shelf.follow()

    async def close(self) -> None:
        """Closes the listeners, and stores what devices had said until then."""
        await asyncio.to_thread(self.core.close)
        await self.uplink.close()
        await self.keeper.close()
        # The answers to what was stored last are on their way; a process that ends now would take them with it.
        await asyncio.to_thread(self.core.wait_closed, CLOSING_TAKES_MAX_S)


def _open(options: GatewayOptions, nodes: Nodes) -> DataPlane:
    try:
        return DataPlane(
            list(options.listen),
            boot=options.boot,
            node=nodes.own,
            start=nodes.start,
            partitions=options.partitions,
            linger_ms=options.linger.total_seconds() * 1_000,
            heartbeat_s=HEARTBEAT_EVERY.total_seconds(),
            enclosure_option=options.enclosure_option,
            enrolment=True,
            open_enrolment=None if options.open_enrolment is None else f'"tenant":{json.dumps(options.open_enrolment)}',
            objects=None if options.objects is None else options.objects.core,
            link=options.link,
        )
    except OSError as error:
        raise Unavailable(
            "listener", str(error), "Stop what uses that address, or choose another with --listen"
        ) from error
