"""What the core gathered goes into the log, batch by batch; only then do its answers leave.

"Acknowledged means stored": `committed(n)` releases every answer up to batch n. When the log cannot take a batch, its
answers become 5.03 and the devices keep their data.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final

from shoal import metrics
from shoal.errors import Unavailable
from shoal.events.topics import DEVICE
from shoal.gateway.checkpoints import Checkpoints
from shoal.lwm2m.dataplane import Answer, Batch, DataPlane
from shoal.stream.log import PageIn, Pages

log = logging.getLogger(__name__)

# What waits together is stored together; more in one transaction would only delay its first answer.
EVENTS_PER_BATCH_MAX: Final = 65_536
# How long a call into the core waits: also how soon closing is noticed.
WAIT_S: Final = 0.25
# How often it looks, once it closes, whether the core has ended.
END_LOOK_S: Final = 0.02
# After the log refused: not at once again, or a full disk costs a whole core.
PAUSE_S: Final = 0.2
# Level 1 of zstd takes a sixth of the bytes for a tenth of the time of the next better choice (docs/decisions/0004).
ZSTD_LEVEL: Final = 1


class Uplink:
    """The thread that carries batches. In the event loop, `told` gets the answers to requests of ours, and `keep` what is
    to be kept for the next start."""

    def __init__(
        self,
        core: DataPlane,
        stream: Pages,
        told: Callable[[Sequence[Answer]], None],
        keep: Callable[[Checkpoints], None],
    ) -> None:
        self._core = core
        self._stream = stream
        self._told = told
        self._keep = keep
        self._loop = asyncio.get_running_loop()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)
        # Done when the thread ended: well, after `close`, or by an error that nobody foresaw.
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self.stored_events = 0
        self.refused_events = 0
        self.failure: Unavailable | None = None

    def start(self) -> None:
        self._thread.start()

    async def run(self) -> None:
        """Waits for the thread: an error in it is an error of the process, or devices would wait for ever."""
        await asyncio.shield(self._ended)

    async def close(self) -> None:
        """Takes what the core still holds, then ends. The core was told to close before."""
        self._closing.set()
        if self._thread.is_alive():  # not when the start failed before it
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            self._carry_all()
        except BaseException as error:  # noqa: BLE001  # the outermost loop of this thread
            self._loop.call_soon_threadsafe(self._ended.set_exception, error)
        else:
            self._loop.call_soon_threadsafe(self._ended.set_result, None)

    def _carry_all(self) -> None:
        while True:
            batch = self._core.next_batch(EVENTS_PER_BATCH_MAX, WAIT_S)
            if batch is not None:
                self._carry(batch)
            elif self._closing.is_set() and self._core.wait_closed(END_LOOK_S):
                return

    def _carry(self, batch: Batch) -> None:
        answers = batch.answers()
        if answers:
            self._loop.call_soon_threadsafe(self._told, answers)
        checkpoints = batch.checkpoints()
        if checkpoints is not None:
            # Beside the log: what devices say waits for no database.
            self._loop.call_soon_threadsafe(self._keep, checkpoints)
        try:
            if batch.count:
                began = perf_counter()
                self._stream.append_pages(DEVICE, self._pages(batch))
                metrics.uplink_seconds.observe(perf_counter() - began)
        except Unavailable as error:
            if self.failure is None:
                log.error("uplink.refused", extra={"neighbour": error.neighbour, "reason": error.reason})
            # Before devices hear of it: whoever asks then is told why.
            self.failure = error
            self.refused_events += batch.count
            self._core.refused(batch.seq)
            self._closing.wait(PAUSE_S)
            return
        self._core.committed(batch.seq)
        self.stored_events += batch.count
        if self.failure is not None:
            log.info("uplink.recovered", extra={"refused_events": self.refused_events})
            self.failure = None

    def _pages(self, batch: Batch) -> list[PageIn]:
        if self._stream.takes_messages:
            by_partition: dict[int, list[tuple[bytes, bytes]]] = {}
            for partition, key, value in batch.messages():
                by_partition.setdefault(partition, []).append((key, value))
            return [PageIn(partition, len(messages), messages=messages) for partition, messages in by_partition.items()]
        return [PageIn(partition, count, body, "zstd") for partition, count, body in batch.pages_zstd(ZSTD_LEVEL)]
