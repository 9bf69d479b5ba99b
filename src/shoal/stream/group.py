"""A Kafka consumer group that shares partitions out among the processes of a worker, and does nothing else.

What a worker has handled stands in the database, so no offset is committed and no record is read here.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from shoal.events.topics import Topic
from shoal.stream.log import Place

logger = logging.getLogger(__name__)

# A process that died is noticed after this, and its partitions go to the others.
SESSION_MS: Final = 10_000
# How long one look for news of the group waits: also how soon closing is noticed.
POLL_S: Final = 0.2
AGAIN_S: Final = 1.0


class Member(threading.Thread):
    """A member of a consumer group that reads nothing: the group only shares the partitions out."""

    def __init__(
        self,
        client: Mapping[str, Any],
        group: str,
        topics: Sequence[Topic],
        changed: Callable[[frozenset[Place]], None],
    ) -> None:
        """`client` are librdkafka's settings; `changed` is called in this thread with all that is ours from then on."""
        super().__init__(name=f"kafka-member-{group}", daemon=True)
        self._topics = {topic.name: topic for topic in topics}
        self._changed = changed
        self._group = group
        self._closing = threading.Event()
        self._consumer = Consumer(
            {
                **client,
                "group.id": f"shoal-{group}",
                # The same share of every topic, so that no process gets all of the one with the most to do.
                "partition.assignment.strategy": "range",
                "session.timeout.ms": SESSION_MS,
                "heartbeat.interval.ms": SESSION_MS // 3,
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
            }
        )

    def run(self) -> None:
        self._consumer.subscribe(
            list(self._topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )
        while not self._closing.is_set():
            try:
                self._consumer.poll(POLL_S)
            except KafkaException as error:
                logger.warning("kafka.group_waits", extra={"reason": error.args[0].str()})
                self._closing.wait(AGAIN_S)
        self._consumer.close()

    def close(self) -> None:
        """Leaves the group: the others take over at once."""
        self._closing.set()
        self.join()

    def _assigned(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        consumer.assign(places)
        consumer.pause(places)
        self._tell(frozenset((self._topics[place.topic], place.partition) for place in places))

    def _revoked(self, consumer: Consumer, _places: list[TopicPartition]) -> None:
        # Work goes on until the new share is known: most of it stays where it is, and for the rest the offset in the
        # database decides. A member that hangs must not make all others wait for it.
        consumer.unassign()

    def _lost(self, consumer: Consumer, _places: list[TopicPartition]) -> None:
        consumer.unassign()
        self._tell(frozenset())

    def _tell(self, mine: frozenset[Place]) -> None:
        logger.info("kafka.shared_out", extra={"group": self._group, "partitions": len(mine)})
        self._changed(mine)
