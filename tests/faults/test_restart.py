"""`kill -9` under load: no device shakes hands again, none registers again, and what it observes goes on being reported."""

import os
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from shoal.events.device import DeviceRegistered, ObservationChanged, ReadingsReported
from shoal.lwm2m import Device
from tests.faults.test_kill import stored
from tests.harness.logged import logged
from tests.harness.product import Product, product
from tests.harness.reporters import COMES_BACK_S, PATH, advance, must_hold, reporting

# A few hundred tell what ten thousand would: `bench/restart.py` has those.
DEVICES: Final = int(os.environ.get("SHOAL_TEST_DEVICES", "300"))
KILLS: Final = 2
# Ten a second: between two things that a Register leads to, nothing waits for a moment.
QUIET_LOOKS: Final = 10


@pytest.mark.timeout(900)
async def test_a_kill_costs_no_handshake_no_registration_and_no_observation(tmp_path: Path) -> None:
    async with product(tmp_path / "data") as shoal, reporting(shoal, DEVICES, shoal.coaps, secure=True) as reporters:
        await advance(reporters)
        await _settle(shoal)

        for _ in range(KILLS):
            shoal.kill()
            await shoal.start()
            await advance(reporters)

            core = await shoal.metrics()
            assert (core["restored"], core["sessions"], core["handshakes"]) == (DEVICES, DEVICES, 0)
            assert (core["register"], core["unknown_token"]) == (0, 0)
            assert core["notify"] >= DEVICES, "every reading that is sent is observed, too"

    must_hold(await stored(tmp_path / "data"), reporters)
    events = await logged(tmp_path / "data")
    registered = Counter(event.device for event in events if isinstance(event, DeviceRegistered))
    assert registered == dict.fromkeys((reporter.id for reporter in reporters), 1)
    observed = Counter(event.device for event in events if isinstance(event, ObservationChanged) and event.path == PATH)
    assert observed == registered
    assert any(isinstance(event, ReadingsReported) and event.via == "notify" for event in events)


@pytest.mark.timeout(900)
async def test_a_command_for_a_device_that_sleeps_waits_through_a_kill(tmp_path: Path) -> None:
    async with product(tmp_path / "data") as shoal, AsyncExitStack() as stack:
        key = "00112233445566778899aabbccddeeff"
        credential = {"mode": "psk", "identity": "sleeper", "key": key}
        made = await shoal.post("/devices", {"endpoint": "sleeper", "security": credential})
        device = await stack.enter_async_context(
            Device("sleeper", shoal.coaps, identity="sleeper", key=bytes.fromhex(key), queue_mode=True)
        )
        await device.registered(timedelta(seconds=COMES_BACK_S))
        await _settle(shoal)
        device.set("/3/0/9", 42)
        await device.update()
        await shoal.until(lambda: _is_idle(shoal, made["id"]))
        device.sleep()
        command = await _ask(shoal, made["id"], "/3/0/9")

        shoal.kill()
        await shoal.start()
        assert (await shoal.get(f"/commands/{command}"))["state"] in {"queued", "sent"}
        await device.update()

        done = await shoal.until(lambda: _answered(shoal, command))
        assert done["value"] == 42
        core = await shoal.metrics()
        assert (core["restored"], core["handshakes"], core["register"]) == (1, 0, 0)


async def _settle(shoal: Product) -> None:
    """Waits until what follows from the registrations was kept: a kill before that costs a new Observe."""
    quiet = 0

    async def is_quiet() -> bool:
        nonlocal quiet
        core = await shoal.metrics()
        quiet = 0 if core["checkpoints_waiting"] else quiet + 1
        return quiet > QUIET_LOOKS

    await shoal.until(is_quiet)


async def _is_idle(shoal: Product, device: str) -> bool:
    unfinished = await shoal.get(f"/devices/{device}/commands", unfinished="true")
    return unfinished["items"] == []


async def _ask(shoal: Product, device: str, path: str) -> str:
    answer = await (await shoal.api()).get(f"/devices/{device}/objects{path}", params={"wait": "50ms", "ttl": "10m"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def _answered(shoal: Product, command: str) -> dict[str, Any] | None:
    found: dict[str, Any] = await shoal.get(f"/commands/{command}")
    return found if found["state"] == "answered" else None
