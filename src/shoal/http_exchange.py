"""One HTTP request and its answer, as operators see it: an id that goes through all logs, a time, a span of a trace."""

import logging
import re
import secrets
from contextvars import ContextVar
from time import perf_counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shoal import metrics, tracing

log: Final = logging.getLogger(__name__)

REQUEST_ID: Final = "X-Request-Id"
# As much as a UUID with a prefix; anything else in the header could forge lines of a log.
_WELL_FORMED: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
# What HTTP knows; a label must not be whatever a caller writes (RFC 9110 §9.1, RFC 5789).
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NO_ROUTE: Final = "(none)"

_request_id: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)


def request_id() -> str | None:
    """The id of the request that is being answered; None outside of one."""
    return _request_id.get()


def handed_on() -> dict[str, str]:
    """The headers with which a request to a neighbour belongs to the one that is being answered."""
    found = {REQUEST_ID: _request_id.get(), tracing.TRACEPARENT: tracing.carried()}
    return {name: value for name, value in found.items() if value is not None}


class Observed:
    """Gives every request an id and every answer the header that names it; counts and times the answers.

    The id is the caller's if it is well-formed. A trace goes on only where callers are known (`trusts_traces`): anybody
    may reach the pages, and must not decide what we record.
    """

    def __init__(self, app: ASGIApp, name: str, *, trusts_traces: bool) -> None:
        self._app = app
        self._name = name
        self._trusts_traces = trusts_traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = _header(scope, REQUEST_ID)
        name = said if said is not None and _WELL_FORMED.fullmatch(said) else secrets.token_hex(8)
        _request_id.set(name)
        began = perf_counter()
        parent = _header(scope, tracing.TRACEPARENT) if self._trusts_traces else None
        with tracing.span(f"{self._name} {_method(scope)}", kind="server", parent=parent, begins=True) as facts:
            status = 0

            async def answering(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                    message = {
                        **message,
                        "headers": [*message["headers"], (REQUEST_ID.lower().encode(), name.encode())],
                    }
                    self._answered(scope, status, perf_counter() - began)
                await send(message)

            try:
                await self._app(scope, receive, answering)
            except Exception:
                # A fault of ours: it is answered further out, where all that goes wrong is.
                if status == 0:
                    self._answered(scope, status := 500, perf_counter() - began)
                raise
            finally:
                facts |= {"http.route": _route(scope), "http.response.status_code": status, "request_id": name}

    def _answered(self, scope: Scope, status: int, seconds: float) -> None:
        route, method = _route(scope), _method(scope)
        metrics.http_seconds.labels(self._name, method, route, str(status)).observe(seconds)
        level = logging.DEBUG if status < 500 else logging.INFO
        facts = {"application": self._name, "method": method, "route": route, "status": status}
        log.log(level, "http.answered", extra=facts | {"ms": round(seconds * 1_000, 1)})


def _header(scope: Scope, name: str) -> str | None:
    wanted = name.lower().encode()
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == wanted), None)


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "other"


def _route(scope: Scope) -> str:
    """The path with its parameters' names instead of their values: bounded, and without anybody's id."""
    return str(getattr(scope.get("route"), "path", _NO_ROUTE))
