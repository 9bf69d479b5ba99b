"""Spans by OpenTelemetry: imported only when traces are on, for it needs the extra `shoal[otel]`."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shoal.tracing import TRACEPARENT, TRACEPARENT_CHARACTERS, Fact, Kind

# Spans that wait for the collector; while it is away, what comes after them is dropped.
WAITING_SPANS_MAX: Final = 2_048
# At the end of a process, for the last spans.
GOODBYE_MS: Final = 2_000


def sender(endpoint: str) -> SpanProcessor:
    """Sends spans to a collector, OTLP over HTTP, from a thread of its own."""
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    return BatchSpanProcessor(exporter, max_queue_size=WAITING_SPANS_MAX)


class OtelRecorder:
    """Records a share of the traces that begin in this process, and of the others what was decided where they began."""

    def __init__(self, processor: SpanProcessor, *, share: float, service: str) -> None:
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(share)),
            resource=Resource({"service.namespace": "shoal", "service.name": service}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("shoal")

    def close(self) -> None:
        """Sends what waits, for a moment. Blocks."""
        self._provider.force_flush(GOODBYE_MS)
        self._provider.shutdown()

    @contextmanager
    def span(
        self, name: str, kind: Kind, parent: str | None, begins: bool, facts: Mapping[str, Fact]
    ) -> Iterator[dict[str, Fact]]:
        context = _context(parent)
        later: dict[str, Fact] = {}
        if context is None and not begins:
            yield later
            return
        # What an exception says may hold what somebody sent: it is for the log.
        with self._tracer.start_as_current_span(
            name,
            context or Context(),
            SpanKind[kind.upper()],
            dict(facts),
            record_exception=False,
            set_status_on_exception=False,
        ) as current:
            try:
                yield later
            except Exception as error:
                current.set_status(StatusCode.ERROR, type(error).__name__)
                raise
            finally:
                current.set_attributes(later)

    def record(
        self,
        name: str,
        kind: Kind,
        parent: str | None,
        begins: bool,
        facts: Mapping[str, Fact],
        start: datetime,
        end: datetime | None,
    ) -> str | None:
        context = _context(parent)
        if context is None and not begins:
            return None
        ended_ns = time.time_ns() if end is None else _ns(end)
        # Clocks of two machines may disagree: nothing ends before it begins.
        began_ns = min(_ns(start), ended_ns)
        over = self._tracer.start_span(
            name, context or Context(), SpanKind[kind.upper()], dict(facts), start_time=began_ns
        )
        over.end(ended_ns)
        return _traceparent(over)

    def carried(self) -> str | None:
        return _traceparent(get_current_span())


def _traceparent(span: Span) -> str | None:
    known = span.get_span_context()
    if not known.is_valid:
        return None
    return f"00-{known.trace_id:032x}-{known.span_id:016x}-{known.trace_flags:02x}"


def _context(parent: str | None) -> Context | None:
    """The context of a traceparent; None when there is none, or when it is none."""
    if parent is None or len(parent) != TRACEPARENT_CHARACTERS:
        return None
    context = TraceContextTextMapPropagator().extract({TRACEPARENT: parent}, Context())
    return context if get_current_span(context).get_span_context().is_valid else None


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000
