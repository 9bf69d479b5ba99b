"""Traces: where the time went between a click and a device's answer, between a datagram and a mail.

Off by default, and then nothing is done. `app/otel.py` switches them on and is the only one that knows OpenTelemetry. Where
work changes hands (an HTTP request, a command's row, an event) a W3C `traceparent` goes along; what came without one is
part of no trace.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Final, Literal, Protocol, TypeAlias

# The header's name, and its form: 00-<trace>-<span>-<flags> (W3C Trace Context, level 1, §3.2).
TRACEPARENT: Final = "traceparent"
TRACEPARENT_CHARACTERS: Final = 55

Kind: TypeAlias = Literal["server", "client", "consumer"]
Fact: TypeAlias = str | int | float | bool


class Recorder(Protocol):
    """What takes spans. The functions below say what each of these means."""

    def span(
        self, name: str, kind: Kind, parent: str | None, begins: bool, facts: Mapping[str, Fact]
    ) -> AbstractContextManager[dict[str, Fact]]: ...

    def record(
        self,
        name: str,
        kind: Kind,
        parent: str | None,
        begins: bool,
        facts: Mapping[str, Fact],
        start: datetime,
        end: datetime | None,
    ) -> str | None: ...

    def carried(self) -> str | None: ...


class _Process:
    recorder: Recorder | None = None


def use(recorder: Recorder | None) -> None:
    """Gives all spans of this process to a recorder from now on; None switches traces off."""
    _Process.recorder = recorder


def span(
    name: str, *, kind: Kind, parent: str | None = None, begins: bool = False, facts: Mapping[str, Fact] | None = None
) -> AbstractContextManager[dict[str, Fact]]:
    """What is done inside is a part of the trace of `parent`; without one, of a new trace only if it `begins` here.

    What is known only at the end goes into the facts that it yields.
    """
    if _Process.recorder is None:
        return nullcontext({})
    return _Process.recorder.span(name, kind, parent, begins, facts or {})


def record(
    name: str,
    *,
    kind: Kind,
    start: datetime,
    end: datetime | None = None,
    parent: str | None = None,
    begins: bool = False,
    facts: Mapping[str, Fact] | None = None,
) -> str | None:
    """Writes down what is over already, by now or by `end`; the traceparent for what follows from it, if there is any."""
    if _Process.recorder is None:
        return None
    return _Process.recorder.record(name, kind, parent, begins, facts or {}, start, end)


def carried() -> str | None:
    """The traceparent of what is being done, to go along where the work changes hands."""
    return None if _Process.recorder is None else _Process.recorder.carried()
