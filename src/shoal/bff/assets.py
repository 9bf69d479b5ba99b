"""The built pages: files by name, everything else is the application's own business and gets its first page."""

import mimetypes
from pathlib import Path
from typing import Final

from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Scripts, styles and pictures are ours and separate files; nothing may frame us or be loaded from elsewhere.
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    # Codes of devices are scanned; no other page may look.
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}
# RFC 6797 §6.1: one year, once the pages come over TLS.
STRICT_TRANSPORT_SECURITY: Final = "max-age=31536000"
# The name of a hashed file changes with its content; a year is the usual for ever (RFC 8246).
FOR_EVER: Final = "public, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"


class Assets:
    """Answers GET and HEAD from a folder that `npm run build` wrote."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def answer(self, path: str, accept_encoding: str) -> Response:
        """The file at this path, or the application's first page when it is one of the application's own."""
        if path.startswith(("bff/", "api/")):
            return PlainTextResponse("There is no such address.\n", status_code=404)
        file = self._file(path)
        if file is not None:
            is_hashed = path.startswith("assets/")
            return _send(file, FOR_EVER if is_hashed else ASK_AGAIN, accept_encoding)
        if path.startswith("assets/"):
            return PlainTextResponse("There is no such file; the pages were built anew.\n", status_code=404)
        index = self._file("index.html")
        if index is None:
            return PlainTextResponse("The pages are not built yet: run `make build`.\n", status_code=503)
        return _send(index, ASK_AGAIN, accept_encoding)

    def _file(self, path: str) -> Path | None:
        if "\0" in path:
            return None
        file = (self._folder / path).resolve()
        return file if file.is_relative_to(self._folder) and file.is_file() else None


def _send(file: Path, caching: str, accept_encoding: str) -> Response:
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    headers = {"cache-control": caching, "vary": "accept-encoding"}
    packed = file.with_name(file.name + ".gz")
    if "gzip" in accept_encoding and packed.is_file():
        return FileResponse(packed, media_type=media_type, headers={**headers, "content-encoding": "gzip"})
    return FileResponse(file, media_type=media_type, headers=headers)


class SecurityHeaders:
    """Puts the same headers on every answer; plain ASGI, so that streams pass unbuffered."""

    def __init__(self, application: ASGIApp, is_secure: bool) -> None:
        self._application = application
        headers = SECURITY_HEADERS | ({"strict-transport-security": STRICT_TRANSPORT_SECURITY} if is_secure else {})
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._headers]
                if not any(name.lower() == b"cache-control" for name, _ in message["headers"]):
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        await self._application(scope, receive, send_with_headers)
