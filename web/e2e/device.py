"""A device that somebody switches on: `device.py COAPS ENDPOINT KEY`. Reports a temperature until it is ended."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from shoal.lwm2m import Device  # noqa: E402


async def live(server: str, endpoint: str, key: str) -> None:
    async with Device(endpoint, server, identity=endpoint, key=bytes.fromhex(key)) as device:
        device.set("/3303/0/5700", 8.5)
        await device.registered()
        await device.send("/3303/0/5700")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(live(*sys.argv[1:4]))
