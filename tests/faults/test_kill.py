"""`kill -9` under load: what a device was told is stored (2.04) is stored, and devices go on by themselves."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from shoal.errors import DeviceFault
from shoal.events.codec import decode
from shoal.events.device import ReadingsReported
from shoal.events.topics import DEVICE
from shoal.lwm2m import Device
from shoal.lwm2m.dataplane import decompress
from shoal.settings import Settings
from shoal.stream.embedded import EmbeddedLog
from tests.harness.product import Product, free_port, product

PATH: Final = "/3303/0/5700"
KILLS: Final = 4
# As many acknowledged readings of each device lie between two kills.
READINGS: Final = 10
# An exchange that begins when the server dies is given up after MAX_TRANSMIT_WAIT (RFC 7252 §4.8.2: 93 s); then the
# device makes a new session. A busy machine may need as long again.
COMES_BACK_S: Final = 200


class Reporter:
    """A device that sends 1, 2, 3 and so on, each number once, and remembers which were acknowledged."""

    def __init__(self, name: str, device: Device) -> None:
        self.id = name
        self.acknowledged: list[int] = []
        self._device = device
        self._number = 0
        self._advanced = asyncio.Event()

    async def report(self) -> None:
        while True:
            self._number += 1
            self._device.set(PATH, float(self._number))
            try:
                await self._device.send(PATH)
            except DeviceFault:
                await self._device.registered(timedelta(seconds=COMES_BACK_S))
                continue
            self.acknowledged.append(self._number)
            self._advanced.set()

    async def until_acknowledged(self, more: int) -> None:
        """Waits until so many more readings were acknowledged."""
        wanted = len(self.acknowledged) + more
        while len(self.acknowledged) < wanted:
            self._advanced.clear()
            await self._advanced.wait()


@asynccontextmanager
async def reporting(shoal: Product, count: int, server: str, *, secure: bool) -> AsyncIterator[list[Reporter]]:
    """So many devices, created over the API, that report as fast as they are answered."""
    async with AsyncExitStack() as stack:
        reporters = []
        for number in range(count):
            key = f"{number:032x}"
            endpoint = f"reporter-{number}"
            security = {"mode": "psk", "identity": endpoint, "key": key} if secure else {"mode": "none"}
            made = await shoal.post("/devices", {"endpoint": endpoint, "security": security})
            credential = {"identity": endpoint, "key": bytes.fromhex(key)} if secure else {}
            device = await stack.enter_async_context(Device(endpoint, server, **credential))
            reporters.append(Reporter(made["id"], device))
        tasks = [asyncio.create_task(reporter.report()) for reporter in reporters]
        try:
            yield reporters
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            # One that ended by itself did so with an error that must be seen.
            for task in tasks:
                if not task.cancelled():
                    task.result()


async def advance(reporters: Sequence[Reporter]) -> None:
    async with asyncio.timeout(COMES_BACK_S):
        await asyncio.gather(*(reporter.until_acknowledged(READINGS) for reporter in reporters))


async def stored(folder: Path) -> dict[str, list[int]]:
    """The numbers that stand in the log, by device, in their order. Shoal must be down."""
    partitions = int(Settings.model_fields["partitions"].default)
    log = EmbeddedLog(folder, partitions=partitions, decompress=decompress)
    await log.start()
    found: dict[str, list[int]] = {}
    for partition in range(partitions):
        offset, end = await log.bounds(DEVICE, partition)
        while offset < end:
            part = await log.read(DEVICE, partition, offset, limit=1_000, wait=timedelta())
            for record in part.records:
                event = decode(DEVICE, record.value)
                if isinstance(event, ReadingsReported) and event.device is not None:
                    values = [reading.value for reading in event.readings if reading.path == PATH]
                    found.setdefault(event.device, []).extend(int(value) for value in values if value is not None)
            offset = part.next_offset
    await log.close()
    return found


async def charted(shoal: Product, reporter: Reporter) -> int:
    """How many readings of a device the history has."""
    chart = await shoal.get(f"/devices/{reporter.id}/readings", path=PATH)
    return sum(point["count"] for point in chart["points"])


def must_hold(found: dict[str, list[int]], reporters: Sequence[Reporter]) -> None:
    """Nothing acknowledged is lost, and what is there came in order."""
    lost = {each.id: sorted(set(each.acknowledged) - set(found.get(each.id, []))) for each in reporters}
    assert {name: numbers for name, numbers in lost.items() if numbers} == {}
    for reporter in reporters:
        assert found[reporter.id] == sorted(found[reporter.id])


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
