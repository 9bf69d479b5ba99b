"""The agent on a Linux camera: what it is, how it is, settings that outlive a restart, and its firmware.

    python docs/examples/server.py --endpoint cam-0001
    python docs/examples/agent.py --folder /var/lib/camera

Everything that must not be forgotten is in one folder. An image is taken if it begins with `IMAGE ` and a version; it is
installed by putting it into that folder, where a boot loader would find it.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shoal import lwm2m
from shoal.errors import Rejected
from shoal.lwm2m.firmware import Result
from shoal.lwm2m.state import load


class Camera(lwm2m.Object, id=3):
    """The Device object: who made it, how much memory is free, what time it is."""

    maker: str = lwm2m.resource(0, default="Example Works")
    model: str = lwm2m.resource(1, default="Fjord Eye")
    firmware: str = lwm2m.resource(3)
    free_kb: int = lwm2m.resource(10)
    errors: list[int] = lwm2m.resource(11, default=[0])
    at: datetime = lwm2m.resource(13)
    offset: str = lwm2m.resource(14, default="+00:00")
    binding: str = lwm2m.resource(16, default="U")

    @lwm2m.measured(10, every=timedelta(seconds=30))
    def measure_memory(self) -> int:
        return free_kb()

    @lwm2m.measured(13)
    def read_clock(self) -> datetime:
        return datetime.now(UTC)

    @lwm2m.check(13)
    def keep_own_time(self) -> None:
        raise lwm2m.Refusal("4.05", "the time comes from NTP")

    @lwm2m.check(14)
    def check_offset(self, offset: str) -> None:
        try:
            time.strptime(offset, "%z")
        except ValueError:
            raise lwm2m.Refusal("4.00", "an offset is like +02:00") from None

    @lwm2m.execute(4)
    def reboot(self, arguments: Mapping[str, str]) -> None:
        print(f"would reboot now ({dict(arguments)})")


class Light(lwm2m.Object, id=3311):
    """A lamp. Servers may set up as many as they like."""

    is_on: bool = lwm2m.resource(5850, default=False)
    dimmer: int = lwm2m.resource(5851, default=100)
    application: str = lwm2m.resource(5750, default="")

    @lwm2m.check(5851)
    def check_dimmer(self, dimmer: int) -> None:
        if not 0 <= dimmer <= 100:
            raise lwm2m.Refusal("4.00", "a dimmer goes from 0 to 100")

    @lwm2m.written(5850)
    def switched(self, is_on: bool) -> None:
        print(f"{self.path} is {'on' if is_on else 'off'}")


def free_kb() -> int:
    """Memory that is free, in kilobytes."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024


def version_of(image: bytes) -> str | None:
    """The version that an image says it is; None when it is no image of ours."""
    words = image.partition(b"\n")[0].split()
    return words[1].decode("ascii", "replace") if len(words) == 2 and words[0] == b"IMAGE" else None


def build(server: str, endpoint: str, key: bytes, folder: Path) -> lwm2m.Device:
    """The device with all that is in it."""
    installed = folder / "image"
    version = version_of(installed.read_bytes()) if installed.exists() else None
    device = lwm2m.Device(
        endpoint, server, identity=endpoint, key=key, lifetime=timedelta(minutes=10), state=folder / "state.json"
    )
    camera = Camera(firmware=version or "1.0", free_kb=0, at=datetime.now(UTC))
    device.add(camera)
    Light.made_by_servers(device)

    async def install(image: bytes) -> Result:
        beside = folder / ".image.new"
        await asyncio.to_thread(beside.write_bytes, image)
        beside.replace(installed)
        camera.firmware = version_of(image) or "?"
        return Result.SUCCESS

    lwm2m.Firmware(
        device,
        install,
        verify=lambda image: Result.INITIAL if version_of(image) else Result.PACKAGE_UNSUPPORTED,
        boot=lambda: print("would start the new image now"),
    )
    return device


async def live(server: str, endpoint: str, key: bytes, folder: Path, every_s: float) -> None:
    """Runs until it is interrupted."""
    keep_aside_if_damaged(folder / "state.json")
    async with build(server, endpoint, key, folder) as device:
        await device.registered(timedelta(days=365))
        print(f"{endpoint} is registered with {server}")
        while True:
            # Kept while the link is down, over a restart, too, and sent with its time when it is back.
            device.record("/3/0/10", free_kb())
            await asyncio.sleep(every_s)


def keep_aside_if_damaged(state: Path) -> None:
    """Settings are worth less than a camera that comes up. The file stays for whoever wants to look."""
    try:
        load(state)
    except Rejected as rejected:
        print(f"begins afresh: {rejected}")
        state.replace(state.with_suffix(".damaged"))


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="coaps://127.0.0.1:5684", help="coaps://HOST:PORT (default %(default)s)")
    parser.add_argument("--endpoint", default="cam-0001", help="its name (default %(default)s)")
    parser.add_argument("--key", type=bytes.fromhex, default="000102030405060708090a0b0c0d0e0f", help="its key")
    parser.add_argument("--folder", type=Path, default=Path(), help="what it must not forget (default: here)")
    parser.add_argument("--every", type=float, default=60.0, metavar="SECONDS", help="how often it reports")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with suppress(KeyboardInterrupt):
        asyncio.run(live(chosen.server, chosen.endpoint, chosen.key, chosen.folder, chosen.every))


if __name__ == "__main__":
    main()
