"""Sessions, observations and what only a Register tells live through a restart: into the database, and back at the start.

The core says what is to be kept, a few devices at a time, and keeps a 2.01 back until the device's first checkpoint is
safe. While the database is away devices are answered all the same: a crash then costs them a handshake, and no more.

What is kept here also tells which of several gateways has a device: one that another has kept since is let go of.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from time import perf_counter
from typing import Final, TypeAlias

from shoal.clock import Clock
from shoal.errors import Unavailable
from shoal.gateway import node_store, store
from shoal.gateway.nodes import Nodes
from shoal.gateway.tables import gateway_moves
from shoal.lwm2m.dataplane import DataPlane
from shoal.storage.database import Database
from shoal.storage.poke import Poke
from shoal.storage.secrets import Vault

log = logging.getLogger(__name__)

# A database that is slower is as good as away. A device repeats its Register for longer (RFC 7252 §4.8.2: 93 s).
WRITING_TAKES_MAX_S: Final = 10

# Who moved away is told by a poke; the net under a lost one.
LOOK_EVERY: Final = timedelta(seconds=5)

# Their number; device, node number and content of each; devices whose checkpoint is to be forgotten.
Checkpoints: TypeAlias = tuple[int, list[tuple[str, int, bytes]], list[str]]


class Keeper:
    """Writes what the core gives, one batch at a time, and takes it up again.

    `came` and `went` hear which devices this gateway has now and did not have before, and which it has no more.
    """

    def __init__(
        self,
        core: DataPlane,
        database: Database,
        vault: Vault,
        clock: Clock,
        nodes: Nodes,
        *,
        came: Callable[[Sequence[str]], None],
        went: Callable[[Sequence[str]], None],
    ) -> None:
        self._core = core
        self._database = database
        self._vault = vault
        self._clock = clock
        self._nodes = nodes
        self._came = came
        self._went = went
        self._poke = Poke()
        # Whoever comes and whoever goes is told to the core in the order in which the database has it.
        self._moving = asyncio.Lock()
        database.on(gateway_moves.name, self._poke)
        self._writing: asyncio.Task[None] | None = None
        # Never done, save by an error that nobody foresaw.
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.failure: Unavailable | None = None

    async def restore(self, node: int) -> int:
        """Takes up what is kept under this number, page by page, after roster and registrations; how many devices go on.

        Raises:
            Unavailable: the database is away.
        """
        began = perf_counter()
        total, refused = 0, dict[str, str]()
        after = ""
        while page := await store.page(self._database, node, after):
            after = page[-1][0]
            gone = await asyncio.to_thread(self._restore, page)
            if gone:
                async with self._database.transaction() as tx:
                    await store.forget(tx, [node], list(gone))
            refused.update(gone)
            total += len(page) - len(gone)
            log.info("checkpoints.restoring", extra={"devices": total})
        reasons = {reason: list(refused.values()).count(reason) for reason in sorted(set(refused.values()))}
        facts = {"node": node, "devices": total, "refused": reasons, "seconds": round(perf_counter() - began, 3)}
        log.info("checkpoints.restored", extra=facts)
        return total

    def _restore(self, page: list[tuple[str, bytes]]) -> dict[str, str]:
        """Those that do not serve any more, and why."""
        refused: dict[str, str] = {}
        opened: list[tuple[str, bytes]] = []
        for device, sealed in page:
            try:
                opened.append((device, self._vault.decrypt(sealed, device)))
            except Unavailable as error:
                refused[device] = error.reason
        return refused | dict(self._core.restore_checkpoints(opened))

    def take(self, checkpoints: Checkpoints) -> None:
        """Writes them. Called in the event loop; the core gives no more before it has heard what became of these."""
        self._writing = asyncio.create_task(self._write(checkpoints), name="checkpoints")
        self._writing.add_done_callback(self._written)

    def _written(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._broken.done():
            self._broken.set_exception(error)
            self._poke()

    async def _write(self, checkpoints: Checkpoints) -> None:
        number, kept, gone = checkpoints
        try:
            async with asyncio.timeout(WRITING_TAKES_MAX_S), self._moving, self._database.transaction() as tx:
                held = self._nodes.held
                await store.forget(tx, held, gone)
                came = await node_store.note_moves(tx, held, [device for device, _, _ in kept])
                sealed = [(device, node, self._vault.encrypt(content, device)) for device, node, content in kept]
                await store.keep(tx, sealed, self._clock.now())
        except (Unavailable, TimeoutError) as error:
            if self.failure is None:
                log.warning("checkpoints.refused", extra={"reason": str(error) or "too slow"})
            self.failure = error if isinstance(error, Unavailable) else Unavailable("database", "too slow", "Wait")
            self._core.checkpointed(number, False)
            return
        self._core.checkpointed(number, True)
        if came:
            self._came(came)
        if self.failure is not None:
            log.info("checkpoints.recovered")
            self.failure = None

    async def run(self) -> None:
        """Lets go of devices that another gateway has now; ends by an error that nobody foresaw: it is one of the process."""
        while not self._broken.done():
            try:
                await self.let_go()
            except Unavailable as error:
                log.warning("checkpoints.wait", extra={"neighbour": error.neighbour, "reason": error.reason})
            await self._poke.wait(LOOK_EVERY)
        await self._broken

    async def let_go(self) -> int:
        """Forgets the devices that another gateway has kept since; how many there were.

        Raises:
            Unavailable: the database is away.
        """
        total = 0
        async with self._moving:
            while moves := await node_store.moves(self._database, self._nodes.held):
                devices = [device for _, device in moves]
                await asyncio.to_thread(self._core.move_away, devices)
                self._went(devices)
                await node_store.let_go(self._database, [number for number, _ in moves])
                total += len(moves)
        if total:
            log.info("checkpoints.moved_away", extra={"devices": total})
        return total

    async def close(self) -> None:
        """Waits for what is being written. The core was closed before, and gives no more."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
