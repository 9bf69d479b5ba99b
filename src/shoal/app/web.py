"""Pages and API over HTTP(S): one address for both, and one of its own, on loopback, between the two."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shoal.app.est import ShowsCertificate
from shoal.errors import Unavailable

# How long answers may take to end when the server does; live streams, which never end, are ended at once.
GOODBYE_S: Final = 2
# What a live stream says it is (WHATWG HTML §9.2).
LIVE: Final = b"text/event-stream"
# Who may say for whom a request is: on this machine, the pages do.
LOOPBACK: Final = ("127.0.0.1", "::1")
# Connections that wait to be taken: a page that everybody opens at once.
BACKLOG_MAX: Final = 2_048
# Answered by the API's application even where the pages have the root.
OPERATIONS: Final = ("/healthz", "/readyz", "/metrics")


class Doorman:
    """Sends a request to the API or to the pages, by its path."""

    def __init__(self, api: ASGIApp, pages: ASGIApp) -> None:
        self._api = api
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        is_api = path == "/api" or path.startswith("/api/") or path in OPERATIONS
        await (self._api if is_api else self._pages)(scope, receive, send)


class Settled:
    """Answers a change only when those who have to know of it do: a device that was just created may connect at once."""

    def __init__(self, application: ASGIApp, settle: Callable[[], Awaitable[object]]) -> None:
        self._application = application
        self._settle = settle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") in {None, "GET", "HEAD", "OPTIONS"}:
            await self._application(scope, receive, send)
            return

        async def settled(message: Message) -> None:
            # What was refused changed nothing: a stranger's requests must not cost a look at the database each.
            if message["type"] == "http.response.start" and message["status"] < HTTPStatus.BAD_REQUEST:
                # Away for a moment: the change is kept all the same, and followed as soon as that is possible.
                with contextlib.suppress(Unavailable):
                    await self._settle()
            await send(message)

        await self._application(scope, receive, settled)


class Leaving:
    """Ends live streams when the server leaves: to their application it is as if the page had gone."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self.leaves: Final = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "GET":
            await self._application(scope, receive, send)
            return
        is_live = is_open = False

        async def sending(message: Message) -> None:
            nonlocal is_live, is_open
            if message["type"] == "http.response.start":
                is_live = dict(message.get("headers", ())).get(b"content-type", b"").startswith(LIVE)
            is_open = message.get("more_body", True)
            await send(message)

        async def receiving() -> Message:
            message = asyncio.ensure_future(receive())
            leaves = asyncio.create_task(self.leaves.wait())
            try:
                await asyncio.wait((message, leaves), return_when=asyncio.FIRST_COMPLETED)
                return {"type": "http.disconnect"} if is_live and not message.done() else await message
            finally:
                message.cancel()
                leaves.cancel()

        await self._application(scope, receiving, sending)
        if is_live and is_open and self.leaves.is_set():
            await send({"type": "http.response.body", "body": b""})


class WebServer:
    """One application on one address."""

    def __init__(
        self,
        application: ASGIApp,
        address: socket.socket,
        *,
        cert: Path | None = None,
        key: Path | None = None,
        trusted_proxies: Sequence[str] = LOOPBACK,
        mutual: ssl.SSLContext | None = None,
    ) -> None:
        """`mutual` is TLS in which clients show certificates: what they showed is in the state of their requests."""
        self._socket = address
        self._application = Leaving(application)
        self._server = _Server(
            uvicorn.Config(
                self._application,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                forwarded_allow_ips=list(trusted_proxies),
                timeout_graceful_shutdown=GOODBYE_S,
                ssl_certfile=cert,
                ssl_keyfile=key,
                ssl_context_factory=None if mutual is None else lambda *_: mutual,
                http="auto" if mutual is None else ShowsCertificate,
                backlog=BACKLOG_MAX,
            )
        )

    async def run(self) -> None:
        """Serves until it is cancelled, then lets go of whoever is still connected."""
        serving = asyncio.create_task(self._server.serve([self._socket]))
        try:
            await asyncio.shield(serving)
        finally:
            self._application.leaves.set()
            self._server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    """Leaves signals to the process that it is a part of."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(address: str) -> socket.socket:
    """A socket that listens at HOST:PORT; port 0 is any free one.

    Raises:
        Unavailable: taken, or not this machine's; says so in words.
    """
    parts = urlsplit(f"//{address}")
    host, port = parts.hostname or "", parts.port or 0
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind(where)
            opened.listen(BACKLOG_MAX)
        except OSError:
            opened.close()
            raise
    except OSError as error:
        raise Unavailable(
            "web", f"{address}: {error.strerror or error}", "Stop what uses that address, or choose another with --web"
        ) from error
    return opened


def url_of(listening: socket.socket, scheme: str = "http") -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
