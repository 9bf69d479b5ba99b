"""Files for devices over HTTP: no login, but an address that only the device was told and that expires."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request, Response
from fastapi import Path as InPath
from starlette.types import Receive, Scope, Send

from shoal.api import problems
from shoal.api.access import UpdateKey
from shoal.api.context import DOWNLOADS_MAX, HeldRooms, Rooms
from shoal.api.ranges import Unsatisfiable, wanted
from shoal.campaigns.campaigns import Offered
from shoal.campaigns.timers import RATE_BYTES_PER_S_MIN
from shoal.errors import ShoalError, Unavailable

log = logging.getLogger(__name__)

router = APIRouter(prefix="/downloads", tags=["updates"])

# One read from the disk; what a connection holds of a file at a time.
CHUNK_BYTES: Final = 16 * 1024
# A device that does not take a piece in this time has lost its link: it comes back with a range. The slowest link that an
# update waits for needs no longer.
STALL: Final = timedelta(seconds=CHUNK_BYTES / RATE_BYTES_PER_S_MIN)
# Progress is written down after this share of the file, so that a download costs a score of transactions.
PROGRESS_STEP: Final = 0.05


@router.head("/{update}/{file}/{expires}/{signature}", include_in_schema=False)
@router.get("/{update}/{file}/{expires}/{signature}", response_class=Response)
async def download(
    request: Request,
    rooms: HeldRooms,
    update: UpdateKey,
    file: Annotated[str, InPath(pattern="^[0-9a-f]{32}$")],
    expires: Annotated[int, InPath(ge=0, le=99_999_999_999)],
    signature: Annotated[str, InPath(pattern="^[A-Za-z0-9_-]{22}$")],
    if_range: Annotated[str | None, Header()] = None,
) -> Response:
    """The file of an update, or the range of it that is asked for. 403: not our address; 410: it is good no more."""
    offered = await rooms.campaigns.download(update, file, expires, signature)
    etag = f'"{offered.sha256[:32]}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "Content-Disposition": "attachment",
    }
    # §14.2: Range means something to GET alone.
    asked = request.headers.get("range") if request.method == "GET" else None
    try:
        part = wanted(asked, if_range, etag, offered.size)
    except Unsatisfiable as error:
        unsatisfied = {"Content-Range": f"bytes */{offered.size}"}
        return problems.problem(416, error.kind, str(error), unsatisfied)
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{offered.size}"
    bytes_wanted = part if part is not None else range(offered.size)
    headers["Content-Length"] = str(len(bytes_wanted))
    status = 200 if part is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return _Streamed(rooms, offered, bytes_wanted, status, headers)


class _Streamed(Response):
    """A part of a file, read piece by piece as fast as the device takes it."""

    def __init__(self, rooms: Rooms, offered: Offered, part: range, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(status_code=status, headers=headers)
        self._rooms = rooms
        self._offered = offered
        self._part = part
        # The length is that of the part and not of an empty body.
        self.raw_headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._rooms.downloads.one_more(self._offered.update) as has_room:
            if not has_room:
                refusal = Unavailable("downloads", f"{DOWNLOADS_MAX} are going on already, or two of this update")
                later = {"Retry-After": str(problems.RETRY_AFTER_S)}
                await problems.problem(503, "unavailable", str(refusal), later)(scope, receive, send)
                return
            gone = asyncio.create_task(_gone(receive))
            try:
                await self._stream(send, gone)
            except TimeoutError:
                # The connection is cut: the headers have promised more than was sent.
                log.info("download.stalled", extra={"update": self._offered.update})
                raise
            finally:
                gone.cancel()

    async def _stream(self, send: Send, gone: asyncio.Task[None]) -> None:
        offered, part = self._offered, self._part
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        step, told = max(1, int(offered.size * PROGRESS_STEP)), part.start
        at = part.start
        while at < part.stop:
            if gone.done():
                # What is sent to nobody is taken without a word, and would count as fetched.
                log.info("download.broke_off", extra={"update": offered.update, "bytes": at})
                return
            chunk = await asyncio.to_thread(_read, offered.path, at, min(CHUNK_BYTES, part.stop - at))
            at += len(chunk)
            async with asyncio.timeout(STALL.total_seconds()):
                await send({"type": "http.response.body", "body": chunk, "more_body": at < part.stop})
            if at - told >= step or at == part.stop:
                told = at
                await self._note(at)

    async def _note(self, count: int) -> None:
        # Progress is for people: that it cannot be written down must not stop a device.
        try:
            await self._rooms.campaigns.fetched(self._offered.update, count)
        except ShoalError as error:
            log.warning("download.not_noted", extra={"update": self._offered.update, "reason": str(error)})


async def _gone(receive: Receive) -> None:
    """Waits until the device has let go of the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _read(path: Path, offset: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        chunk = file.read(count)
    if not chunk:
        raise EOFError(f"{path.name} is shorter than it was")
    return chunk
