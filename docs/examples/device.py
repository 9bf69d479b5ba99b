"""An LwM2M device in one page: a thermometer with a battery that reports every few seconds and can be restarted.

    python docs/examples/server.py
    python docs/examples/device.py        # in another terminal

It registers, renews its registration and comes back after an outage by itself. Press Ctrl-C to end: it says goodbye.
"""

import argparse
import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress

from shoal import lwm2m
from shoal.errors import DeviceFault

TEMPERATURE = "/3303/0/5700"
BATTERY = "/3/0/9"


async def live(server: str, endpoint: str, key: bytes, every_s: float) -> None:
    """Runs until it is interrupted."""
    device = lwm2m.Device(endpoint, server, identity=endpoint, key=key)
    device.set("/3/0/0", "Example Works")
    device.set("/3/0/14", "+01:00")
    device.set(BATTERY, 87)
    device.set(TEMPERATURE, 8.0)
    device.set("/3303/0/5701", "Cel")

    def clock_set(path: str, value: object) -> None:
        print(f"a server set {path} to {value}")

    async def restart(_path: str, _arguments: Mapping[str, str]) -> None:
        print("restarts, as a server asked")
        device.lose_power()
        await asyncio.sleep(1)
        device.power_on()

    device.on_write("/3/0/14", clock_set)
    device.on_execute("/3/0/4", restart)
    async with device:
        await device.registered()
        print(f"{endpoint} is registered with {server}")
        while True:
            # Whoever observes the temperature is told of it now; the battery is sent unasked.
            device.set(TEMPERATURE, round(random.gauss(8.0, 0.2), 2))
            try:
                await device.send(BATTERY)
            except DeviceFault as fault:
                print(f"the server did not take it: {fault.code or fault.detail}")
            await asyncio.sleep(every_s)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="coaps://127.0.0.1:5684", help="coaps://HOST:PORT (default %(default)s)")
    parser.add_argument("--endpoint", default="oxy-0417", help="its name (default %(default)s)")
    parser.add_argument("--key", type=bytes.fromhex, default="000102030405060708090a0b0c0d0e0f", help="its key")
    parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS", help="how often it reports")
    chosen = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(live(chosen.server, chosen.endpoint, chosen.key, chosen.every))


if __name__ == "__main__":
    main()
