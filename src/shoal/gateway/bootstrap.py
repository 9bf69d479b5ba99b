"""The bootstrap server of this process: devices that prove themselves there are told that this Shoal is their server.

A data plane of its own, with keys of its own. What happens goes into the same log; a device that asks gets a fresh key,
which is in the database before the device has it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from shoal.credentials.bootstrap_store import Applicant, BootstrapCredentials
from shoal.errors import Conflict, NotFound, Unavailable
from shoal.gateway.checkpoints import Checkpoints
from shoal.gateway.roster import ENTRIES_PER_ROUND_MAX, LOOK_EVERY, context
from shoal.gateway.uplink import Uplink
from shoal.ids import DeviceId
from shoal.lwm2m.account import Account
from shoal.lwm2m.bootstrap import DECODER, Bootstrap, Bootstrapping
from shoal.lwm2m.dataplane import Batch, DataPlane, DeviceCredential, DeviceEntry
from shoal.lwm2m.objects import Objects, known_objects
from shoal.storage import directory
from shoal.storage.database import Database
from shoal.storage.poke import Poke
from shoal.stream.log import Pages

log = logging.getLogger(__name__)

# How long the last answers may take to leave when it is closed.
CLOSING_TAKES_MAX_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapOptions:
    """`listen` are its listeners; `server` is the URI that devices are given, `short_id` the number by which they know
    it, and `lifetime` that of their registrations.

    `boot` is new at every start, and another than the gateway's: part of each event's id.
    """

    listen: Sequence[str]
    server: str
    short_id: int
    boot: str
    partitions: int
    lifetime: timedelta
    objects: Objects | None = None


class BootstrapGateway:
    """Devices without an account on one side, log and database on the other."""

    def __init__(
        self,
        options: BootstrapOptions,
        *,
        database: Database,
        credentials: BootstrapCredentials,
        stream: Pages,
        settle: Callable[[], Awaitable[object]],
    ) -> None:
        """Opens the listeners. `settle` brings a new key into the gateway, before the device comes with it.

        Raises:
            Unavailable: an address is taken, or not this machine's.
        """
        self._options = options
        self._database = database
        self._credentials = credentials
        self._settle = settle
        self.core: Final = _open(options)
        self._version = 0
        self._poke = Poke()
        database.on(directory.device_directory.name, self._poke)
        # By device: an event names it, and the core knows it, by that.
        self._bootstrapping = Bootstrapping(
            self.core, self._account, options.objects or known_objects(), lambda asked: asked.device or ""
        )
        self.uplink: Final = _Uplink(self.core, stream, self._bootstrapping)

    @property
    def addresses(self) -> list[str]:
        """Where devices ask, as URIs, in the order of the listeners."""
        return self.core.addresses()

    async def start(self) -> None:
        """Takes over who may ask, then begins to carry.

        Raises:
            Unavailable: the database is away.
        """
        await self.follow()
        self.uplink.start()

    async def run(self) -> None:
        """Keeps who may ask in step with the database until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.uplink.run(), name="bootstrap uplink")
            tasks.create_task(self._follow_on(), name="bootstrap roster")

    async def close(self) -> None:
        """Closes the listeners, and stores what had happened until then."""
        await self._bootstrapping.close()
        await asyncio.to_thread(self.core.close)
        await self.uplink.close()
        await asyncio.to_thread(self.core.wait_closed, CLOSING_TAKES_MAX_S)

    async def follow(self) -> None:
        """Takes over who may ask since the last call.

        Raises:
            Unavailable: the database is away.
        """
        while changed := await self._credentials.changed(self._version, ENTRIES_PER_ROUND_MAX):
            self._take(changed)
            self._version = changed[-1].entry.version

    async def _follow_on(self) -> None:
        while True:
            try:
                await self.follow()
            except Unavailable as error:
                log.warning("bootstrap.waits", extra={"neighbour": error.neighbour, "reason": error.reason})
            await self._poke.wait(LOOK_EVERY)

    def _take(self, changed: Sequence[Applicant]) -> None:
        put: list[DeviceEntry] = []
        gone: list[str] = []
        for applicant in changed:
            entry = applicant.entry
            try:
                key = None if entry.removed else self._credentials.key_of(applicant)
            except Unavailable as error:
                # One unreadable key must not keep the others out.
                log.error("bootstrap.refused", extra={"device": entry.device_id, "reason": str(error)})
                key = None
            if key is None or applicant.identity is None:
                gone.append(entry.device_id)
                continue
            put.append(
                DeviceEntry(
                    device=entry.device_id,
                    endpoint=entry.endpoint,
                    credentials=[DeviceCredential.psk("bootstrap", applicant.identity.encode(), key)],
                    context=context(entry),
                    ack_timeout_s=entry.profile.ack_timeout_s,
                    random_factor=entry.profile.random_factor,
                    max_retransmit=entry.profile.max_retransmit,
                )
            )
        self.core.remove_devices(gone)
        for device, reason in self.core.put_devices(put):
            log.error("bootstrap.refused", extra={"device": device, "reason": reason})

    async def _account(self, device: str) -> Account | None:
        """A fresh key, and the enclosure where the inventory has the device, for it to say when it registers."""
        try:
            async with self._database.transaction() as tx:
                new, entry = await self._credentials.hand_out(tx, DeviceId(device))
            await self._settle()
        except (Conflict, NotFound, Unavailable) as error:
            log.warning("bootstrap.no_account", extra={"device": device, "reason": str(error)})
            return None
        assert new.key is not None  # noqa: S101  # what is handed out is a key
        return Account(
            uri=server_uri(self._options.server, {"enclosure": entry.enclosure_id}),
            identity=new.credential.identity,
            key=bytes.fromhex(new.key),
            short_id=self._options.short_id,
            lifetime=self._options.lifetime,
        )


class _Uplink(Uplink):
    """Tells of those who ask, once that is in the log."""

    def __init__(self, core: DataPlane, stream: Pages, bootstrapping: Bootstrapping) -> None:
        super().__init__(core, stream, bootstrapping.told, keep=_nothing_is_kept)
        self._bootstrapping = bootstrapping

    def _carry(self, batch: Batch) -> None:
        stored = self.stored_events
        super()._carry(batch)
        if self.stored_events == stored:
            return
        events = (DECODER.decode(line) for _, _, body in batch.pages() for line in body.splitlines())
        for event in events:
            if isinstance(event, Bootstrap) and event.state == "requested":
                self._loop.call_soon_threadsafe(self._bootstrapping.begin, event)


def _nothing_is_kept(checkpoints: Checkpoints) -> None:
    """A bootstrap is over in a minute: one that a restart ends begins anew."""


def server_uri(server: str, queries: Mapping[str, str | None]) -> str:
    """The server's URI with what the device is to say when it registers."""
    said = {name: value for name, value in queries.items() if value is not None}
    return f"{server}?{urlencode(said)}" if said else server


def _open(options: BootstrapOptions) -> DataPlane:
    try:
        return DataPlane(
            list(options.listen),
            boot=options.boot,
            partitions=options.partitions,
            is_bootstrap_server=True,
            objects=None if options.objects is None else options.objects.core,
        )
    except OSError as error:
        raise Unavailable(
            "listener", str(error), "Stop what uses that address, or choose another with --bootstrap-listen"
        ) from error
