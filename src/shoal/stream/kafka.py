"""The log on Apache Kafka.

Records carry their partition: the hash is ours (`log.partition_of`), because the Rust core places its events by it too.
One producer for all; one consumer for each reader of a partition, which seeks only when it is not where it was left.
Kafka's consumer groups say which process works on which partition and no more: what a group has handled stands in the
database, beside what it led to.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from shoal.errors import Rejected, Unavailable
from shoal.events.topics import TOPICS, Topic
from shoal.storage.tables import moment
from shoal.stream.group import Member
from shoal.stream.log import Decompress, Entry, OffsetOutOfRange, PageIn, Place, Record, Slice, partition_of
from shoal.stream.page import unpack

logger = logging.getLogger(__name__)

# A record that is not durable by then is refused, and the gateway answers 5.03: longer than an election of a leader.
DELIVERY_MS_MAX: Final = 10_000
# How long a question to the cluster (metadata, bounds) may take.
ANSWER_S_MAX: Final = 5.0
# Records that wait in the producer: its memory bound, with 200 bytes each.
PRODUCER_KIB_MAX: Final = 65_536
# What one consumer fetches ahead: a batch or two of a worker.
CONSUMER_KIB_MAX: Final = 2_048
# Reads that wait at the same time: each group waits in each of its partitions, and a thread costs little.
READS_MAX: Final = 256
# Consumers that are idle after their reader went away; more than that many are closed.
IDLE_CONSUMERS_MAX: Final = 64
# librdkafka's own codes begin with an underscore; they are public all the same.
_QUEUE_FULL: Final = KafkaError._QUEUE_FULL  # noqa: SLF001
_END_OF_PARTITION: Final = KafkaError._PARTITION_EOF  # noqa: SLF001
_NO_SUCH_OFFSET: Final = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}  # noqa: SLF001
# A topic that was made a moment ago, or an election of a leader: both are over in a moment, and no reason to give up.
_NO_LEADER_YET: Final = {
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
LEADER_AGAIN_S: Final = 0.05
REMEDY: Final = "Check that the brokers run, and the setting `kafka`"


@dataclass(frozen=True, slots=True)
class KafkaConfig:
    """Where the brokers are. `options` are librdkafka's own settings, such as `security.protocol`."""

    servers: str
    partitions: int
    replication: int = 1
    options: Mapping[str, str] | None = None

    def client(self, **more: Any) -> dict[str, Any]:
        # Standard error is ours: what the library would print there comes to `error_cb`, or as an exception.
        return {"bootstrap.servers": self.servers, "log_level": 0, **(self.options or {}), **more}


class _Delivery:
    """How many records of one append are still under way; done when none is, or one failed."""

    def __init__(self, count: int) -> None:
        self.done: Future[None] = Future()
        self._missing = count
        self._error: KafkaError | None = None
        self._lock = threading.Lock()

    def report(self, error: KafkaError | None, _message: Message | None) -> None:
        with self._lock:
            self._error = self._error or error
            self._missing -= 1
            is_last = self._missing == 0
        # Only when all are settled: a caller that repeats must not meet its own stragglers.
        if is_last and not self.done.cancelled():
            if self._error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(_unavailable(self._error))


class KafkaLog:
    """Topics on a Kafka cluster, with the partitions and retention that our topics ask for."""

    takes_messages: Final = True

    def __init__(self, config: KafkaConfig, *, decompress: Decompress | None = None) -> None:
        self._config = config
        self._decompress = decompress
        self._producer: Producer | None = None
        self._is_broken = False
        self._poller: threading.Thread | None = None
        self._closing = threading.Event()
        self._threads = ThreadPoolExecutor(READS_MAX, thread_name_prefix="kafka")
        self._idle: list[_Reader] = []
        self._idle_lock = threading.Lock()

    async def start(self) -> None:
        await asyncio.to_thread(self._create_topics)
        self._producer = self._new_producer()
        self._poller = threading.Thread(target=self._poll, name="kafka-delivery", daemon=True)
        self._poller.start()

    async def close(self) -> None:
        self._closing.set()
        if self._poller is not None:
            await asyncio.to_thread(self._poller.join)
        if self._producer is not None:
            await asyncio.to_thread(self._producer.flush, ANSWER_S_MAX)
        await asyncio.to_thread(self._threads.shutdown)
        for reader in self._idle:
            reader.close()
        self._idle.clear()

    def partitions(self, topic: Topic) -> int:  # noqa: ARG002  # the same for all
        return self._config.partitions

    async def append(self, topic: Topic, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        count = self._config.partitions
        records = [(partition_of(entry.key, count), entry.key.encode(), entry.value) for entry in entries]
        # In a thread: a full queue makes it wait.
        delivery = await asyncio.to_thread(self._produce, topic, records)
        await asyncio.wrap_future(delivery.done)

    def append_pages(self, topic: Topic, pages: Sequence[PageIn]) -> None:
        records: list[tuple[int, bytes, bytes]] = []
        for page in pages:
            if not 0 <= page.partition < self._config.partitions:
                raise Rejected("partition", f"{page.partition} of {self._config.partitions}")
            if page.messages:
                records.extend((page.partition, key, value) for key, value in page.messages)
            elif page.count:
                entries = unpack(page.codec, page.body, page.count, self._decompress)
                records.extend((page.partition, entry.key.encode(), entry.value) for entry in entries)
        if records:
            self._produce(topic, records).done.result()

    async def shares(self, group: str, topics: Sequence[Topic]) -> AsyncGenerator[frozenset[Place], None]:
        loop = asyncio.get_running_loop()
        changes: asyncio.Queue[frozenset[Place]] = asyncio.Queue()

        def changed(mine: frozenset[Place]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever wanted to know
                loop.call_soon_threadsafe(changes.put_nowait, mine)

        member = Member(self._config.client(error_cb=_log_error), group, topics, changed)
        member.start()
        try:
            while True:
                yield await changes.get()
        finally:
            await asyncio.to_thread(member.close)

    async def read(self, topic: Topic, partition: int, offset: int, *, limit: int, wait: timedelta) -> Slice:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, self._read_now, topic.name, partition, offset, limit, wait.total_seconds()
        )

    async def bounds(self, topic: Topic, partition: int) -> tuple[int, int]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._bounds_now, topic.name, partition)

    # -- writing ------------------------------------------------------------------------------------------------------

    def _new_producer(self) -> Producer:
        return Producer(
            self._config.client(
                **{
                    "enable.idempotence": True,
                    "acks": "all",
                    "compression.type": "lz4",
                    "linger.ms": 2,
                    "delivery.timeout.ms": DELIVERY_MS_MAX,
                    "queue.buffering.max.kbytes": PRODUCER_KIB_MAX,
                    # Whoever else writes our topics with this setting meets Java's choice; we name the partition ourselves.
                    "partitioner": "murmur2_random",
                    "error_cb": self._on_error,
                }
            )
        )

    def _on_error(self, error: KafkaError) -> None:
        logger.warning("kafka.error", extra={"reason": error.str()})
        if error.fatal():
            self._is_broken = True

    def _produce(self, topic: Topic, records: Sequence[tuple[int, bytes, bytes]]) -> _Delivery:
        producer = self._producer
        if producer is None or self._closing.is_set():
            raise Unavailable("Kafka", "it is not open")
        delivery = _Delivery(len(records))
        for sent, (partition, key, value) in enumerate(records):
            try:
                _enqueue(producer, topic.name, partition, key, value, delivery)
            except (BufferError, KafkaException) as error:
                # Those behind this one will not be sent: their share of the delivery fails with it.
                cause = error.args[0] if isinstance(error, KafkaException) else KafkaError(_QUEUE_FULL)
                for _ in records[sent:]:
                    delivery.report(cause, None)
                break
        return delivery

    def _poll(self) -> None:
        """Lets deliveries report, as long as the log is open."""
        while not self._closing.is_set():
            producer = self._producer
            if producer is None:
                return
            with contextlib.suppress(KafkaException, SystemError):  # fatal errors come to `_on_error` as well
                producer.poll(0.1)
                if self._is_broken:
                    # An idempotent producer never recovers from a fatal error (its right to write was withdrawn, say).
                    self._is_broken = False
                    self._producer = self._new_producer()
                    producer.purge()
                    producer.flush(ANSWER_S_MAX)

    # -- reading ------------------------------------------------------------------------------------------------------

    def _read_now(self, topic: str, partition: int, offset: int, limit: int, wait_s: float) -> Slice:
        reader = self._take(topic, partition, offset)
        try:
            part = reader.read(offset, limit, wait_s)
        except BaseException:
            reader.close()
            raise
        self._give_back(reader)
        return part

    def _bounds_now(self, topic: str, partition: int) -> tuple[int, int]:
        reader = self._take(topic, partition, None)
        try:
            bounds = reader.bounds()
        except BaseException:
            reader.close()
            raise
        self._give_back(reader)
        return bounds

    def _take(self, topic: str, partition: int, offset: int | None) -> "_Reader":
        """An idle consumer that stands where we want to read, or a new one."""
        with self._idle_lock:
            for number, reader in enumerate(self._idle):
                if (reader.topic, reader.partition) == (topic, partition) and offset in {None, reader.position}:
                    return self._idle.pop(number)
        return _Reader(self._config, topic, partition)

    def _give_back(self, reader: "_Reader") -> None:
        with self._idle_lock:
            self._idle.append(reader)
            surplus = self._idle.pop(0) if len(self._idle) > IDLE_CONSUMERS_MAX else None
        if surplus is not None:
            surplus.close()

    # -- topics -------------------------------------------------------------------------------------------------------

    def _create_topics(self) -> None:
        try:
            admin = AdminClient(self._config.client())
        except KafkaException as error:
            # The first client: what the library does not understand it says here.
            raise Rejected("kafka_options", error.args[0].str()) from error
        try:
            known = admin.list_topics(timeout=ANSWER_S_MAX).topics
            missing = [self._new_topic(topic) for topic in TOPICS if topic.name not in known]
            if missing:
                for future in admin.create_topics(missing, request_timeout=ANSWER_S_MAX * 2).values():
                    _created(future)
        except KafkaException as error:
            raise Unavailable("Kafka", f"{self._config.servers}: {error.args[0].str()}", REMEDY) from error
        for topic in TOPICS:
            if topic.name in known and len(known[topic.name].partitions) != self._config.partitions:
                there = len(known[topic.name].partitions)
                raise Rejected("partitions", f"{topic.name} has {there} in Kafka, not {self._config.partitions}")

    def _new_topic(self, topic: Topic) -> NewTopic:
        replication = self._config.replication
        return NewTopic(
            topic.name,
            num_partitions=self._config.partitions,
            replication_factor=replication,
            config={
                "cleanup.policy": "compact" if topic.is_compacted else "delete",
                "retention.ms": str(int(topic.retention.total_seconds() * 1000)),
                # The time of a record is when it was taken in, whatever the clock of its writer says.
                "message.timestamp.type": "LogAppendTime",
                # With three copies, a write that one broker alone has seen is refused.
                "min.insync.replicas": str(min(2, replication)),
            },
        )


class _Reader:
    """One consumer, assigned to one partition by hand. Used by one thread at a time."""

    def __init__(self, config: KafkaConfig, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.position: int | None = None
        self._place = TopicPartition(topic, partition)
        self._consumer = Consumer(
            config.client(
                **{
                    "group.id": "shoal",  # asked for by the library; never joined, nothing is committed
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "error",
                    "enable.partition.eof": True,
                    "fetch.wait.max.ms": 100,
                    "queued.max.messages.kbytes": CONSUMER_KIB_MAX,
                    "error_cb": _log_error,
                }
            )
        )

    def close(self) -> None:
        self._consumer.close()

    def bounds(self) -> tuple[int, int]:
        until = time.monotonic() + ANSWER_S_MAX
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(self._place, timeout=ANSWER_S_MAX)
            except KafkaException as error:
                if error.args[0].code() not in _NO_LEADER_YET or time.monotonic() > until:
                    raise _unavailable(error.args[0]) from error
                time.sleep(LEADER_AGAIN_S)
            else:
                return low, high

    def read(self, offset: int, limit: int, wait_s: float) -> Slice:
        try:
            if self.position != offset:
                first, end = self.bounds()
                if not first <= offset <= end:
                    raise OffsetOutOfRange(self.topic, self.partition, offset, first, end)
                self._consumer.assign([TopicPartition(self.topic, self.partition, offset)])
                self.position = offset
            records = self._poll(limit, wait_s)
            # Asked for after the read: what came in between shows as a backlog, never as "caught up". And a cluster
            # that is away says so here, while a poll would only find nothing.
            _, end = self.bounds()
            if not records and end > offset and wait_s == 0:
                # A consumer that has just begun has nothing yet; what is there must be found without a wait, too.
                records = self._poll(limit, ANSWER_S_MAX)
        except KafkaException as error:
            raise self._translated(error.args[0], offset) from error
        if records:
            self.position = records[-1].offset + 1
        next_offset = self.position or offset
        return Slice(records, next_offset, max(end, next_offset))

    def _poll(self, limit: int, wait_s: float) -> list[Record]:
        """Waits for the first record only; then takes what is there."""
        until = time.monotonic() + wait_s
        messages: list[Message] = []
        while not messages:
            message = self._consumer.poll(max(0.0, until - time.monotonic()))
            messages.extend(self._checked([message] if message is not None else []))
            if time.monotonic() >= until:
                break
        if messages and limit > 1:
            messages.extend(self._checked(self._consumer.consume(limit - 1, timeout=0)))
        return [_record(message) for message in messages]

    def _checked(self, messages: Sequence[Message]) -> list[Message]:
        good = []
        for message in messages:
            error = message.error()
            if error is None:
                good.append(message)
            elif error.code() != _END_OF_PARTITION:
                raise KafkaException(error)
        return good

    def _translated(self, error: KafkaError, offset: int) -> Unavailable | OffsetOutOfRange:
        if error.code() in _NO_SUCH_OFFSET:
            first, end = self.bounds()
            return OffsetOutOfRange(self.topic, self.partition, offset, first, end)
        return _unavailable(error)


def _enqueue(producer: Producer, topic: str, partition: int, key: bytes, value: bytes, delivery: _Delivery) -> None:
    """Hands a record to the producer; waits while its queue is full."""
    until = time.monotonic() + DELIVERY_MS_MAX / 1000
    while True:
        try:
            producer.produce(topic, value, key or None, partition, delivery.report)
        except BufferError:
            if time.monotonic() > until:
                raise
            producer.poll(0.05)
        else:
            return


def _record(message: Message) -> Record:
    kind, stamp = message.timestamp()
    if kind == TIMESTAMP_NOT_AVAILABLE:
        stamp = 0
    return Record(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        (message.key() or b"").decode(errors="replace"),
        moment(stamp),
        message.value() or b"",
    )


def _created(future: "Future[None]") -> None:
    try:
        future.result()
    except KafkaException as error:
        # Another process was faster.
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


def _log_error(error: KafkaError) -> None:
    logger.info("kafka.consumer_error", extra={"reason": error.str()})


def _unavailable(error: KafkaError) -> Unavailable:
    return Unavailable("Kafka", error.str(), REMEDY)
