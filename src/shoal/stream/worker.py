"""Runs a room's handler over the stream: read, then in one transaction move the offset, handle, keep.

A batch is kept as a whole or not at all. What cannot be handled is buried on the dead-letter topic with its reason, and
the rest goes on. Time is judged by the watermark: up to when all of a partition is known to have been handled.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from time import perf_counter
from typing import Final, Protocol

import msgspec

from shoal import metrics
from shoal.clock import Clock
from shoal.errors import Rejected, Unavailable
from shoal.events.codec import AnyEvent, decode
from shoal.events.dead import RecordBuried
from shoal.events.device import CommandChanged, DeviceRemoved, Heartbeat, PlaceChanged, ProfileChanged
from shoal.events.topics import DEVICE, Topic
from shoal.storage import offsets
from shoal.storage.database import Database, Transaction
from shoal.storage.offsets import Position
from shoal.stream.beats import NOT_KNOWN_YET, Beats
from shoal.stream.log import Log, OffsetOutOfRange, Place, Record, Slice

logger = logging.getLogger(__name__)

# One transaction: long enough to spread the cost of its commit, short enough to be repeated after a fault.
RECORDS_PER_BATCH_MAX: Final = 1_000
# How long a read waits for the first record. Also how late a due timer may be noticed.
WAIT: Final = timedelta(milliseconds=200)
# A batch costs several milliseconds whatever is in it. Caught up, the next one is given this long to gather, so that a
# lane makes no more than two a second however the events trickle in; the first after a pause is handled at once.
GATHER: Final = timedelta(milliseconds=500)
# Timers are looked at this often while nothing arrives.
TIMERS_EVERY: Final = timedelta(seconds=1)
# A gateway's heartbeat tells that a partition is complete up to then; the next one may be this much later.
HEARTBEAT_EVERY: Final = timedelta(seconds=5)
# A neighbour that is away is asked again after the first, at last after the longest of these.
BACK_OFF: Final = tuple(timedelta(seconds=seconds) for seconds in (0.2, 0.5, 1, 2, 5))
# Records handled without writing anything cost no commit; after so many the offset is kept all the same, or a quiet
# partition (nothing but heartbeats) would fall behind retention. Also the most that is handled again after a crash.
UNKEPT_RECORDS_MAX: Final = 200
# Looks at the timers in one `drain`: a handler that always finds more to do has a fault.
LOOKS_PER_DRAIN_MAX: Final = 1_000
# Longest reason on the dead-letter topic: the text of an exception may hold a whole payload.
REASON_CHARACTERS_MAX: Final = 500


# What others than gateways write on the device topic: no sign that a gateway was there to hear a device.
_NOT_BY_THE_GATEWAY: Final = (CommandChanged, DeviceRemoved, PlaceChanged, ProfileChanged)


class Batch(msgspec.Struct, frozen=True):
    """What a handler gets: events of one partition in order, none when only timers may be due.

    `watermark` is up to when everything is in: judge all timers by it, never by a clock.
    """

    topic: Topic
    partition: int
    events: list[tuple[Record, AnyEvent]]
    watermark: datetime
    is_caught_up: bool


class Handler(Protocol):
    """A room's answer to events. It writes in the transaction it is given, and nowhere else."""

    @property
    def group(self) -> str:
        """The name under which its offsets are kept; one for each room."""
        ...

    @property
    def topics(self) -> Sequence[Topic]:
        """What it reads."""
        ...

    @property
    def timed(self) -> Sequence[Topic]:
        """Those of them whose watermark makes something due. On the others it is called only when something came."""
        ...

    async def handle(self, tx: Transaction, batch: Batch) -> None:
        """Folds the events, fires the timers that are due at the watermark. May be called again with the same batch."""
        ...


class Stuck(Exception):
    """The handler fails even without a record, so no record is to blame: somebody has to mend it."""


class _Fenced(Exception):
    """Somebody else has moved the offset: whatever this worker was about to write is out of date."""


class _Unchanged(Exception):
    """The handler wrote nothing: there is nothing to keep."""


class Lane:
    """One partition of one topic, and how far the worker has come in it."""

    def __init__(self, topic: Topic, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        # What is kept in the database; None until it was read, and after it turned out to be out of date.
        self.position: Position | None = None
        # Where to read on: ahead of the position by records that changed nothing.
        self.cursor = 0
        # Whom one has to hear, by the heartbeats that were read since it was taken up.
        self.beats = Beats()
        self.watermark: datetime | None = None
        # The watermark at which the timers were last found to have nothing to do; None when that is not known.
        self.settled: datetime | None = None
        self.is_caught_up = False
        # Records after the cursor, as the last read saw it, and since when there are some.
        self.behind = 0
        self.behind_since: datetime | None = None


class _Item(msgspec.Struct, frozen=True):
    """A record with its event, or with the reason why it has none."""

    record: Record
    event: AnyEvent | None
    reason: str = ""


class Worker:
    """One handler over all partitions of its topics. Create it when the log has started."""

    def __init__(self, log: Log, database: Database, handler: Handler, clock: Clock) -> None:
        self._log = log
        self._database = database
        self._handler = handler
        self._clock = clock
        self._drained_at: datetime | None = None
        self.lanes: Final = [Lane(topic, n) for topic in handler.topics for n in range(log.partitions(topic))]

    async def run(self) -> None:
        """Works on the partitions that are this process's share, until it is cancelled."""
        running: dict[Place, asyncio.Task[None]] = {}
        lanes = {(lane.topic, lane.partition): lane for lane in self.lanes}
        async with (
            asyncio.TaskGroup() as tasks,
            aclosing(self._log.shares(self._handler.group, self._handler.topics)) as shares,
        ):
            async for mine in shares:
                gone = [running.pop(place) for place in running.keys() - mine]
                for task in gone:
                    task.cancel()
                if gone:
                    await asyncio.wait(gone)
                for place in lanes.keys() - mine:
                    lanes[place].position = None
                for place in mine - running.keys():
                    # Another process may have been at it since.
                    lanes[place].position = None
                    running[place] = tasks.create_task(self._run_lane(lanes[place]))

    def behind(self) -> dict[tuple[str, int], int]:
        """How many records are still to be handled, by topic and partition, of those that are this process's share."""
        return {(lane.topic.name, lane.partition): lane.behind for lane in self.lanes if lane.position is not None}

    def lag(self) -> dict[str, timedelta]:
        """How old the record is that is handled last, by topic; nothing where all that there is was handled."""
        now, lags = self._clock.now(), {topic.name: timedelta() for topic in self._handler.topics}
        for lane in self.lanes:
            if lane.position is not None and lane.behind_since is not None:
                lags[lane.topic.name] = max(lags[lane.topic.name], now - lane.behind_since)
        return lags

    async def drain(self) -> None:
        """Handles all that is there and fires all that is due by now.

        For tests and rehearsals on a clock of their own; `run` is for everything else.
        """
        now = self._clock.now()
        if now != self._drained_at:
            # Something may be due that was not, however little time has passed.
            for lane in self.lanes:
                lane.settled = None
        self._drained_at = now
        for _ in range(LOOKS_PER_DRAIN_MAX):
            if not any([await self.step(lane, wait=timedelta()) for lane in self.lanes]):
                return
        raise Stuck(self._handler.group)

    async def _run_lane(self, lane: Lane) -> None:
        failures = 0
        while True:
            try:
                has_worked = await self.step(lane, wait=WAIT)
                failures = 0
                if has_worked and lane.is_caught_up:
                    await asyncio.sleep(GATHER.total_seconds())
            except (Unavailable, Stuck, OffsetOutOfRange) as error:
                level = logging.WARNING if isinstance(error, Unavailable) else logging.ERROR
                metrics.waits.labels(self._handler.group).inc()
                logger.log(level, "worker.waits", exc_info=error.__cause__, extra=self._names(lane, reason=str(error)))
                lane.position = None
                lane.is_caught_up = False
                await asyncio.sleep(BACK_OFF[min(failures, len(BACK_OFF) - 1)].total_seconds())
                failures += 1

    async def step(self, lane: Lane, *, wait: timedelta) -> bool:
        """Reads once and handles what it got; whether there was anything to do.

        Raises:
            Unavailable: the log or the database is away; nothing was lost.
            OffsetOutOfRange: events are missing; a person must decide.
            Stuck: the handler fails without a record.
        """
        try:
            held = lane.position or await self._take_up(lane)
            # Before the read: a record that the read does not see is not older than this.
            now = self._clock.now()
            part = await self._log.read(lane.topic, lane.partition, lane.cursor, limit=RECORDS_PER_BATCH_MAX, wait=wait)
            items = [_decoded(lane.topic, record) for record in part.records]
            watermark = _watermark(lane, items, part, now)
            lane.is_caught_up = part.is_caught_up
            lane.behind = part.end_offset - part.next_offset
            lane.behind_since = items[-1].record.time if items and lane.behind else None
            if items and watermark is not None:
                await self._handle(lane, items, part.next_offset, watermark, is_caught_up=part.is_caught_up)
                return True
            if watermark is None or not part.is_caught_up or lane.topic not in self._handler.timed:
                return False
            if lane.settled is not None and watermark < lane.settled + TIMERS_EVERY:
                return False
            return await self._fire(lane, held, part.next_offset, watermark)
        except _Fenced:
            logger.warning("worker.fenced", extra=self._names(lane))
            lane.position = None
            return False

    async def _take_up(self, lane: Lane) -> Position:
        """Begins where the database says; a new group begins at the first record there is."""
        first, _ = await self._log.bounds(lane.topic, lane.partition)
        held = await offsets.position(self._database, self._handler.group, lane.topic.name, lane.partition, first)
        lane.position = held
        lane.cursor = held.next_offset
        lane.watermark = held.watermark
        # Whoever has judged before waits for the next heartbeat: one of several gateways may have been away since.
        lane.beats = Beats() if held.watermark is None else NOT_KNOWN_YET
        lane.settled = None
        return held

    async def _handle(
        self,
        lane: Lane,
        items: Sequence[_Item],
        next_offset: int,
        watermark: datetime,
        *,
        is_caught_up: bool,
        is_last_try: bool = False,
    ) -> None:
        """Handles a batch; one that fails is halved until the one record is found that must be buried."""
        assert lane.position is not None  # noqa: S101  # the caller took it up
        try:
            await self._keep(lane, lane.position, items, next_offset, watermark, is_caught_up=is_caught_up)
            return
        except (Unavailable, _Fenced):
            raise
        except Exception as error:  # whatever a handler raises must not stop the stream
            reason = f"{type(error).__name__}: {error}"[:REASON_CHARACTERS_MAX]
            if len(items) == 1 and is_last_try:
                await self._try_without(lane, watermark)
                logger.exception("worker.buried", extra=self._names(lane, offset=items[0].record.offset))
                culprit = _Item(items[0].record, None, reason)
        if len(items) == 1 and is_last_try:
            await self._keep(lane, lane.position, [culprit], next_offset, watermark, is_caught_up=is_caught_up)
            return
        if len(items) == 1:
            # Perhaps it met another writer; then it now finds what that one wrote.
            logger.info("worker.tries_again", extra=self._names(lane, offset=items[0].record.offset, reason=reason))
            await self._handle(lane, items, next_offset, watermark, is_caught_up=is_caught_up, is_last_try=True)
            return
        middle = len(items) // 2
        first, second = items[:middle], items[middle:]
        reached = max(lane.watermark or first[-1].record.time, first[-1].record.time)
        await self._handle(lane, first, second[0].record.offset, min(reached, watermark), is_caught_up=False)
        await self._handle(lane, second, next_offset, watermark, is_caught_up=is_caught_up)

    async def _fire(self, lane: Lane, held: Position, next_offset: int, watermark: datetime) -> bool:
        """Only timers may be due. What fails is tried again in the next pass: there is no record to bury."""
        try:
            return await self._keep(lane, held, [], next_offset, watermark, is_caught_up=True)
        except (Unavailable, _Fenced):
            raise
        except Exception as error:
            raise Stuck(self._handler.group) from error

    async def _keep(
        self,
        lane: Lane,
        held: Position,
        items: Sequence[_Item],
        next_offset: int,
        watermark: datetime,
        *,
        is_caught_up: bool,
    ) -> bool:
        """One transaction: the fence, the handler, the dead. Whether anything was written."""
        events = [(item.record, item.event) for item in items if item.event is not None]
        batch = Batch(lane.topic, lane.partition, events, watermark, is_caught_up)
        group = self._handler.group
        kept = held
        has_written = True
        began = perf_counter()
        try:
            async with self._database.transaction() as tx:
                moved = await offsets.move(tx, group, lane.topic.name, lane.partition, held, next_offset, watermark)
                if moved is None:
                    raise _Fenced
                before = tx.changes
                await self._handler.handle(tx, batch)
                for item in items:
                    if item.event is None:
                        tx.publish(_buried(group, item, self._clock.now()))
                if tx.changes == before and next_offset - held.next_offset < UNKEPT_RECORDS_MAX:
                    raise _Unchanged
                kept = moved
        except _Unchanged:
            has_written = False
        lane.position = kept
        lane.cursor = next_offset
        lane.watermark = watermark
        lane.settled = None if has_written or items else watermark
        if has_written:
            metrics.batch_seconds.labels(group).observe(perf_counter() - began)
            metrics.buried.labels(group).inc(len(items) - len(events))
            if items:
                age = self._clock.now() - items[0].record.time
                metrics.handled_seconds.labels(group).observe(age.total_seconds())
        return has_written

    async def _try_without(self, lane: Lane, watermark: datetime) -> None:
        """Handles nothing at this watermark and keeps none of it: if that fails too, no record is to blame."""
        try:
            async with self._database.transaction() as tx:
                await self._handler.handle(tx, Batch(lane.topic, lane.partition, [], watermark, is_caught_up=False))
                raise _Unchanged
        except _Unchanged:
            return
        except Unavailable:
            raise
        except Exception as error:
            raise Stuck(self._handler.group) from error

    def _names(self, lane: Lane, **more: object) -> dict[str, object]:
        return {"group": self._handler.group, "topic": lane.topic.name, "partition": lane.partition, **more}


def _watermark(lane: Lane, items: Sequence[_Item], part: Slice, now: datetime) -> datetime | None:
    """Up to when everything is in once these items are handled; None while nothing was ever seen.

    During a backlog that is the time of the last record: by the clock, every device would be silent after a restart.
    Caught up, it follows the clock; for what gateways write only as far as their heartbeats say that they were there.
    Of several gateways each must have said so, and no further: what one writes tells nothing of the others.
    """
    for item in items:
        if isinstance(item.event, Heartbeat):
            lane.beats = lane.beats.after(item.event, item.record.time)
    known = [lane.watermark] if lane.watermark else []
    complete = lane.beats.complete_until
    if lane.topic is not DEVICE or lane.beats.is_alone:
        heard = [item.record.time for item in items if not isinstance(item.event, _NOT_BY_THE_GATEWAY)]
        known += heard[-1:]
        if part.is_caught_up and lane.topic is not DEVICE:
            known.append(now)
        elif part.is_caught_up and complete is not None:
            known.append(min(now, complete + HEARTBEAT_EVERY))
    elif complete is not None:
        known.append(min(now, complete))
    if not known and items:
        # Before the gateway was ever there: nobody can have been silent yet.
        known.append(items[0].record.time)
    return max(known, default=None)


def _decoded(topic: Topic, record: Record) -> _Item:
    try:
        return _Item(record, decode(topic, record.value))
    except Rejected as error:
        return _Item(record, None, str(error)[:REASON_CHARACTERS_MAX])


def _buried(group: str, item: _Item, now: datetime) -> RecordBuried:
    record = item.record
    return RecordBuried(
        # The same record buried twice, by a replay, is the same event.
        id=f"dead-{group}-{record.topic}-{record.partition}-{record.offset}",
        time=now,
        group=group,
        source=record.topic,
        partition=record.partition,
        offset=record.offset,
        source_key=record.key,
        reason=item.reason,
        value=record.value,
    )
