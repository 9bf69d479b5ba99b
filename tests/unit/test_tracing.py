"""While nobody records, spans cost nothing and say nothing. What a recorder makes of them: tests/unit/app/test_otel.py."""

import subprocess
import sys
from datetime import UTC, datetime

from shoal import tracing

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_while_traces_are_off_nothing_is_carried() -> None:
    with tracing.span("a", kind="server", begins=True, facts={"route": "/x"}) as facts:
        facts["status"] = 200
        assert tracing.carried() is None
        assert tracing.record("b", kind="client", start=NOW, begins=True) is None


def test_while_traces_are_off_nothing_of_the_extra_is_imported() -> None:
    # FastAPI brings OpenTelemetry's API with it; what does something is in the SDK and the exporter.
    extra = ("opentelemetry.sdk", "opentelemetry.exporter")
    code = f"import sys, shoal.cli; print([name for name in sys.modules if name.startswith({extra!r})])"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"
