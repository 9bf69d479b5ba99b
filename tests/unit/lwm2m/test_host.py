"""The threads behind the devices of an event loop."""

import asyncio
import threading
from types import SimpleNamespace
from typing import cast

from shoal._core import DeviceOccurrence
from shoal.lwm2m import Device, Server
from tests.harness.listener import Listener
from tests.unit.lwm2m.conftest import PATIENCE, sensor, until


async def test_the_last_device_takes_the_threads_with_it(server: Server, listener: Listener) -> None:
    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "lwm2m-devices"]

    async with sensor(server), Device("buoy-1", server.addresses[1]):
        assert len(threads()) == 1

    await until(lambda: threads() == [])


async def test_devices_of_two_event_loops_do_not_mix(device: Device, server: Server, listener: Listener) -> None:
    async def elsewhere() -> None:
        async with Device("buoy-1", server.addresses[1]) as buoy:
            await buoy.registered(PATIENCE)
            await buoy.update()

    await asyncio.to_thread(asyncio.run, elsewhere())

    await device.update()
    assert server._core.stats()["update"] == 2


async def test_what_was_ordered_before_a_request_is_done_before_it(device: Device, server: Server) -> None:
    for level in range(200):
        device.set("/3/0/9", level % 100)

        assert await server.read("oxy-0417", "/3/0/9") == level % 100


async def test_what_one_device_cannot_take_is_reported_and_the_others_are_told(device: Device) -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
    wrong = ValueError("wrong")
    taken: list[int] = []

    class Told:
        def take(self, occurrence: DeviceOccurrence) -> None:
            taken.append(occurrence.handle)
            if len(taken) == 1:
                raise wrong

    handles = [1 << 40, 1 << 41]
    device._host._devices |= dict.fromkeys(handles, Told())
    device._host._hand_out([cast("DeviceOccurrence", SimpleNamespace(handle=one, kind="awake")) for one in handles])
    for handle in handles:
        del device._host._devices[handle]

    assert (taken, reported) == (handles, [wrong])
