"""Changes as server-sent events (WHATWG HTML §9.2): resumable, with heartbeats, of the caller's tenant only."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from shoal.access.decision import Reach
from shoal.access.policy import Operation
from shoal.api.access import Asking, HeldAsking
from shoal.api.changes import Message, Reset, Watcher
from shoal.api.context import HeldRooms, Rooms
from shoal.identity.login import Unauthenticated

router = APIRouter(tags=["live"])

# Proxies close what says nothing for a minute; a page takes two missed ones for a broken link.
HEARTBEAT: Final = timedelta(seconds=15)
# How long a token that was revoked, or may less by now, may go on to listen.
LOOKS_AT_TOKEN_EVERY: Final = timedelta(seconds=60)
# Storms are told in bundles: a page that draws faster than this cannot be read.
GATHER: Final = timedelta(milliseconds=50)
ID_CHARACTERS_MAX: Final = 64  # ours have about 20


@router.get("/events", response_class=StreamingResponse)
async def events(
    asking: HeldAsking,
    rooms: HeldRooms,
    after: Annotated[str | None, Query(max_length=ID_CHARACTERS_MAX, description="like Last-Event-ID")] = None,
    last_event_id: Annotated[str | None, Header(max_length=ID_CHARACTERS_MAX)] = None,
) -> StreamingResponse:
    """What changed, as it happens: `alert`, `status`, `registration`, `place`, `readings`, `command`, `update`,
    `observation`, `security`, `pipeline`, with the ids of what it is about. After `reset` everything has to be asked for again.
    """
    watcher = rooms.changes.watch(asking.tenant, last_event_id or after, asking.reach())
    return StreamingResponse(
        stream(rooms, asking, watcher),
        media_type="text/event-stream",
        # Nginx would gather the stream otherwise.
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def stream(
    rooms: Rooms, asking: Asking, watcher: Watcher, heartbeat: timedelta = HEARTBEAT
) -> AsyncGenerator[bytes, None]:
    """The lines of one stream, until the caller leaves or the token counts no more."""
    with rooms.changes.watching():
        looked_s = rooms.clock.monotonic_s()
        yield f"id: {watcher.after}\n: connected\n\n".encode()
        while True:
            messages = await watcher.next(heartbeat)
            if rooms.clock.monotonic_s() - looked_s >= LOOKS_AT_TOKEN_EVERY.total_seconds():
                looked_s = rooms.clock.monotonic_s()
                reach = await _reach_now(rooms, asking)
                if reach is None:
                    return
                watcher.reach = reach
            yield b"".join(lines(message) for message in messages) or b": heartbeat\n\n"


def lines(message: Message) -> bytes:
    """One message as it goes over the wire. JSON has no line breaks of its own."""
    if isinstance(message, Reset):
        return f"id: {message.id}\nevent: reset\ndata: {{}}\n\n".encode()
    return f"id: {message.id}\nevent: {message.type}\ndata: ".encode() + message.data + b"\n\n"


async def _reach_now(rooms: Rooms, asking: Asking) -> Reach | None:
    """What the caller may read by now; None when the token counts no more, or nothing is left."""
    try:
        known = await rooms.identity.authenticate(asking.secret)
    except Unauthenticated:
        return None
    reach = (await rooms.access.of(asking.tenant)).reach(known.subject, Operation.READ)
    return None if reach.is_nowhere else reach
