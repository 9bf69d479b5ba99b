"""How patiently a server deals with a device."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shoal.errors import DeviceFault, Rejected
from shoal.lwm2m import Conduct, Device, Server
from tests.harness.listener import listening
from tests.unit.lwm2m.conftest import CLEAR, PATIENCE, until

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"awake_window": timedelta(0)}, "awake_window: .* more than 0"),
        ({"grace": -SECOND}, "grace: .* expected 0 to"),
        ({"ack_timeout": 61 * SECOND}, "ack_timeout: .* at most 0:01:00"),
        ({"random_factor": 0.9}, "random_factor: .* expected 1 to"),
        ({"max_retransmit": 9}, "max_retransmit: .* expected 0 to 8"),
    ],
)
def test_what_is_no_patience_is_said(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        Conduct(**given)


async def test_a_device_is_given_up_as_soon_as_it_was_said_of_it_alone() -> None:
    async with Server(CLEAR, endpoints=["patient"], conduct=Conduct(awake_window=PATIENCE)) as server:
        server.admit({"hasty": None}, Conduct(ack_timeout=SECOND / 20, random_factor=1, max_retransmit=1))
        async with listening(server):
            for name in ("patient", "hasty"):
                async with Device(name, server.addresses[0]) as device:
                    device.set("/3/0/9", 87)
                    await device.registered(PATIENCE)
                    device.lose_power()
                    with pytest.raises(DeviceFault, match="no answer in time") as caught:
                        await server.read(name, "/3/0/9", SECOND)
                    assert caught.value.code is None
                    assert server._core.stats()["requests_timed_out"] == (name == "hasty")


async def test_a_device_that_sleeps_sooner_than_others_is_asked_when_it_wakes() -> None:
    window = SECOND / 5
    async with (
        Server(CLEAR, endpoints=["buoy-1"], conduct=Conduct(awake_window=window)) as server,
        listening(server),
        Device("buoy-1", server.addresses[0], queue_mode=True, awake_window=window) as buoy,
    ):
        buoy.set("/3/0/9", 87)
        await buoy.registered(PATIENCE)
        await until(lambda: not server._core.registrations()[0].is_awake)
        asked = asyncio.create_task(server.read("buoy-1", "/3/0/9", PATIENCE))
        await until(lambda: not buoy.is_awake)
        await buoy.update()

        assert await asked == 87
        assert server._core.stats()["requests_repeated"] == 0
