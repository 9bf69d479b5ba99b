"""How many events a second one health worker takes: from a log filled beforehand, into a database on disk.

`--database` names another database than a new SQLite file. Prints one line of JSON.
"""

import argparse
import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from shoal.clock import SystemClock
from shoal.events.codec import encode
from shoal.events.device import Heartbeat, ProfileChanged, Reading, ReadingsReported
from shoal.events.topics import DEVICE
from shoal.health.worker import HealthHandler
from shoal.storage.database import Database
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.log import PageIn, partition_of
from shoal.stream.worker import Worker

PARTITIONS: Final = 4
# What the gateway makes of a busy linger.
EVENTS_PER_PAGE: Final = 500
LAG: Final = timedelta(seconds=30)


def pages(devices: int, events: int, now: datetime) -> list[PageIn]:
    """Devices that are told to health, then their readings in turn, as pages of the gateway."""
    lines: dict[int, list[bytes]] = {partition: [] for partition in range(PARTITIONS)}
    for number in range(devices):
        known = ProfileChanged(
            id=f"profile-{number}",
            time=now,
            device=_device(number),
            tenant="ten-0a7kqm3x",
            farm=f"frm-{number // 50:07}x",
            enclosure=f"enc-{number // 10:07}x",
            endpoint=f"sal-{number:06}",
            profile="battery-sensor",
            kind="sensor",
            report_every_s=900,
            grace_s=None,
            awake_window_s=93,
            created_at=now,
        )
        lines[partition_of(_device(number), PARTITIONS)].append(encode(known))
    for partition in range(PARTITIONS):
        lines[partition].append(encode(Heartbeat(id=f"beat-{partition}", time=now, partition=partition)))
    for count in range(events):
        number = count % devices
        at = now + LAG * (count / events)
        reading = ReadingsReported(
            id=f"reading-{count}",
            time=at,
            device=_device(number),
            tenant="ten-0a7kqm3x",
            farm=f"frm-{number // 50:07}x",
            enclosure=f"enc-{number // 10:07}x",
            endpoint=f"sal-{number:06}",
            via="send",
            readings=[
                Reading(path="/3303/0/5700", value=4 + count % 1_600 / 100),
                Reading(path="/3/0/9", value=100 - count % 50),
            ],
        )
        lines[partition_of(_device(number), PARTITIONS)].append(encode(reading))
    return [
        PageIn(partition, len(some), b"\n".join(some) + b"\n")
        for partition, all_lines in lines.items()
        for first in range(0, len(all_lines), EVENTS_PER_PAGE)
        for some in [all_lines[first : first + EVENTS_PER_PAGE]]
    ]


def _device(number: int) -> str:
    return f"dev-{number:07}x"


async def measure(options: argparse.Namespace) -> dict[str, float | int]:
    clock = SystemClock()
    log = EmbeddedLog(options.data, partitions=PARTITIONS, clock=clock)
    await log.start()
    filled = pages(options.devices, options.events, datetime.now(UTC) - LAG)
    log.append_pages(DEVICE, filled)
    database = await Database.open(options.database or f"sqlite:///{options.data}/shoal.db", migrate=False)
    worker = Worker(log, database, HealthHandler(), clock)
    began, cpu = time.monotonic(), time.process_time()
    while any([await worker.step(lane, wait=timedelta()) for lane in worker.lanes if lane.topic is DEVICE]):
        pass
    took, cpu = time.monotonic() - began, time.process_time() - cpu
    await database.close()
    await log.close()
    count = sum(page.count for page in filled)
    return {"events": count, "devices": options.devices, "duration_s": took, "cpu_s": cpu}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--devices", type=int, required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--database")
    print(json.dumps(asyncio.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
