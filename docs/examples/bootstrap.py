"""A bootstrap server in one page: gives each device that asks a new key for the server that is its own.

    python docs/examples/bootstrap.py
    python docs/examples/device.py --bootstrap --server coaps://127.0.0.1:5686        # in another terminal

Devices prove themselves with the key they have from the factory (`--key`), and are known to their server by a new one.
Both servers run here, in one process. Press Ctrl-C to end.
"""

import argparse
import asyncio
import secrets
from contextlib import suppress

from shoal import lwm2m


async def serve(address: str, bootstrap_address: str, endpoints: list[str], key: bytes) -> None:
    """Runs until it is interrupted."""
    async with lwm2m.Server(address) as server:

        async def account(endpoint: str) -> lwm2m.Account | None:
            new = secrets.token_bytes(16)
            server.admit({endpoint: new})
            return lwm2m.Account(uri=server.addresses[0], identity=endpoint, key=new)

        factory_keys = dict.fromkeys(endpoints, key)
        async with lwm2m.BootstrapServer(bootstrap_address, credentials=factory_keys, accounts=account) as bootstrap:
            print(f"hands out accounts of {server.addresses[0]} at {bootstrap.addresses[0]}")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(tell(bootstrap))
                async for event in server.events():
                    print(f"{event.endpoint or 'somebody'} {type(event).__name__.lower()}")


async def tell(bootstrap: lwm2m.BootstrapServer) -> None:
    """Prints how far each device is."""
    async for event in bootstrap.events():
        if isinstance(event, lwm2m.NotLetIn):
            print(f"not let in: {event.identity or event.endpoint} at {event.address}, {event.reason}")
        else:
            print(f"{event.endpoint} bootstrap {event.state} {event.path or ''} {event.detail}".rstrip())


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", default="coaps://127.0.0.1:5684", help="of the server (default %(default)s)")
    parser.add_argument("--bootstrap", default="coaps://127.0.0.1:5686", help="of the other (default %(default)s)")
    parser.add_argument("--endpoint", action="append", help="a device that may ask (default oxy-0417)")
    parser.add_argument("--key", type=bytes.fromhex, default="000102030405060708090a0b0c0d0e0f", help="its first key")
    chosen = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(chosen.listen, chosen.bootstrap, chosen.endpoint or ["oxy-0417"], chosen.key))


if __name__ == "__main__":
    main()
