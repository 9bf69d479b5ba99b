"""Makes notifications of alert events, and delivers what is due: the one place here that calls neighbours."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from time import perf_counter
from typing import Final, NoReturn

from shoal import metrics, tracing
from shoal.clock import Clock
from shoal.errors import ShoalError, Unavailable
from shoal.events.alert import NotificationDue
from shoal.events.topics import ALERT, Topic
from shoal.notifications import store
from shoal.notifications.channel import Channel, GiveUp, Outcome, Sent, TryAgain
from shoal.notifications.delivery import TEST_KEPT, after_outcome
from shoal.notifications.message import Message, message, message_of_test
from shoal.notifications.store import Notification
from shoal.notifications.tables import notifications
from shoal.storage.database import Database, Transaction
from shoal.storage.poke import Poke
from shoal.stream.worker import Batch

log = logging.getLogger(__name__)

# Messages taken, and sent, at once: each ends within 5 s, well before a lease of 30 s does.
NOTIFICATIONS_PER_LEASE_MAX: Final = 20  # connections that mail servers grant without asking back
# How often the loop looks even when nobody poked it and nothing seemed due: the net under a lost poke.
LOOK_EVERY: Final = timedelta(seconds=5)
# What is due at this moment is not looked for again and again within it.
LOOK_AT_MOST_EVERY: Final = timedelta(milliseconds=50)
# The database is away: how long until the next look.
AWAY_FOR: Final = timedelta(seconds=1)

_WORDS: Final[Mapping[type[Outcome], str]] = {Sent: "sent", TryAgain: "try_again", GiveUp: "give_up"}

# The names of a place, for people: tenant, farm, enclosure, device -> "Pen 4, Storholmen".
PlaceName = Callable[[NotificationDue], Awaitable[str]]


class NotificationHandler:
    """The notifications worker: one handler for `stream.worker.Worker`."""

    group: Final = "notifications"
    topics: Final[Sequence[Topic]] = (ALERT,)
    timed: Final[Sequence[Topic]] = ()

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def handle(self, tx: Transaction, batch: Batch) -> None:
        """Lays out the rows for every message that is due."""
        for _, event in batch.events:
            if isinstance(event, NotificationDue) and await store.lay_out(tx, event, self._clock.now()):
                tx.poke(notifications.name)


class Delivery:
    """Delivers notifications until it is cancelled. Any number of them may run: leases keep them apart."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        channels: Sequence[Channel],
        *,
        owner: str,
        base_url: str,
        place_name: PlaceName | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._channels: Mapping[str, Channel] = {channel.name: channel for channel in channels}
        self._owner = owner
        self._base_url = base_url
        self._place_name = place_name
        self._poke = Poke()
        database.on(notifications.name, self._poke)

    async def run(self) -> NoReturn:
        """Delivers what is due, sleeps until something is or somebody pokes."""
        while True:
            try:
                wait = LOOK_EVERY if await self.deliver_due() == 0 else timedelta()
            except Unavailable as error:
                log.warning("delivery.waits", extra={"neighbour": error.neighbour, "reason": error.reason})
                wait = AWAY_FOR
            if wait:
                wait = min(wait, await self._until_due())
                await self._poke.wait(max(wait, LOOK_AT_MOST_EVERY))

    async def deliver_due(self) -> int:
        """Delivers one lease of what is due now; how many notifications that were.

        Raises:
            Unavailable: the database is away. What was being sent is ambiguous, and settled when its lease ends.
        """
        async with self._database.transaction() as tx:
            leased = await store.lease(tx, self._owner, self._clock.now(), NOTIFICATIONS_PER_LEASE_MAX)
        # One that hangs must not hold up the others, who may be of another tenant.
        ended = await asyncio.gather(*(self._deliver(each) for each in leased), return_exceptions=True)
        for failure in ended:
            if failure is not None:
                raise failure
        return len(leased)

    async def _deliver(self, notification: Notification) -> None:
        async with self._database.transaction() as tx:
            now = self._clock.now()
            if notification.contact is not None and not await store.has_contact(tx, notification.contact):
                await store.drop(tx, self._owner, notification.id, "the contact was removed", now)
                return
            attempt = await store.begin_call(tx, self._owner, notification.id, now)
        if attempt is None:
            return
        outcome = await self._attempted(notification, attempt)
        now = self._clock.now()
        async with self._database.transaction() as tx:
            due = notification.due
            attempted = after_outcome(
                notification.id,
                attempt,
                notification.created_at,
                outcome,
                now,
                # A test does not wait: whoever pressed the button does.
                has_another_way=due is None or await store.another_way(tx, notification) is not None,
                until=notification.created_at + TEST_KEPT if due is None else due.until,
            )
            await store.settle(tx, self._owner, notification, attempt, attempted, now)
        log.info(
            "notification.attempted",
            extra={
                "notification": notification.id,
                "channel": notification.channel,
                "state": attempted.state.value,
                "attempt": attempt,
                "answer": attempted.note,
            },
        )

    async def _attempted(self, notification: Notification, attempt: int) -> Outcome:
        # Only what we have has a name of ours; the row may be older.
        channel = notification.channel if notification.channel in self._channels else "other"
        began = perf_counter()
        with tracing.span(
            f"notify by {channel}",
            kind="client",
            parent=notification.due.trace if notification.due else None,
            facts={"notification": notification.id, "attempt": attempt},
        ) as facts:
            outcome = await self._send(notification)
            facts["outcome"] = word = _WORDS[type(outcome)]
        metrics.attempt_seconds.labels(channel, word).observe(perf_counter() - began)
        if isinstance(outcome, Sent):
            metrics.told_seconds.labels(channel).observe((self._clock.now() - notification.created_at).total_seconds())
        return outcome

    async def _send(self, notification: Notification) -> Outcome:
        channel = self._channels.get(notification.channel)
        if channel is None:
            return TryAgain(f"no {notification.channel} channel is configured")
        try:
            return await channel.send(notification.address, await self._message(notification))
        except Exception as error:  # a fault of ours in one message must not keep the others from going out
            log.exception("notification.failed", extra={"notification": notification.id})
            return TryAgain(f"a fault of our own: {type(error).__name__}")

    async def _message(self, notification: Notification) -> Message:
        due = notification.due
        if due is None:
            return message_of_test(notification.id, notification.address, self._base_url)
        try:
            place = await self._place_name(due) if self._place_name else _place_ids(due)
        except ShoalError:
            # The place may have been deleted meanwhile. The message matters more than its names.
            place = _place_ids(due)
        return message(due, notification=notification.id, place=place, base_url=self._base_url)

    async def _until_due(self) -> timedelta:
        try:
            async with self._database.transaction() as tx:
                due_at = await store.next_due(tx)
        except Unavailable:
            return AWAY_FOR
        return LOOK_EVERY if due_at is None else max(due_at - self._clock.now(), timedelta())


def _place_ids(due: NotificationDue) -> str:
    return ", ".join(part for part in (due.enclosure, due.farm) if part) or due.tenant
