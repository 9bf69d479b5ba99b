"""Our side of a comparison as a process of its own: the core, and what stands behind it in this set-up.

`hands`: batches reach Python, are dropped there, and only then answered: what the border costs. `embedded` and `kafka`:
the gateway's own uplink into a real log; no answer leaves before its event is durable. Says `ready <uri>`; a line on
standard input is answered with the counters; at the end of the input it closes as the product does.
"""

import argparse
import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench.certificates import Certificates
from shoal.gateway.uplink import EVENTS_PER_BATCH_MAX, WAIT_S, Uplink
from shoal.lwm2m.dataplane import DataPlane, DeviceCredential, DeviceEntry, decompress
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.kafka import KafkaConfig, KafkaLog
from shoal.stream.log import Log
from shoal.stream.worker import HEARTBEAT_EVERY

# As `shoal up` has it by default.
PARTITIONS: Final = 4
LINGER_MS: Final = 2.0
# Entries made at once: as the gateway's roster does it.
ENTRIES_PER_ROUND: Final = 1_000
# How long the last answers may take to leave.
CLOSING_TAKES_MAX_S: Final = 2.0


# Whose authorities vouch for the clients.
OWNER: Final = "bench"


def credentials(endpoint: str, key: bytes | None, certificates: Certificates | None) -> list[DeviceCredential] | None:
    """How a device is known."""
    if certificates is not None:
        return [DeviceCredential.named(endpoint, OWNER)]
    return None if key is None else [DeviceCredential.psk(endpoint, endpoint.encode(), key)]


def entry(
    number: int, prefix: str, key: bytes | None, certificates: Certificates | None, *, observes: bool
) -> DeviceEntry:
    """A device as the inventory would describe it: a farm of fifty, ten to a pen."""
    endpoint = f"{prefix}{number:06}"
    place = f'"tenant":"ten-0a7kqm3x","farm":"frm-{number // 50:07}x","enclosure":"enc-{number // 10:07}x"'
    return DeviceEntry(
        device=f"dev-{number:07}x",
        endpoint=endpoint,
        credentials=credentials(endpoint, key, certificates),
        context=f'{place},"endpoint":"{endpoint}"',
        observe=[("/3303/0/5700", "")] if observes else [],
    )


@asynccontextmanager
async def dropping(core: DataPlane) -> AsyncIterator[None]:
    """Takes every batch as Python would get it, forgets it, and lets its answers go."""
    is_over = threading.Event()

    def run() -> None:
        while not is_over.is_set():
            batch = core.next_batch(EVENTS_PER_BATCH_MAX, WAIT_S)
            if batch is not None:
                batch.pages()
                core.committed(batch.seq)

    thread = threading.Thread(target=run, name="uplink")
    thread.start()
    try:
        yield
    finally:
        await asyncio.to_thread(core.close)
        is_over.set()
        await asyncio.to_thread(thread.join)


@asynccontextmanager
async def storing(core: DataPlane, log: Log) -> AsyncIterator[None]:
    """The gateway's own way into a log."""
    await log.start()
    uplink = Uplink(core, log, lambda _answers: None, lambda _checkpoints: None)
    uplink.start()
    try:
        yield
    finally:
        await asyncio.to_thread(core.close)
        await uplink.close()
        await asyncio.to_thread(core.wait_closed, CLOSING_TAKES_MAX_S)
        await log.close()


async def serve(options: argparse.Namespace) -> None:
    core = DataPlane(
        [options.listen],
        boot="beefbeef",
        partitions=PARTITIONS,
        linger_ms=options.linger_ms,
        heartbeat_s=HEARTBEAT_EVERY.total_seconds(),
    )
    key = None if options.key is None else bytes.fromhex(options.key)
    certificates = None if options.certificates is None else Certificates(options.certificates)
    if certificates is not None:
        core.set_certificate([certificates.server.read_bytes()], certificates.key.read_bytes())
        refused = core.put_authorities([(OWNER, certificates.authority.read_bytes(), "")])
        if refused:
            raise SystemExit(f"the authority was refused: {refused}")
    for first in range(0, options.devices, ENTRIES_PER_ROUND):
        numbers = range(first, min(first + ENTRIES_PER_ROUND, options.devices))
        entries = [entry(n, options.prefix, key, certificates, observes=options.observe) for n in numbers]
        not_taken = core.put_devices(entries)
        if not_taken:
            raise SystemExit(f"{len(not_taken)} devices were refused: {not_taken[0]}")
    match options.setup:
        case "hands":
            way = dropping(core)
        case "embedded":
            log = EmbeddedLog(options.data, partitions=PARTITIONS, decompress=decompress)
            way = storing(core, log)
        case _:
            way = storing(core, KafkaLog(KafkaConfig(options.kafka, PARTITIONS), decompress=decompress))
    async with way:
        print("ready", core.addresses()[0], flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(core.stats()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("setup", choices=("hands", "embedded", "kafka"))
    parser.add_argument("--listen", required=True)
    parser.add_argument("--devices", type=int, required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--key")
    parser.add_argument("--certificates", type=Path)
    parser.add_argument("--observe", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--kafka")
    parser.add_argument("--linger-ms", type=float, default=LINGER_MS)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
