"""Several gateways over one database: which node numbers are this one's, and where the others are.

A number stands for sessions and registrations, not for a machine. Whoever has it claims it for as long as its process
lives, takes up what was kept under it, and speaks for it in every heartbeat. A number whose gateway does not come back is
taken over by one that is there: a restart is quicker than that, and costs nobody anything.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shoal.clock import Clock
from shoal.errors import Unavailable
from shoal.gateway import node_store
from shoal.gateway.tables import gateway_nodes
from shoal.lwm2m.dataplane import DataPlane
from shoal.storage.database import Database
from shoal.storage.poke import Poke

log = logging.getLogger(__name__)

LOOK_EVERY: Final = timedelta(seconds=5)
# A gateway that is restarted is back sooner, and a device repeats what it sent for longer (RFC 7252 §4.8.2: up to 93 s).
PATIENCE: Final = timedelta(seconds=60)
CLAIM_AGAIN: Final = timedelta(milliseconds=500)
# How often a start asks for its own number: the process before it may still be closing.
CLAIMS_MAX: Final = 20

Adopt = Callable[[int, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Known:
    """A number that was used before: where its gateway was reached, and when it was seen last."""

    node: int
    address: str | None
    seen_at: datetime


def own_of(known: Sequence[Known], address: str | None) -> list[int]:
    """The numbers that a gateway of this address had when it ended. Without an address it is alone, and has all."""
    if address is None:
        return [one.node for one in known] or [0]
    return [one.node for one in known if one.address == address]


def free_of(known: Sequence[Known]) -> list[int]:
    """Numbers for a gateway that had none, in the order in which to try them: those of one that was alone, then new ones.

    What others left behind is taken over later, by whoever has seen for long enough that they are gone.
    """
    alone = [one.node for one in known if one.address is None]
    used = {one.node for one in known}
    return alone + [node for node in range(node_store.NODES_MAX) if node not in used]


class Absences:
    """Who of the others shows no sign of life, and since when, by looks of our own alone.

    While we could not look, they could not show any: after an outage of the database everybody gets their time again.
    """

    def __init__(self) -> None:
        self._unchanged: dict[int, tuple[datetime, float]] = {}

    def note(self, others: Sequence[Known], now_s: float) -> list[int]:
        """A look that succeeded; the numbers whose gateway will not come back by itself."""
        before = self._unchanged
        self._unchanged = {
            one.node: before[one.node]
            if one.node in before and before[one.node][0] == one.seen_at
            else (one.seen_at, now_s)
            for one in others
        }
        patience_s = PATIENCE.total_seconds()
        return [node for node, (_, since_s) in self._unchanged.items() if now_s - since_s > patience_s]

    def forget(self) -> None:
        """A look that failed."""
        self._unchanged.clear()


class Nodes:
    """The numbers of this gateway. `own` is in the connection ids that it gives out, `start` counts its start."""

    def __init__(self, database: Database, clock: Clock, address: str | None = None) -> None:
        """`address` is where other gateways reach this one: HOST:PORT. Without it there are no others."""
        self._database = database
        self._clock = clock
        self._address = address
        self._poke = Poke()
        self._known: list[Known] = []
        self.own = 0
        self.start = 0
        self.taken_over: list[int] = []
        self._absences = Absences()
        database.on(gateway_nodes.name, self._poke)

    @property
    def held(self) -> tuple[int, ...]:
        """All numbers of this gateway, its own first."""
        return (self.own, *self.taken_over)

    @property
    def others(self) -> list[Known]:
        """Those of other gateways."""
        held = self.held
        return [one for one in self._known if one.node not in held]

    async def claim(self) -> None:
        """Finds numbers for this gateway, those that it had before if it had any, and counts its start.

        Raises:
            Unavailable: the database is away; or another gateway is at work, and one of the two has no address.
        """
        self._known = await self._read()
        wanted = own_of(self._known, self._address)
        held = await self._claim(wanted)
        if not held and self._address is not None:
            for node in free_of(self._known):
                if await self._database.claim(_name(node)):
                    held = [node]
                    break
        if not held or (self._address is None and held != wanted):
            raise Unavailable(
                "gateway",
                "another one is at work over this database",
                "Stop it, or tell each where the others reach it: --peer-listen HOST:PORT",
            )
        self.own, *self.taken_over = held
        self.start = await node_store.begin(self._database)
        await node_store.forget_moves(self._database, self.held)
        await node_store.touch(self._database, self.held, self._address, self._clock.now())
        self._known = await self._read()

    async def _claim(self, wanted: Sequence[int]) -> list[int]:
        """Those of them that nobody else has; waits for a predecessor that is about to end."""
        held: list[int] = []
        for _ in range(CLAIMS_MAX):
            held += [node for node in wanted if node not in held and await self._database.claim(_name(node))]
            if len(held) == len(wanted):
                break
            await asyncio.sleep(CLAIM_AGAIN.total_seconds())
        return sorted(held)

    async def serves(self, devices: Sequence[str]) -> Collection[str]:
        """Those of these devices that are this gateway's: what is asked of them is for it to carry.

        One that nobody keeps is of the gateway with the least number, which says that it is not there.

        Raises:
            Unavailable: the database is away.
        """
        if not self.others:
            return devices
        kept = await node_store.holders(self._database, devices)
        first = min(one.node for one in self._known)
        held = self.held
        return {device for device in devices if kept.get(device, first) in held}

    def keepers(self, node: int) -> Callable[[Sequence[str]], Awaitable[Collection[str]]]:
        """Tells which of some devices are kept under this number."""

        async def kept(devices: Sequence[str]) -> Collection[str]:
            found = await node_store.holders(self._database, devices)
            return {device for device in devices if found.get(device) == node}

        return kept

    async def run(self, core: DataPlane, adopt: Adopt) -> None:
        """Says that this gateway is there, follows where the others are, and takes over what was left behind, until it is
        cancelled. `adopt` gets a number and the count of a start, and takes up what was kept under the number.

        Raises:
            Unavailable: another gateway has a number of ours: this one has to end.
        """
        log.info("nodes.serving", extra={"node": self.own, "taken_over": self.taken_over, "start": self.start})
        while True:
            try:
                await self.look(core, adopt)
            except Unavailable as error:
                self._absences.forget()
                if error.neighbour == "gateway":
                    raise
                log.warning("nodes.wait", extra={"neighbour": error.neighbour, "reason": error.reason})
            await self._poke.wait(LOOK_EVERY)

    async def look(self, core: DataPlane, adopt: Adopt) -> None:
        """One round.

        Raises:
            Unavailable: the database is away; or another gateway has a number of ours.
        """
        lost = await self._database.lost_claims()
        if lost:
            raise Unavailable(
                "gateway", f"another one has taken {', '.join(sorted(lost))} over", "Start this one again"
            )
        await node_store.touch(self._database, self.held, self._address, self._clock.now())
        self._known = await self._read()
        await self._give_back()
        self.tell(core)
        for node in self._absences.note(self.others, self._clock.monotonic_s()):
            if await self._database.claim(_name(node)):
                await self._take_over(core, node, adopt)

    async def _give_back(self) -> None:
        """A number that was taken over and that no device has any more is of no use: nobody has to speak for it."""
        if not self.taken_over:
            return
        for node in await node_store.unused(self._database, self.taken_over):
            log.info("nodes.given_back", extra={"node": node})
            self.taken_over.remove(node)
            await node_store.retire(self._database, node)
            await self._database.give_back(_name(node))
        self._known = await self._read()

    async def _take_over(self, core: DataPlane, node: int, adopt: Adopt) -> None:
        log.warning("nodes.taking_over", extra={"node": node})
        # What it was to let go of is not among what is taken up.
        await node_store.forget_moves(self._database, [node])
        self.taken_over.append(node)
        start = await node_store.begin(self._database)
        self.tell(core)
        try:
            await adopt(node, start)
        except Unavailable:
            # Not ours before all of it is: the claim is kept, and it is tried again.
            self.taken_over.remove(node)
            raise
        await node_store.touch(self._database, self.held, self._address, self._clock.now())

    def tell(self, core: DataPlane) -> None:
        """Tells the core which numbers there are."""
        others = [(one.node, one.address) for one in self.others if one.address is not None]
        unreachable = core.set_nodes(self.taken_over, others, [one.node for one in self._known])
        for node in unreachable:
            log.warning("nodes.unreachable", extra={"node": node})

    async def _read(self) -> list[Known]:
        return [Known(*row) for row in await node_store.nodes(self._database)]


def _name(node: int) -> str:
    return f"node {node}"
