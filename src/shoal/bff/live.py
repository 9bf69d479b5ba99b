"""Passes the API's changes on to an open page, as server-sent events, byte for byte."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Final

import httpx
from anyio import CancelScope
from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from shoal.bff.api import CONNECT_TIMEOUT_S, ProblemAnswered
from shoal.bff.context import HeldBff, HeldLogin
from shoal.errors import Rejected, Unavailable

# The API writes a heartbeat every 15 s; after three that did not come, the page had better connect again.
QUIET_S_MAX: Final = 45.0
# WHATWG HTML §9.2: how long a browser waits before it comes back by itself.
RETRY_MS: Final = 2_000

router = APIRouter(prefix="/bff")


@router.get("/live", response_class=StreamingResponse)
async def live(
    bff: HeldBff,
    login: HeldLogin,
    after: str | None = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Changes as they happen. Resumes after the event named by `Last-Event-ID`, or by `after`."""
    if not bff.logins.stream_opened(login):
        raise Rejected("live", "too many streams for one login")
    try:
        upstream = await _connect(bff.api, login.token, last_event_id or after)
    except BaseException:
        bff.logins.stream_closed(login)
        raise

    return Relay(upstream, on_end=lambda: bff.logins.stream_closed(login))


class Relay(StreamingResponse):
    """What the API streams, for as long as both sides are there. Closes the API's side as soon as the page is gone."""

    def __init__(self, upstream: httpx.Response, on_end: Callable[[], None]) -> None:
        super().__init__(
            self._blocks(),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        self._upstream = upstream
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()
            # A page that leaves cancels this task; the connection to the API must be given back all the same.
            with CancelScope(shield=True):
                await self._upstream.aclose()

    async def _blocks(self) -> AsyncIterator[bytes]:
        yield f"retry: {RETRY_MS}\n\n".encode()
        try:
            async for chunk in self._upstream.aiter_bytes():
                yield chunk
        except httpx.TransportError:
            return  # The page connects again, and learns then whether the API is there.


async def _connect(api: httpx.AsyncClient, token: str, after: str | None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream", "Accept-Encoding": "identity"}
    if after:
        headers["Last-Event-ID"] = after
    timeout = httpx.Timeout(QUIET_S_MAX, connect=CONNECT_TIMEOUT_S)
    request = api.build_request("GET", "/api/v1/events", headers=headers, timeout=timeout)
    try:
        upstream = await api.send(request, stream=True)
    except httpx.TransportError as error:
        raise Unavailable("API", type(error).__name__) from error
    if upstream.status_code != httpx.codes.OK:
        await upstream.aclose()
        kind = "logged-out" if upstream.status_code == httpx.codes.UNAUTHORIZED else "unavailable"
        raise ProblemAnswered(upstream.status_code, {"type": kind, "title": "No live changes"})
    return upstream
