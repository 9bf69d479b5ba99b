"""An LwM2M server in one page: prints what devices say, and reads the battery of each that registers.

    python docs/examples/server.py
    python docs/examples/device.py        # in another terminal

Devices are let in by name and key; `--key` is the key of all of them here, as hexadecimal digits. Press Ctrl-C to end.
"""

import argparse
import asyncio
from contextlib import suppress

from shoal import lwm2m
from shoal.errors import DeviceFault


async def serve(address: str, endpoints: list[str], key: bytes) -> None:
    """Runs until it is interrupted."""
    # A notification for every change of a temperature, but not more often than every five seconds.
    observe = [("/3303/*/5700", "pmin=5")]
    async with lwm2m.Server(address, credentials=dict.fromkeys(endpoints, key), observe=observe) as server:
        print(f"listens on {', '.join(server.addresses)} for {', '.join(endpoints)}")
        async for event in server.events():
            tell(event)
            if isinstance(event, lwm2m.Registered):
                await ask_for_battery(server, event.endpoint)


def tell(event: lwm2m.ServerEvent) -> None:
    """Prints an event in words."""
    match event:
        case lwm2m.Registered(endpoint=endpoint, lifetime_s=lifetime_s, objects=objects):
            named = (name_of(lwm2m.Path.parse(path)) for path, _ in objects if path.count("/") == 1)
            print(f"{endpoint} registered for {lifetime_s} s: {', '.join(named)}")
        case lwm2m.Reported(endpoint=endpoint, readings=readings):
            for reading in readings:
                resource = lwm2m.resource_at(reading.path)
                name, units = (resource.name, resource.units or "") if resource else (reading.path, "")
                print(f"{endpoint} {name} ({reading.path}): {reading.value} {units}".rstrip())
        case lwm2m.Security(reason=reason, identity=identity, address=address):
            print(f"not let in: {identity or 'somebody'} at {address}, {reason}")
        case _:
            print(f"{event.endpoint} {type(event).__name__.lower()}")


def name_of(path: lwm2m.Path) -> str:
    """The name of an object, or its path where nobody named it."""
    found = lwm2m.definition(path.object)
    return found.name if found else str(path)


async def ask_for_battery(server: lwm2m.Server, endpoint: str) -> None:
    """Reads /3/0/9; a device may well have no battery."""
    try:
        print(f"{endpoint} battery: {await server.read(endpoint, '/3/0/9')} %")
    except DeviceFault as fault:
        print(f"{endpoint} does not tell its battery: {fault.code or fault.detail}")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", default="coaps://127.0.0.1:5684", help="coaps://HOST:PORT (default %(default)s)")
    parser.add_argument("--endpoint", action="append", help="a device that may register (default oxy-0417)")
    parser.add_argument("--key", type=bytes.fromhex, default="000102030405060708090a0b0c0d0e0f", help="its key")
    chosen = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(chosen.listen, chosen.endpoint or ["oxy-0417"], chosen.key))


if __name__ == "__main__":
    main()
