"""The numbers of the rooms for `/metrics`: over all tenants, without a name or an id of anybody."""

from collections.abc import Callable, Iterable, Mapping

from shoal.api.operations import Meter, Metric
from shoal.clock import Clock
from shoal.health.store import Health
from shoal.storage.database import Database


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
        return [
            Metric(
                name="shoal_pipeline_delay_seconds",
                kind="gauge",
                help="For how long monitoring has been delayed; 0 when it is not.",
                samples=[({}, delay_s)],
            )
        ]

    return measure


def outbox(database: Database) -> Meter:
    """What waits for the log."""

    async def measure() -> Iterable[Metric]:
        waiting = await database.outbox_waiting()
        return [
            Metric(
                name="shoal_outbox_waiting_events",
                kind="gauge",
                help="Events that wait for the stream.",
                samples=[({}, float(waiting))],
            )
        ]

    return measure


def counters(name: str, help_text: str, read: Callable[[], Mapping[str, int]], label: str = "what") -> Meter:
    """Counters that somebody else keeps: those of the Rust core, or of the uplink (`stored`, `refused`)."""

    async def measure() -> Iterable[Metric]:
        samples = [({label: word}, float(count)) for word, count in sorted(read().items())]
        return [Metric(name=name, kind="counter", help=help_text, samples=samples)]

    return measure


def spool(waiting: Callable[[], tuple[int, int]]) -> Meter:
    """What the gateway keeps on disk while the log is away: events and bytes."""

    async def measure() -> Iterable[Metric]:
        events, size_bytes = waiting()
        return [
            Metric(
                name="shoal_spool_waiting_events",
                kind="gauge",
                help="Events of devices that wait on this disk for the log.",
                samples=[({}, float(events))],
            ),
            Metric(
                name="shoal_spool_waiting_bytes",
                kind="gauge",
                help="How much of the spool is in use.",
                samples=[({}, float(size_bytes))],
            ),
        ]

    return measure


def workers(behind: Callable[[], Mapping[tuple[str, str, int], int]]) -> Meter:
    """How many records the workers of this process have still to handle, in the partitions that are its share.

    `behind` tells them by group, topic and partition.
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
            )
        ]

    return measure
