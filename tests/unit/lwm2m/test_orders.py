"""Orders to a device that runs, and to one that does not."""

from datetime import timedelta

import pytest

from shoal.errors import DeviceFault, Rejected, Unavailable
from shoal.lwm2m import Device


async def test_a_device_that_does_not_run_takes_no_orders() -> None:
    device = Device("oxy-1", "coap://127.0.0.1:9")

    with pytest.raises(Rejected, match="not running"):
        await device.update()
    with pytest.raises(Rejected, match="not running"):
        device.lose_power()


async def test_what_cannot_be_done_says_so_and_what_waits_ends_with_the_device() -> None:
    async with Device("oxy-1", "coap://127.0.0.1:9") as device:
        with pytest.raises(DeviceFault, match="not registered"):
            await device.update()
        with pytest.raises(Unavailable):
            await device.registered(timedelta(seconds=0.05))
        assert (await device.ask("/est/sren", b"")).detail == "not registered"
