"""What the demo's devices do: report believable values, sleep, run low, pull a new model and reboot.

Each is a real LwM2M client over DTLS. Timings follow the demo's profile (reports every 5 s, lifetime 30 s), so that a
visitor sees something happen without waiting for hours.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from shoal.demo import world
from shoal.demo.downloads import fetch_by_http
from shoal.demo.farm import Inhabitant, Quantity
from shoal.errors import DeviceFault
from shoal.lwm2m.device import Device
from shoal.lwm2m.firmware import Firmware, Method, Protocol, Result

REPORT_EVERY: Final = timedelta(seconds=5)
LIFETIME: Final = timedelta(seconds=30)
AWAKE_WINDOW: Final = timedelta(seconds=2)
INSTALL_TAKES: Final = timedelta(seconds=4)
REBOOT_TAKES: Final = timedelta(seconds=3)
MODEL_BEFORE: Final = "2.0.3"

# Not every make of camera takes a model in the same way.
PUSHED_TO: Final = frozenset({"cam-0301"})
FETCH_BY_HTTP: Final = frozenset({"cam-0201"})


class Inhabited:
    """One device of the demo, alive: the client and what it is made to do."""

    def __init__(
        self, who: Inhabitant, device: Device, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.who = who
        self.device = device
        self._now = now
        self.battery_full_since = now() - timedelta(days=random.uniform(2, 40))
        self.battery_level_full = 100.0
        self.battery_drain_per_day = 1.1
        self.battery_lowest = 0
        self.is_powered = True
        self.update_goes_wrong = False
        self.model = MODEL_BEFORE
        self.firmware: Firmware | None = None

    def prepare(self) -> None:
        """Fills the tree before the device registers for the first time."""
        device, who = self.device, self.who
        device.set("/1/0/0", 1)
        device.set("/1/0/1", int(LIFETIME.total_seconds()))
        device.set("/1/0/7", "UQ" if who.sleeps else "U")
        device.set("/3/0/0", "Shoal demo")
        device.set("/3/0/1", {"camera": "Fjord Eye 2", "sensor": "Probe 7"}[who.kind])
        device.set("/3/0/2", f"SN-{who.endpoint}")
        device.set("/3/0/3", "2.8.1" if who.kind == "sensor" else "4.2.0")
        # Kilobytes. A new model needs room beside the old one, or no update begins.
        device.set("/3/0/10", 6_144)
        device.set("/3/0/21", 8_192)
        device.set("/3/0/11/0", 0)
        device.set("/3/0/16", "U")
        device.set("/4/0/0", 7)
        device.set("/4/0/1/0", 7)
        device.set("/26241/0/1", who.spot.depth_m)
        device.set("/26241/0/2", f"{who.home.enclosure}, hung at {who.spot.depth_m:g} m")
        device.on_execute("/3/0/4", lambda path, arguments: self.reboot())  # noqa: ARG005
        if who.kind == "camera":
            device.set("/5/0/6", "fish-count")
            device.set("/5/0/7", self.model)
        by_http = who.endpoint in FETCH_BY_HTTP
        self.firmware = Firmware(
            device,
            self._install,
            boot=self.power_on,
            method=Method.PUSH if who.endpoint in PUSHED_TO else Method.PULL,
            protocols=(Protocol.COAPS, Protocol.HTTP) if by_http else (Protocol.COAPS,),
            fetch_web=fetch_by_http if by_http else None,
        )
        self.measure()

    def measure(self) -> list[str]:
        """Sets what it would measure now; returns the paths that belong into a report."""
        now, spot = self._now(), self.who.spot
        percent = world.battery_percent(
            self.battery_full_since, now, self.battery_drain_per_day, self.battery_level_full
        )
        percent = max(self.battery_lowest, percent)
        values: dict[str, bool | int | float | str] = {
            "/4/0/2": world.signal_dbm(spot, now),
            "/3/0/13": int(now.timestamp()),
        }
        if self.who.sleeps:
            values |= {"/3/0/9": percent, "/3/0/7/0": world.battery_mv(percent)}
        match self.who.quantity:
            case Quantity.TEMPERATURE:
                values |= {"/3303/0/5700": world.temperature_c(spot, now), "/3303/0/5701": "Cel"}
            case Quantity.OXYGEN:
                values |= {
                    "/3300/0/5700": world.oxygen_mg_l(spot, now),
                    "/3300/0/5701": "mg/L",
                    "/3300/0/5750": "Dissolved oxygen",
                }
            case Quantity.SALINITY:
                values |= {
                    "/3300/0/5700": world.salinity_psu(spot, now),
                    "/3300/0/5701": "PSU",
                    "/3300/0/5750": "Salinity",
                }
            case Quantity.VIDEO:
                values |= {
                    "/26242/0/0": world.frames_per_second(spot, now),
                    "/26242/0/1": 25.0,
                    "/26242/0/2": int(now.timestamp()),
                    "/26242/0/4": 2,
                    "/26242/0/5": 2,
                    "/26242/0/6": "fish-count",
                    "/26242/0/7": self.model,
                    "/26242/0/8": 0,
                    "/26242/0/9": 41,
                    "/26242/0/10": world.detections_per_hour(spot, now),
                    "/26242/0/11": 0.82,
                }
        for path, value in values.items():
            self.device.set(path, value)
        constant = {"/3303/0/5701", "/3300/0/5701", "/3300/0/5750", "/3/0/13", "/26242/0/1", "/26242/0/6"}
        return [path for path in values if path not in constant]

    async def live(self) -> None:
        """Reports for ever. A report that fails is made up for by the next."""
        await asyncio.sleep(random.uniform(0, REPORT_EVERY.total_seconds()))
        while True:
            if self.is_powered:
                # After a refusal the client registers again by itself, and the next report carries fresh values.
                with contextlib.suppress(DeviceFault):
                    await self.device.send(*self.measure())
            await asyncio.sleep(REPORT_EVERY.total_seconds())

    def drain(self, level: float, per_day: float, lowest: int = 0) -> None:
        """From now on the battery falls from `level` by `per_day` points, and stays at `lowest`."""
        self.battery_full_since = self._now()
        self.battery_level_full = level
        self.battery_drain_per_day = per_day
        self.battery_lowest = lowest

    def lose_power(self) -> None:
        """As when somebody pulls the plug."""
        self.is_powered = False
        self.device.lose_power()

    def power_on(self) -> None:
        """The plug is back."""
        self.is_powered = True
        self.device.power_on()

    async def reboot(self) -> None:
        """Gone for a moment, then registered anew."""
        self.lose_power()
        await asyncio.sleep(REBOOT_TAKES.total_seconds())
        self.power_on()
        if self.firmware is not None:
            self.firmware.resume()

    async def _install(self, package: bytes) -> Result:
        await asyncio.sleep(INSTALL_TAKES.total_seconds())
        version = packaged_version(package)
        self.lose_power()
        await asyncio.sleep(REBOOT_TAKES.total_seconds())
        if version is None:
            return Result.INTEGRITY_FAILED
        if self.update_goes_wrong:
            # The new model does not load: the boot loader goes back to the one before.
            return Result.UPDATE_FAILED
        self.model = version
        self.device.set("/5/0/7", version)
        self.device.set("/26242/0/7", version)
        return Result.SUCCESS


def model_package(name: str, version: str, size: int, seed: int) -> bytes:
    """A recognition model as the demo's cameras understand it: a header line, then weights that mean nothing."""
    header = f"SHOAL-DEMO-MODEL {name} {version}\n".encode()
    return header + random.Random(seed).randbytes(size - len(header))


def packaged_version(package: bytes) -> str | None:
    """The version in a package's header, None when it is no package of ours."""
    words = package.partition(b"\n")[0].split()
    return words[2].decode() if len(words) == 3 and words[0] == b"SHOAL-DEMO-MODEL" else None
