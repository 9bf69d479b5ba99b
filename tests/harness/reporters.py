"""Devices that send one number after the other, and remember which of them they were told are stored."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

from shoal.errors import DeviceFault
from shoal.lwm2m import Device
from tests.harness.product import Product

PATH: Final = "/3303/0/5700"
# As many acknowledged readings of each device lie between two faults.
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
            device = Device(endpoint, server, **credential)
            device.set(PATH, 0.0)
            # Its profile observes the battery of whoever has a Device object.
            device.set("/3/0/9", 90)
            await stack.enter_async_context(device)
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
