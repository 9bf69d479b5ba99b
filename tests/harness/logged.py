"""What stands in the embedded log of an installation that is down."""

from datetime import timedelta
from pathlib import Path

from shoal.events.codec import decode
from shoal.events.device import AnyDeviceEvent
from shoal.events.topics import DEVICE
from shoal.lwm2m.dataplane import decompress
from shoal.settings import Settings
from shoal.stream.embedded import EmbeddedLog


async def logged(folder: Path) -> list[AnyDeviceEvent]:
    """Everything that devices did, those of one device in their order."""
    partitions = int(Settings.model_fields["partitions"].default)
    log = EmbeddedLog(folder, partitions=partitions, decompress=decompress)
    await log.start()
    found: list[AnyDeviceEvent] = []
    for partition in range(partitions):
        offset, end = await log.bounds(DEVICE, partition)
        while offset < end:
            part = await log.read(DEVICE, partition, offset, limit=1_000, wait=timedelta())
            found.extend(decode(DEVICE, record.value) for record in part.records)
            offset = part.next_offset
    await log.close()
    return found
