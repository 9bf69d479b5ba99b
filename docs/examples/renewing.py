"""An LwM2M device that gets its certificates by itself: the first one by its key, each further one in good time.

    shoal ca create "My devices"                  # prints its id, aut-...
    shoal ca show AUT-ID --out trust.pem          # what the device is to trust
    shoal ca issue --server 127.0.0.1 --out gw    # the server's own, with the name or address in the device's URI
    shoal up --device-cert gw.pem --device-key gw.key
    python docs/examples/renewing.py --server coaps://127.0.0.1:5684 --key KEY --server-ca trust.pem

The server must know the device (`--endpoint`) and let it in by a certificate besides its key: docs/python.md says how. Start
it again, and it comes with the certificate that it has kept.
"""

import argparse
import asyncio
from contextlib import suppress
from pathlib import Path

from shoal import lwm2m


async def live(server: str, endpoint: str, identity: str, key: bytes, server_ca: Path, kept: Path) -> None:
    """Runs until it is interrupted."""
    renewal = lwm2m.Renewal(
        file=kept,
        authorities=lwm2m.load_authorities(server_ca),
        on_trouble=lambda reason: print(f"no new certificate yet: {reason}"),
    )
    device = lwm2m.Device(endpoint, server, identity=identity, key=key, renewal=renewal)
    ends = None
    async with device:
        await device.registered()
        print(f"{endpoint} is registered")
        while True:
            if device.certificate_expires_at != ends:
                ends = device.certificate_expires_at
                print(f"{endpoint} has a certificate until {ends}")
            await asyncio.sleep(0.5)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="coaps://127.0.0.1:5684", help="coaps://HOST:PORT (default %(default)s)")
    parser.add_argument("--endpoint", default="oxy-0417", help="its name (default %(default)s)")
    parser.add_argument("--identity", help="of its key (default: its name)")
    parser.add_argument("--key", type=bytes.fromhex, required=True, help="its key, in hexadecimal")
    parser.add_argument("--server-ca", type=Path, required=True, metavar="FILE", help="who vouches for the server (PEM)")
    parser.add_argument("--kept", type=Path, default=Path("oxy-0417.json"), help="where it keeps its certificate")
    chosen = parser.parse_args()
    identity = chosen.identity or chosen.endpoint
    with suppress(KeyboardInterrupt):
        asyncio.run(live(chosen.server, chosen.endpoint, identity, chosen.key, chosen.server_ca, chosen.kept))


if __name__ == "__main__":
    main()
