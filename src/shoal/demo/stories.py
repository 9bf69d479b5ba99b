"""The stories that happen by themselves, so that a visitor sees within two minutes what Shoal is for.

Each plays for ever: something goes wrong, stays wrong long enough to be looked at, and is put right.
"""

import asyncio
from datetime import timedelta
from typing import Final

from shoal.demo import farm
from shoal.demo.devices import Inhabited

# When the curtain rises: after the first readings have drawn a line, spread so that one thing happens at a time.
BATTERY_STARTS: Final = timedelta(seconds=10)
CLAIM_STARTS: Final = timedelta(seconds=25)
SILENCE_STARTS: Final = timedelta(seconds=40)

# A battery that falls a point every 2.5 s from 30 % is low (25 %) after a quarter of a minute and critical after one.
BATTERY_LEVEL_AT_START: Final = 30.0
BATTERY_DRAIN_PER_DAY: Final = 24 * 3600 / 2.5
BATTERY_EMPTY_FOR: Final = timedelta(minutes=6)
SILENT_FOR: Final = timedelta(minutes=6)
QUIET_BETWEEN: Final = timedelta(minutes=20)


async def battery_runs_low(inhabited: Inhabited) -> None:
    """A salinity probe's battery dies within a minute; later somebody comes by boat and changes it."""
    await _wait(BATTERY_STARTS)
    while True:
        inhabited.drain(BATTERY_LEVEL_AT_START, BATTERY_DRAIN_PER_DAY, lowest=7)
        await _wait(BATTERY_EMPTY_FOR)
        inhabited.drain(100.0, 1.1)
        await _wait(QUIET_BETWEEN)


async def camera_goes_silent(inhabited: Inhabited) -> None:
    """A camera loses power without a word, and comes back when somebody has found the plug."""
    await _wait(SILENCE_STARTS)
    while True:
        inhabited.lose_power()
        await _wait(SILENT_FOR)
        inhabited.power_on()
        await _wait(QUIET_BETWEEN)


async def sensor_claims_another_enclosure(inhabited: Inhabited, home: str, other: str) -> None:
    """A sensor was hung into the neighbouring pen and says so; nobody told Shoal. Much later it is hung back."""
    await _wait(CLAIM_STARTS)
    while True:
        inhabited.device.claim(other)
        await _wait(QUIET_BETWEEN * 3)
        inhabited.device.claim(home)
        await _wait(QUIET_BETWEEN)


def play(cast: dict[str, Inhabited], enclosures: dict[str, str]) -> list[asyncio.Task[None]]:
    """Starts all stories; `cast` by endpoint, `enclosures` from name to id."""
    cast[farm.UPDATE_FAILS].update_goes_wrong = True
    mover = cast[farm.CLAIMS_ANOTHER_ENCLOSURE]
    home = mover.who.home.enclosure
    other = next(
        layout.enclosure for layout in farm.LAYOUT if layout.farm == mover.who.home.farm and layout.enclosure > home
    )
    return [
        asyncio.create_task(battery_runs_low(cast[farm.BATTERY_RUNS_LOW]), name="story: battery runs low"),
        asyncio.create_task(camera_goes_silent(cast[farm.GOES_SILENT]), name="story: camera goes silent"),
        asyncio.create_task(
            sensor_claims_another_enclosure(mover, enclosures[home], enclosures[other]), name="story: claim"
        ),
    ]


async def _wait(span: timedelta) -> None:
    await asyncio.sleep(span.total_seconds())
