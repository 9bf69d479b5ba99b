"""`kill -9` of a whole Shoal with many DTLS devices, and how long the next start takes until all of them were heard again:
on the clock, and, up to where all is ready, of its processor time.

    PYTHONPATH=src:. .venv/bin/python -m bench.restart --devices 10000

Each device is `shoal.lwm2m.Device` with a socket of its own, in one other process; `ulimit -n` must allow them.
"""

import argparse
import asyncio
import json
import re
import tempfile
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Final

from bench.processes import cpu_s_of
from shoal.app import first_start, keys
from shoal.clock import SystemClock
from shoal.credentials.store import Credentials
from shoal.errors import DeviceFault, Unavailable
from shoal.inventory.device import Kind, Security
from shoal.inventory.store import Inventory
from shoal.lwm2m import Device
from shoal.storage.database import Database
from shoal.storage.folder import database_url
from tests.harness.product import Product

PATH: Final = "/3303/0/5700"
DEVICES_PER_TRANSACTION: Final = 250
# As a fleet whose farm has power again: not all in the same moment.
TOGETHER: Final = 64
PATIENCE: Final = timedelta(minutes=3)
# Each takes as long as an exchange may: whoever is not heard then has been lost.
SENDINGS_MAX: Final = 3


def name_of(number: int) -> str:
    return f"bench-{number:05}"


def key_of(number: int) -> str:
    return f"{number:032x}"


async def create(folder: Path, count: int) -> None:
    """Puts the devices into the database of a Shoal that is down."""
    clock = SystemClock()
    database = await Database.open(database_url(folder))
    vault = await keys.open_vault(database, folder, None)
    inventory, credentials = Inventory(database, clock), Credentials(database, vault, clock)
    tenant = (await first_start.tenant_of(database, inventory, None)).id
    for first in range(0, count, DEVICES_PER_TRANSACTION):
        async with database.transaction() as tx:
            for number in range(first, min(first + DEVICES_PER_TRANSACTION, count)):
                endpoint = name_of(number)
                device = await inventory.create_device(
                    tx, tenant, endpoint=endpoint, kind=Kind.SENSOR, security=Security.PSK, enclosure=None
                )
                await credentials.create(tx, tenant, device.id, identity=endpoint, key=key_of(number))
    await database.close()


async def send_all(devices: list[Device]) -> tuple[float, int]:
    """Every device sends a reading; how long until the last knows that it is stored, and how many had to send again."""
    turn = asyncio.Semaphore(TOGETHER)

    async def one(device: Device) -> int:
        async with turn:
            for again in range(SENDINGS_MAX):
                with suppress(DeviceFault, Unavailable):
                    await device.send(PATH)
                    return again
        raise SystemExit(f"{device.endpoint} is not heard any more")

    began = perf_counter()
    again = await asyncio.gather(*(one(device) for device in devices))
    return perf_counter() - began, sum(again)


def restored_in(log: Path) -> tuple[float, float]:
    """Of the last start: when all sessions had been taken up, as a Unix time, and how many seconds that took."""
    lines = [line for line in log.read_text().splitlines() if "checkpoints.restored" in line]
    seconds = re.search(r"seconds=([\d.]+)", lines[-1])
    assert seconds is not None
    return datetime.fromisoformat(lines[-1].split()[0]).timestamp(), float(seconds[1])


async def measure(count: int, folder: Path) -> dict[str, float]:
    shoal = Product(folder / "data")
    try:
        return await _measure(shoal, count, folder)
    finally:
        await shoal.stop()


async def _measure(shoal: Product, count: int, folder: Path) -> dict[str, float]:
    began = perf_counter()
    await shoal.start()
    empty_s, empty_cpu_s = perf_counter() - began, cpu_s_of(shoal.pid)
    await shoal.stop()
    await create(folder / "data", count)
    await shoal.start()
    async with AsyncExitStack() as stack:
        devices = []
        for number in range(count):
            device = Device(name_of(number), shoal.coaps, identity=name_of(number), key=bytes.fromhex(key_of(number)))
            device.set(PATH, 9.5)
            devices.append(device)
        entering = asyncio.Semaphore(TOGETHER)

        async def begin(device: Device) -> None:
            async with entering:
                await stack.enter_async_context(device)
                await device.registered(PATIENCE)

        began = perf_counter()
        await asyncio.gather(*(begin(device) for device in devices))
        figures = {"devices": float(count), "empty_ready_s": empty_s, "empty_ready_cpu_s": empty_cpu_s}
        figures["registering_s"] = perf_counter() - began
        await shoal.until(lambda: _is_all_kept(shoal))
        figures["sending_before_s"], _ = await send_all(devices)
        loading = asyncio.create_task(send_all(devices))
        await asyncio.sleep(0.5)
        shoal.kill()
        loading.cancel()
        began_at, began = datetime.now(UTC).timestamp(), perf_counter()
        await shoal.start()
        figures["ready_s"], figures["ready_cpu_s"] = perf_counter() - began, cpu_s_of(shoal.pid)
        accepting_at, figures["restoring_s"] = restored_in(shoal.log)
        figures["accepting_s"] = accepting_at - began_at
        figures["all_heard_s"], figures["sent_again"] = await send_all(devices)
        core = await shoal.metrics()
        wanted = ("restored", "handshakes", "register", "unknown_token", "unknown_connection_id")
        figures |= {name: core[name] for name in wanted}
        await shoal.stop()
    return figures


async def _is_all_kept(shoal: Product) -> bool:
    return (await shoal.metrics())["checkpoints_waiting"] == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=10_000)
    count = parser.parse_args().devices
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as folder:
        figures = asyncio.run(measure(count, Path(folder)))
    print(json.dumps({name: round(figure, 3) for name, figure in figures.items()}, indent=2))


if __name__ == "__main__":
    main()
