"""Two gateways behind a balancer that knows nothing: whatever it does, and whichever of them is restarted, no device shakes
hands again, none registers again, and nothing that was acknowledged is lost."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.harness.balancer import Balancer, balancer
from tests.harness.cluster import Cluster, cluster
from tests.harness.datagrams import Address
from tests.harness.reporters import Reporter, advance, charted, reporting

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DEVICES: Final = 24
PATH: Final = "/3303/0/5700"


def by_port(device: Address) -> int:
    return device[1] % 2


def the_other(device: Address) -> int:
    return 1 - by_port(device)


async def test_a_rolling_restart_of_both_and_a_balancer_that_changes_its_mind_cost_nothing(tmp_path: Path) -> None:
    async with cluster(tmp_path, gateways=2) as shoal:
        listeners = [shoal.own[name]["SHOAL_LISTEN"] for name in shoal.gateways]
        async with (
            balancer(listeners, by_port) as between,
            reporting(shoal, DEVICES, between.uri, secure=True) as reporters,
        ):
            await advance(reporters)
            await shoal.until(partial(is_kept, shoal))
            shares = [(await shoal.counted(name))["registrations"] for name in shoal.gateways]
            assert sum(shares) == DEVICES
            assert min(shares) > 0, "each has some"
            handshakes = await total(shoal, "handshakes")

            # Every device reaches the gateway that does not have it.
            between.choose = the_other
            await advance(reporters)
            for name in shoal.gateways:
                core = await shoal.counted(name)
                assert core["handed_over"] > 0
                assert core["sent_for_others"] > 0
            assert await read(shoal, reporters) == ["answered"] * DEVICES
            assert await total(shoal, "handshakes") == handshakes

            # A service manager restarts one after the other; the balancer sends to whoever is up.
            for place, name in enumerate(shoal.gateways):
                await restart(shoal, between, place, name, kills=False)
                await advance(reporters)
            assert (await total(shoal, "handshakes"), await total(shoal, "register")) == (0, 0)
            assert await total(shoal, "restored") == DEVICES

            # And so does the power.
            await shoal.until(partial(is_kept, shoal))
            for place, name in enumerate(shoal.gateways):
                await restart(shoal, between, place, name, kills=True)
                await advance(reporters)
            assert (await total(shoal, "handshakes"), await total(shoal, "register")) == (0, 0)
            assert [(await shoal.counted(name))["registrations"] for name in shoal.gateways] == shares

            between.choose = by_port
            await advance(reporters)
            assert await read(shoal, reporters) == ["answered"] * DEVICES
            acknowledged = {reporter.id: len(reporter.acknowledged) for reporter in reporters}

            async def all_charted() -> bool:
                return all([await charted(shoal, each) >= acknowledged[each.id] for each in reporters])

            await shoal.until(all_charted)
            words = [(await shoal.get(f"/devices/{each.id}"))["status"] for each in reporters]
            assert set(words) == {"healthy"}, "nobody was called silent"


async def restart(shoal: Cluster, between: Balancer, place: int, name: str, *, kills: bool) -> None:
    """Ends a gateway and starts it again; meanwhile the balancer knows that it is away."""
    between.choose = lambda _: 1 - place
    if kills:
        shoal.kill(name)
    else:
        await shoal.stop_roles([name])
    shoal.start_role("gateway", name)
    await shoal.until(partial(shoal.is_ready, name))
    between.choose = the_other


async def total(shoal: Cluster, name: str) -> float:
    return sum([(await shoal.counted(gateway))[name] for gateway in shoal.gateways])


async def is_kept(shoal: Cluster) -> bool:
    return await total(shoal, "checkpoints_waiting") == 0


async def read(shoal: Cluster, reporters: Sequence[Reporter]) -> list[Any]:
    """What became of a question to each device, whichever gateway has it."""
    api = await shoal.api()
    answers = [await api.get(f"/devices/{each.id}/objects{PATH}", params={"wait": "30s"}) for each in reporters]
    return ["answered" if answer.status_code == 200 else answer.text for answer in answers]
