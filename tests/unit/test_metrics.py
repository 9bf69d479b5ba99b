"""What rooms keep: named as Prometheus wants it, and bounded."""

from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from shoal import metrics

# What would be as many as there are customers.
UNBOUNDED = {"tenant", "farm", "enclosure", "device", "endpoint", "user", "contact", "path", "id"}


def kept() -> list[MetricWrapperBase]:
    return [value for value in vars(metrics).values() if isinstance(value, Counter | Histogram)]


def test_names_say_whose_they_are_and_in_which_unit() -> None:
    names = [metric.describe()[0].name for metric in kept()]

    assert [name for name in names if not name.startswith("shoal_")] == []
    assert [
        m.describe()[0].name for m in kept() if isinstance(m, Histogram) and "seconds" not in m.describe()[0].name
    ] == []
    # The counter's _total is added when it is shown.
    assert [name for name in names if name.endswith("_total")] == []


def test_no_label_can_hold_the_name_or_id_of_anybody() -> None:
    labels = {label for metric in kept() for label in metric._labelnames}

    assert labels & UNBOUNDED == set()


def test_a_histogram_has_few_buckets_and_they_rise() -> None:
    for metric in kept():
        if isinstance(metric, Histogram):
            bounds = list(metric._kwargs["buckets"])
            assert bounds == sorted(bounds)
            assert len(bounds) <= 12
