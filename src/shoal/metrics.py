"""What rooms count and time while they work: every such number of a process, with its labels and its buckets.

Labels are words of ours (a group of workers, a route, an outcome), never names or ids of tenants, devices or people, so
that their number is bounded. What can be looked up when it is asked for is in `api/measures.py` instead.
"""

from typing import Final

from prometheus_client import Counter, Histogram, disable_created_metrics
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import CollectorRegistry

# A second series for each, with the time of its begin, that nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it without types

REGISTRY: Final = CollectorRegistry(auto_describe=True)
# CPU, memory, open files: by the names that every dashboard knows.
ProcessCollector(registry=REGISTRY)

# Around the figures that we promise: durable within 10 ms, told within 5 s. What lasts longer is an outage.
_QUICK_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
_USUAL_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_PATIENT_S: Final = (0.1, 0.5, 1, 2.5, 5, 15, 60, 300, 1_800, 7_200)

http_seconds: Final = Histogram(
    "shoal_http_request_seconds",
    "From a request to the begin of its answer.",
    ("application", "method", "route", "status"),
    buckets=_USUAL_S,
    registry=REGISTRY,
)
uplink_seconds: Final = Histogram(
    "shoal_uplink_store_seconds",
    "How long the log took to store what devices said: they wait for it.",
    buckets=_QUICK_S,
    registry=REGISTRY,
)
handled_seconds: Final = Histogram(
    "shoal_worker_handled_seconds",
    "From a record in the log until what a worker made of it was kept; of a batch, the oldest record.",
    ("group",),
    buckets=_PATIENT_S,
    registry=REGISTRY,
)
batch_seconds: Final = Histogram(
    "shoal_worker_batch_seconds",
    "How long one transaction of a worker took.",
    ("group",),
    buckets=_QUICK_S,
    registry=REGISTRY,
)
buried: Final = Counter(
    "shoal_worker_buried_records",
    "Records that a worker could not work with, and laid on the dead-letter topic.",
    ("group",),
    registry=REGISTRY,
)
waits: Final = Counter(
    "shoal_worker_waits",
    "How often a worker had to wait: a neighbour was away, or it was stuck.",
    ("group",),
    registry=REGISTRY,
)
condition_seconds: Final = Histogram(
    "shoal_health_condition_seconds",
    "From what a device said, or from the moment silence was due, until the changed condition was kept.",
    ("cause",),
    buckets=_PATIENT_S,
    registry=REGISTRY,
)
relayed: Final = Counter(
    "shoal_relay_events", "Events carried from the outbox into the log.", ("topic",), registry=REGISTRY
)
command_ends: Final = Counter(
    "shoal_commands", "Commands that came to an end, by how.", ("operation", "outcome"), registry=REGISTRY
)
command_seconds: Final = Histogram(
    "shoal_command_seconds",
    "From asking a device to the end of the command; for one that sleeps, the sleep is in it.",
    ("outcome",),
    buckets=_PATIENT_S,
    registry=REGISTRY,
)
command_trip_seconds: Final = Histogram(
    "shoal_command_trip_seconds",
    "From sending a command to the device's answer.",
    buckets=_USUAL_S,
    registry=REGISTRY,
)
attempt_seconds: Final = Histogram(
    "shoal_notification_attempt_seconds",
    "How long a channel took to answer an attempt, by what came of it.",
    ("channel", "outcome"),
    buckets=_USUAL_S,
    registry=REGISTRY,
)
told_seconds: Final = Histogram(
    "shoal_notification_seconds",
    "From a message that was due until its channel took it.",
    ("channel",),
    buckets=_PATIENT_S,
    registry=REGISTRY,
)
