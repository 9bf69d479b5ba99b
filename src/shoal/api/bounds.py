"""Bounds on every request before a route sees it: what an address may hold, how large a body may be, and of which kind."""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shoal.api.problems import problem
from shoal.campaigns.artifact import SIZE_BYTES_MAX

# The largest body that makes sense is a write of 64 KiB to a device, in JSON with escapes.
BODY_BYTES_MAX: Final = 256 * 1024
# Around the file of an artifact: boundaries, headers and the other fields of the form.
FORM_BYTES_MAX: Final = SIZE_BYTES_MAX + 64 * 1024

# A thousand devices with the longest names there are.
IMPORT_BYTES_MAX: Final = 1024 * 1024
# RFC 4180 §3; lines of JSON have no registered type, and programs call them this or that. One line is JSON.
IMPORT_KINDS: Final = ("text/csv", "application/x-ndjson", "application/jsonl", "application/json")

_WITH_BODY: Final = {"POST", "PUT", "PATCH", "DELETE"}
_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


class Bounds:
    """Answers 400, 413 and 415 by itself, and counts what comes without a length."""

    def __init__(self, app: ASGIApp, upload_path: str, import_path: str = "") -> None:
        self._app = app
        self._upload_path = upload_path
        self._import_path = import_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            # No name or word of ours holds one, and not every database could even look for it.
            await problem(400, "invalid", "An address holds no NUL")(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        is_upload = scope["method"] == "POST" and scope["path"] == self._upload_path
        is_import = scope["method"] == "POST" and scope["path"] == self._import_path
        bytes_max = FORM_BYTES_MAX if is_upload else IMPORT_BYTES_MAX if is_import else BODY_BYTES_MAX
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length[:18]) > bytes_max:
            await problem(413, "too-large", f"At most {bytes_max} bytes")(scope, receive, send)
            return
        has_body = length not in {b"", b"0"} or b"transfer-encoding" in headers
        if scope["method"] in _WITH_BODY and has_body and not is_upload:
            expected = IMPORT_KINDS if is_import else ("application/json",)
            kind = _kind_of(headers)
            if kind not in expected and (is_import or not _is_json(kind)):
                title = f"Send {' or '.join(expected)}"
                await problem(415, "unsupported-media-type", title)(scope, receive, send)
                return
        await self._app(scope, _counted(receive, bytes_max), _with_headers(send))


def _kind_of(headers: dict[bytes, bytes]) -> str:
    return headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower().decode("latin-1")


def _is_json(kind: str) -> bool:
    # RFC 6839 §3.1: `+json` is JSON, too (a merge patch, say).
    return kind.startswith("application/") and kind.endswith("+json")


def _counted(receive: Receive, bytes_max: int) -> Receive:
    taken = 0

    async def counting() -> Message:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            if taken > bytes_max:
                raise HTTPException(413, f"At most {bytes_max} bytes")
        return message

    return counting


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            known = {name.lower() for name, _ in message["headers"]}
            more = [(name, value) for name, value in _HEADERS if name not in known]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return sending
