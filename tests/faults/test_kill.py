"""`kill -9` under load: what a device was told is stored (2.04) is stored, and devices go on by themselves."""

from pathlib import Path
from typing import Final

import pytest

from shoal.events.device import ReadingsReported
from tests.harness.logged import logged
from tests.harness.product import Product, free_port, product
from tests.harness.reporters import PATH, READINGS, Reporter, advance, charted, must_hold, reporting

KILLS: Final = 4


async def stored(folder: Path) -> dict[str, list[int]]:
    """The numbers that stand in the log, by device, in their order. Shoal must be down."""
    found: dict[str, list[int]] = {}
    for event in await logged(folder):
        # A notification that was under way when the gateway died comes late; what was sent comes in its turn.
        if isinstance(event, ReadingsReported) and event.device is not None and event.via == "send":
            values = [reading.value for reading in event.readings if reading.path == PATH]
            found.setdefault(event.device, []).extend(int(value) for value in values if value is not None)
    return found


@pytest.mark.timeout(900)
async def test_nothing_acknowledged_is_lost_however_often_it_is_killed(tmp_path: Path) -> None:
    plain = f"coap://127.0.0.1:{free_port()}"
    async with product(tmp_path / "data", "--listen", plain) as shoal:
        async with reporting(shoal, 40, plain, secure=False) as reporters:
            for _ in range(KILLS):
                await advance(reporters)
                shoal.kill()
                await shoal.start()
            await advance(reporters)
            for reporter in reporters[:3]:
                await shoal.until(lambda reporter=reporter: _is_registered(shoal, reporter))

        # Not only the log has it all: the rooms have caught up with it.
        for reporter in reporters[:3]:
            await shoal.until(lambda reporter=reporter: _charted_all(shoal, reporter))

    must_hold(await stored(tmp_path / "data"), reporters)
    assert all(len(reporter.acknowledged) >= READINGS * (KILLS + 1) for reporter in reporters)


@pytest.mark.timeout(900)
async def test_devices_with_sessions_go_on_by_themselves_after_a_kill(tmp_path: Path) -> None:
    async with product(tmp_path / "data") as shoal, reporting(shoal, 10, shoal.coaps, secure=True) as reporters:
        await advance(reporters)
        shoal.kill()
        await shoal.start()
        await advance(reporters)

    must_hold(await stored(tmp_path / "data"), reporters)


async def _charted_all(shoal: Product, reporter: Reporter) -> bool:
    return await charted(shoal, reporter) >= len(reporter.acknowledged)


async def _is_registered(shoal: Product, reporter: Reporter) -> bool:
    return (await shoal.get(f"/devices/{reporter.id}"))["registration"] is not None
