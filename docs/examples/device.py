"""An LwM2M device in one page: a thermometer that reports every few seconds and can be restarted.

    python docs/examples/server.py
    python docs/examples/device.py        # in another terminal

It registers, renews its registration and comes back after an outage by itself. Press Ctrl-C to end: it says goodbye.
"""

import argparse
import asyncio
import random
from contextlib import suppress

from shoal import lwm2m


class Thermometer(lwm2m.Object, id=3303):
    """Measures when somebody asks, and a server may give it a name."""

    value: float = lwm2m.resource(5700)
    units: str = lwm2m.resource(5701, default="Cel")
    application: str = lwm2m.resource(5750, default="water")

    @lwm2m.measured(5700)
    def measure(self) -> float:
        return round(random.gauss(8.0, 0.2), 2)

    @lwm2m.check(5750)
    def allow(self, application: str) -> None:
        if not application:
            raise lwm2m.Refusal("4.00", "a name has at least one letter")

    @lwm2m.written(5750)
    def renamed(self, application: str) -> None:
        print(f"a server calls it {application}")


async def live(server: str, endpoint: str, key: bytes, every_s: float, bootstrap: bool = False) -> None:
    """Runs until it is interrupted."""

    async def restart() -> None:
        print("restarts, as a server asked")
        device.lose_power()
        await asyncio.sleep(1)
        device.power_on()

    about = lwm2m.About(manufacturer="Example Works", model="Thermometer", firmware="1.0", reboot=restart)
    device = lwm2m.Device(endpoint, server, identity=endpoint, key=key, bootstrap=bootstrap, about=about)
    device.add(Thermometer(value=8.0))
    device.set("/3/0/9", 87)
    async with device:
        await device.registered()
        print(f"{endpoint} is registered{'' if bootstrap else f' with {server}'}")
        while True:
            # Whoever observes the temperature hears of it; the battery is sent unasked, after an outage if need be.
            await device.measure("/3303/0/5700")
            device.record("/3/0/9", 87)
            await asyncio.sleep(every_s)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="coaps://127.0.0.1:5684", help="coaps://HOST:PORT (default %(default)s)")
    parser.add_argument("--endpoint", default="oxy-0417", help="its name (default %(default)s)")
    parser.add_argument("--key", type=bytes.fromhex, default="000102030405060708090a0b0c0d0e0f", help="its key")
    parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS", help="how often it reports")
    parser.add_argument("--bootstrap", action="store_true", help="the server is a bootstrap server")
    chosen = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(live(chosen.server, chosen.endpoint, chosen.key, chosen.every, chosen.bootstrap))


if __name__ == "__main__":
    main()
