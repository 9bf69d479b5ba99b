"""Spans of this process, kept in memory: `with recording() as spans: ... spans()`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shoal import tracing
from shoal.app.otel import OtelRecorder

Spans = Callable[[], dict[str, ReadableSpan]]


@contextmanager
def recording(share: float = 1.0) -> Iterator[Spans]:
    """Records a share of what begins inside; what it yields tells the finished spans by name."""
    exporter = InMemorySpanExporter()
    recorder = OtelRecorder(SimpleSpanProcessor(exporter), share=share, service="shoal-test")
    tracing.use(recorder)
    try:
        yield lambda: {span.name: span for span in exporter.get_finished_spans()}
    finally:
        tracing.use(None)
        recorder.close()
