"""Which node numbers a gateway has, and what two of them do with one fleet."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.clock import FakeClock, SystemClock
from shoal.commands.command import Operation, State
from shoal.commands.store import Commands
from shoal.errors import Unavailable
from shoal.gateway import node_store
from shoal.gateway.loop import Gateway
from shoal.gateway.nodes import PATIENCE, Absences, Known, Nodes, free_of, own_of
from shoal.lwm2m.device import Device
from shoal.storage.database import Database
from tests.harness.balancer import Balancer, balancer
from tests.harness.databases import another_process
from tests.harness.installation import installation
from tests.harness.product import free_port
from tests.harness.races import needs_two_writers
from tests.harness.site import Site, gateway_over

NOW: Final = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
SOON: Final = timedelta(seconds=20)
KEY: Final = bytes(range(32))

known: Final = st.lists(
    st.builds(
        Known,
        node=st.integers(0, 20),
        address=st.none() | st.sampled_from(["a:1", "b:1", "c:1"]),
        seen_at=st.integers(0, 200).map(lambda seconds: NOW - timedelta(seconds=seconds)),
    ),
    unique_by=lambda one: one.node,
).map(lambda all_: sorted(all_, key=lambda one: one.node))


@given(known)
def test_whoever_has_no_address_is_alone_and_has_all(known: list[Known]) -> None:
    assert own_of(known, None) == ([one.node for one in known] or [0])


@given(known)
def test_a_gateway_has_what_it_had_and_begins_with_nothing_that_another_may_come_back_for(known: list[Known]) -> None:
    own, free = own_of(known, "a:1"), free_of(known)

    assert own == [one.node for one in known if one.address == "a:1"]
    others = {one.node for one in known if one.address is not None}
    assert len(set(free)) == len(free)
    assert set(free) | others == set(range(node_store.NODES_MAX))
    assert others.isdisjoint(free)


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.booleans()), max_size=60))
def test_whoever_is_gone_was_looked_for_long_enough_without_a_break(looks: list[tuple[int, bool, bool]]) -> None:
    """Of one other: seconds until the next look, whether it has shown itself since, whether the look fails."""
    absences, now_s, seen_at = Absences(), 0.0, NOW
    unchanged_since: float | None = None
    for wait_s, shows_itself, fails in looks:
        now_s += wait_s
        if shows_itself:
            seen_at += timedelta(seconds=1)
            unchanged_since = None
        if fails:
            absences.forget()
            unchanged_since = None
            continue
        if unchanged_since is None:
            unchanged_since = now_s

        gone = absences.note([Known(3, "b:1", seen_at)], now_s)

        assert gone == ([3] if now_s - unchanged_since > PATIENCE.total_seconds() else [])


async def test_the_only_gateway_has_number_0_and_all_devices(tmp_path: Path) -> None:
    async with installation(tmp_path) as shoal:
        nodes = Nodes(shoal.database, shoal.clock)
        await nodes.claim()

        assert (nodes.held, nodes.start, nodes.others) == ((0,), 1, [])
        assert await nodes.serves(["dev-1", "dev-2"]) == ["dev-1", "dev-2"]


@needs_two_writers
async def test_a_second_gateway_needs_an_address_and_a_number_of_its_own(tmp_path: Path) -> None:
    async with installation(tmp_path) as shoal:
        first = Nodes(shoal.database, shoal.clock, "a:1")
        await first.claim()
        elsewhere = await another_process(shoal.database)
        try:
            with pytest.raises(Unavailable, match="another one is at work"):
                await Nodes(elsewhere, shoal.clock).claim()
            second = Nodes(elsewhere, shoal.clock, "b:1")
            await second.claim()
        finally:
            await elsewhere.close()

        assert (first.held, second.held, first.start, second.start) == ((0,), (1,), 1, 2)
        # Started again it has the same, whatever the order.
        elsewhere = await another_process(shoal.database)
        try:
            again = Nodes(elsewhere, shoal.clock, "b:1")
            await again.claim()
            assert again.held == (1,)
        finally:
            await elsewhere.close()


@needs_two_writers
async def test_the_numbers_of_one_that_was_alone_are_for_the_first_of_several(tmp_path: Path) -> None:
    async with installation(tmp_path) as shoal:
        elsewhere = await another_process(shoal.database)
        await Nodes(elsewhere, shoal.clock).claim()
        await elsewhere.close()

        several = Nodes(shoal.database, shoal.clock, "a:1")
        await several.claim()

        assert several.held == (0,)


@dataclass
class Pair:
    """Two gateways over one database, a device behind a balancer, and clocks for when the gateways look at each other."""

    site: Site
    gateways: list[Gateway]
    databases: list[Database]
    clock: FakeClock
    balancer: Balancer
    device: Device
    id: str

    async def look(self) -> None:
        """Each says that it is there, and sees who else is."""
        for gateway in [*self.gateways, *self.gateways]:
            await gateway.nodes.look(gateway.core, gateway._adopt)

    async def lose_the_first(self) -> Gateway:
        """The first gateway ends, and all datagrams go to the other; that one."""
        dead, heir = self.gateways
        await dead.close()
        await self.databases[0].close()
        self.gateways.remove(dead)
        self.balancer.choose = lambda _: 1
        return heir

    def counted(self, name: str) -> list[int]:
        return [gateway.core.stats()[name] for gateway in self.gateways]

    async def read(self, path: str) -> object:
        """A command, carried by whichever gateway it is for."""
        device = await self.site.shoal.inventory.device(self.site.tenant, self.id)  # type: ignore[arg-type]
        asked = await self.site.ask(device, Operation.READ, path)

        async def over() -> bool | None:
            for gateway in self.gateways:
                await gateway.downlink.carry()
            found = await self.site.commands.command(self.site.tenant, asked.id)
            return None if found.state.is_unfinished else True

        await self.site.until(over)
        found = await self.site.commands.command(self.site.tenant, asked.id)
        assert found.state is State.ANSWERED, found
        assert found.answer is not None
        (leaf,) = msgspec.json.decode(found.answer)["content"]
        return leaf["value"]


@asynccontextmanager
async def pair(folder: Path) -> AsyncIterator[Pair]:
    async with installation(folder) as shoal:
        clock = FakeClock()
        databases = [await another_process(shoal.database) for _ in range(2)]
        commands = Commands(shoal.database, SystemClock())
        gateways: list[Gateway] = []
        for database in databases:
            address = f"127.0.0.1:{free_port()}"
            nodes = Nodes(database, clock, address)
            await nodes.claim()
            gateway = await gateway_over(shoal, commands, database=database, nodes=nodes, link=(address, KEY))
            await gateway.start()
            gateways.append(gateway)
        site = Site(shoal, gateways[0], commands, await shoal.create_tenant(), {}, [], None)  # type: ignore[arg-type]
        made = await site.device()
        for gateway in gateways:
            await gateway.roster.follow()
        async with balancer([gateway.addresses[0] for gateway in gateways], lambda _: 0) as between:
            device = Device("oxy-0101", between.uri, identity="oxy-0101", key=site.keys["oxy-0101"])
            device.set("/3/0/9", 87)
            here = Pair(site, gateways, databases, clock, between, device, str(made.id))
            await here.look()
            try:
                async with device:
                    await device.registered(SOON)
                    await site.until(lambda: kept(site))
                    yield here
            finally:
                for gateway in gateways:
                    await gateway.close()
                for database in databases:
                    await database.close()


async def kept(site: Site) -> bool:
    return site.gateway.core.stats()["checkpoints_waiting"] == 0


@needs_two_writers
async def test_a_device_that_the_balancer_sends_elsewhere_goes_on_and_is_asked_by_the_gateway_that_has_it(
    tmp_path: Path,
) -> None:
    async with pair(tmp_path) as here:
        here.balancer.choose = lambda _: 1
        await here.device.update()
        here.device.set("/3/0/9", 12)

        assert await here.read("/3/0/9") == 12

        assert here.counted("handshakes") == [1, 0]
        assert here.counted("registrations") == [1, 0]
        assert here.counted("handed_over")[1] >= 2
        assert here.counted("sent_for_others")[1] >= 2
        assert here.balancer.carried[1] >= 2


@needs_two_writers
async def test_a_stranger_between_the_gateways_is_not_believed(tmp_path: Path) -> None:
    async with pair(tmp_path) as here:
        link = here.gateways[1].core.link_address()
        assert link is not None
        host, _, port = link.rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for frame in (b"", b"Shl\x01", b"Shl\x01" + bytes(60), bytes(8_000)):
                stranger.sendto(frame, (host, int(port)))

        async def all_counted() -> bool:
            return here.counted("handovers_strange") == [0, 4]

        await here.site.until(all_counted)
        assert here.counted("sent_for_others") == [0, 0]


@needs_two_writers
async def test_a_device_that_begins_anew_at_another_gateway_is_forgotten_by_the_first(tmp_path: Path) -> None:
    async with pair(tmp_path) as here:
        here.balancer.choose = lambda _: 1
        async with Device("oxy-0101", here.balancer.uri, identity="oxy-0101", key=here.site.keys["oxy-0101"]) as again:
            again.set("/3/0/9", 5)
            await again.registered(SOON)
            assert await here.gateways[0].keeper.let_go() == 1

            assert (here.counted("registrations"), here.counted("moved_away")) == ([0, 1], [1, 0])
            assert await here.read("/3/0/9") == 5
            assert await here.gateways[1].nodes.serves([here.id]) == {here.id}


@needs_two_writers
async def test_what_a_gateway_leaves_behind_another_takes_over_when_it_has_waited_long_enough(tmp_path: Path) -> None:
    async with pair(tmp_path) as here:
        await here.site.shoal.settle()
        heir = await here.lose_the_first()

        await here.look()
        here.clock.advance(PATIENCE)
        await here.look()
        assert heir.nodes.held == (1,), "it may come back"
        here.clock.advance(timedelta(seconds=1))
        await here.look()
        assert heir.nodes.held == (1, 0)

        await here.device.update()
        assert await here.read("/3/0/9") == 87
        assert (here.counted("handshakes"), here.counted("register"), here.counted("restored")) == ([0], [0], [1])


@needs_two_writers
async def test_what_could_not_be_taken_up_whole_is_taken_up_again(tmp_path: Path) -> None:
    async with pair(tmp_path) as here:
        await here.site.shoal.settle()
        heir = await here.lose_the_first()

        async def breaks_off(_node: int, _start: int) -> None:
            raise Unavailable("database", "gone", "Bring it back")

        await here.look()
        here.clock.advance(PATIENCE + timedelta(seconds=1))
        with pytest.raises(Unavailable, match="gone"):
            await heir.nodes.look(heir.core, breaks_off)
        assert heir.nodes.held == (1,)

        await here.look()
        assert heir.nodes.held == (1, 0)
        assert await here.read("/3/0/9") == 87
        assert here.counted("handshakes") == [0]


@needs_two_writers
async def test_who_came_over_before_its_gateway_was_given_up_stays_and_an_empty_number_is_given_back(
    tmp_path: Path,
) -> None:
    async with pair(tmp_path) as here:
        heir = await here.lose_the_first()
        async with Device("oxy-0101", here.balancer.uri, identity="oxy-0101", key=here.site.keys["oxy-0101"]) as again:
            await again.registered(SOON)
            await here.look()
            here.clock.advance(PATIENCE + timedelta(seconds=1))
            await here.look()
            assert heir.nodes.held == (1,), "it was taken over, and nobody had it any more"

            assert await heir.keeper.let_go() == 0
            assert here.counted("registrations") == [1]
            assert [node for node, _, _ in await node_store.nodes(here.site.shoal.database)] == [1]


@needs_two_writers
async def test_a_gateway_whose_number_another_has_ends(tmp_path: Path) -> None:
    async with pair(tmp_path) as here:
        first = here.gateways[0]
        claims = here.databases[0]._engine._claims  # type: ignore[union-attr]  # the way there breaks
        assert claims is not None
        await claims.close()
        thief = await another_process(here.site.shoal.database)
        try:
            assert await thief.claim("node 0")
            with pytest.raises(Unavailable, match="node 0"):
                await first.nodes.look(first.core, first._adopt)
        finally:
            await thief.close()
