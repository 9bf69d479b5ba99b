"""The numbers for `/metrics` that are looked up when they are asked for: over all tenants, without a name or an id."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Final

from shoal import __version__
from shoal.api.operations import Meter, Metric
from shoal.clock import Clock
from shoal.health.store import Health
from shoal.notifications.store import Notifications
from shoal.storage.database import Database

# What the data plane holds at the moment; all else that it tells only ever rises.
HELD: Final = frozenset(
    {
        "devices",
        "registrations",
        "peers",
        "sessions",
        "half_open",
        "connections",
        "connections_bytes",
        "checkpoints_waiting",
        "uploading",
        "waiting",
        "timers",
    }
)
UNCOMMITTED: Final = "uncommitted_bytes"


def process(role: str) -> Meter:
    """Which part of Shoal this is, and of which version."""

    async def measure() -> Iterable[Metric]:
        return [_gauge("shoal_info", "Always 1; the labels tell.", 1, {"role": role, "version": __version__})]

    return measure


def devices_by_status(health: Health) -> Meter:
    """How many devices are well."""

    async def measure() -> Iterable[Metric]:
        counts = await health.counts_of_all()
        samples = [({"status": status.value}, float(count)) for status, count in counts.items()]
        return [Metric(name="shoal_devices", kind="gauge", help="Devices by status.", samples=samples)]

    return measure


def pipeline(health: Health, clock: Clock) -> Meter:
    """How far behind our own ears are."""

    async def measure() -> Iterable[Metric]:
        since = await health.delayed_since()
        delay_s = (clock.now() - since).total_seconds() if since else 0.0
        unheard = await health.unheard()
        text = "For how long monitoring has been delayed; 0 when it is not."
        waits = "Node numbers of gateways that it waits for."
        return [
            _gauge("shoal_pipeline_delay_seconds", text, delay_s),
            _gauge("shoal_pipeline_unheard_nodes", waits, len(unheard)),
        ]

    return measure


def outbox(database: Database, clock: Clock) -> Meter:
    """What waits for the log."""

    async def measure() -> Iterable[Metric]:
        waiting, oldest = await database.outbox_waiting(), await database.outbox_oldest()
        age_s = (clock.now() - oldest).total_seconds() if oldest else 0.0
        return [
            _gauge("shoal_outbox_waiting_events", "Events that wait for the stream.", waiting),
            _gauge("shoal_outbox_oldest_seconds", "For how long the oldest of them has waited.", max(0.0, age_s)),
        ]

    return measure


def notifications(room: Notifications, clock: Clock) -> Meter:
    """What people are to be told and have not been."""

    async def measure() -> Iterable[Metric]:
        waiting, due_at = await room.waiting()
        overdue_s = (clock.now() - due_at).total_seconds() if due_at else 0.0
        overdue = "For how long the next of them has been due."
        return [
            _gauge("shoal_notifications_waiting", "Messages that wait for their channel.", waiting),
            _gauge("shoal_notifications_overdue_seconds", overdue, max(0.0, overdue_s)),
        ]

    return measure


def core(read: Callable[[], Mapping[str, int]]) -> Meter:
    """What the data plane counted, and how much it holds."""

    async def measure() -> Iterable[Metric]:
        said = dict(read())
        uncommitted = said.pop(UNCOMMITTED, 0)
        held = [({"what": word}, float(said[word])) for word in sorted(said.keys() & HELD)]
        counted = [({"what": word}, float(said[word])) for word in sorted(said.keys() - HELD)]
        size = "What devices said and no log has stored yet."
        return [
            Metric(name="shoal_core", kind="counter", help="What the data plane counted.", samples=counted),
            Metric(name="shoal_core_held", kind="gauge", help="What the data plane holds now.", samples=held),
            _gauge("shoal_core_uncommitted_bytes", size, uncommitted),
        ]

    return measure


def counters(name: str, help_text: str, read: Callable[[], Mapping[str, int]], label: str = "what") -> Meter:
    """Counters that somebody else keeps, such as those of the uplink (`stored`, `refused`)."""

    async def measure() -> Iterable[Metric]:
        samples = [({label: word}, float(count)) for word, count in sorted(read().items())]
        return [Metric(name=name, kind="counter", help=help_text, samples=samples)]

    return measure


def spool(waiting: Callable[[], tuple[int, int]], bytes_max: int) -> Meter:
    """What the gateway keeps on disk while the log is away: events and bytes."""

    async def measure() -> Iterable[Metric]:
        events, size_bytes = waiting()
        return [
            _gauge("shoal_spool_waiting_events", "Events of devices that wait on this disk for the log.", events),
            _gauge("shoal_spool_waiting_bytes", "How much of the spool is in use.", size_bytes),
            _gauge("shoal_spool_limit_bytes", "How much it takes; after that devices keep their data.", bytes_max),
        ]

    return measure


def workers(
    behind: Callable[[], Mapping[tuple[str, str, int], int]], lag: Callable[[], Mapping[tuple[str, str], timedelta]]
) -> Meter:
    """How far the workers of this process are behind, in the partitions that are its share.

    `behind` tells records by group, topic and partition, `lag` by group and topic how old the last handled one is.
    """

    async def measure() -> Iterable[Metric]:
        samples = [
            ({"group": group, "topic": topic, "partition": str(partition)}, float(records))
            for (group, topic, partition), records in sorted(behind().items())
        ]
        return [
            Metric(
                name="shoal_worker_behind_records",
                kind="gauge",
                help="Records that wait for a worker.",
                samples=samples,
            ),
            Metric(
                name="shoal_worker_lag_seconds",
                kind="gauge",
                help="How old the last handled record is while more wait; 0 when none does.",
                samples=[
                    ({"group": group, "topic": topic}, max(0.0, age.total_seconds()))
                    for (group, topic), age in sorted(lag().items())
                ],
            ),
        ]

    return measure


def _gauge(name: str, text: str, value: float, labels: Mapping[str, str] | None = None) -> Metric:
    return Metric(name=name, kind="gauge", help=text, samples=[(labels or {}, float(value))])
