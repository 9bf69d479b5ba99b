"""Idempotency-Key: whoever repeats a POST, because its answer got lost, gets that answer, and nothing is done twice."""

import hashlib
import logging
import re
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shoal.api.access import authenticated
from shoal.api.acts import Doing, doing_of
from shoal.api.context import Rooms
from shoal.api.problems import problem
from shoal.errors import ShoalError, Unavailable
from shoal.storage import answers
from shoal.storage.answers import AnswerLost, Claim, KeptAnswer, WorkedOn

log: Final = logging.getLogger("shoal.api")

# A UUID has 36 characters; some clients put more into it.
KEY_CHARACTERS_MAX: Final = 200
# All answers but those about hundreds of things at once; of a longer one only that it was given is known.
ANSWER_BYTES_MAX: Final = 64 * 1024
# Whoever asks again while the first request is worked on.
RETRY_AFTER_S: Final = 1

_KEY: Final = re.compile(rb"[\x21-\x7e]{1,%d}" % KEY_CHARACTERS_MAX)
_KEPT_HEADERS: Final = {b"content-type", b"location", b"etag"}
_REPLAYED: Final = (b"idempotency-replayed", b"true")


def describe(document: dict[str, Any]) -> None:
    """Tells of the key in an OpenAPI document: at every POST that needs a token."""
    parameter = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "the same key and request within 24 hours get the first answer, and nothing is done twice",
        "schema": {"type": "string", "maxLength": KEY_CHARACTERS_MAX},
    }
    for operations in document["paths"].values():
        operation = operations.get("post")
        if operation is not None and operation.get("security"):
            operation.setdefault("parameters", []).append(parameter)


class Once:
    """Keeps the answers to POSTs that carry a key and come from somebody known. Logging in needs no key: it may be repeated."""

    def __init__(self, app: ASGIApp, rooms: Rooms) -> None:
        self._app = app
        self._rooms = rooms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"]) if scope["type"] == "http" and scope["method"] == "POST" else {}
        key, doing = headers.get(b"idempotency-key"), doing_of(scope)
        if key is None or doing is None:
            await self._app(scope, receive, send)
            return
        if not _KEY.fullmatch(key):
            title = f"Idempotency-Key: expected 1 to {KEY_CHARACTERS_MAX} visible characters"
            await problem(400, "invalid", title)(scope, receive, send)
            return
        try:
            if not await self._is_known(headers, doing):
                # The application says what is wrong with the token.
                await self._app(scope, receive, send)
                return
            body = _Body(receive)
            request = await _digest(scope, headers, body)
            claimed = await self._claim(doing, key)
        except HTTPException as error:  # too long
            await problem(error.status_code, "too-large", error.detail)(scope, receive, send)
            return
        except Unavailable as error:
            log.warning("api.unavailable", extra={"neighbour": error.neighbour, "reason": error.reason})
            title = f"{error.neighbour} is not available; nothing was done"
            await problem(503, "unavailable", title, {"Retry-After": "5"})(scope, receive, send)
            return
        if isinstance(claimed, Claim):
            await self._do(scope, body, send, doing, claimed, request)
        else:
            await _known(claimed, request)(scope, receive, send)

    async def _is_known(self, headers: dict[bytes, bytes], doing: Doing) -> bool:
        scheme, _, secret = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return False
        try:
            doing.subject = (await authenticated(self._rooms, doing.address, secret.strip())).subject
        except Unavailable:
            raise
        except ShoalError:
            return False
        return True

    async def _claim(self, doing: Doing, key: bytes) -> answers.Claimed:
        assert doing.subject is not None  # noqa: S101  # that is who is known
        owner = doing.subject.id
        id_ = hashlib.sha256(b"\n".join((doing.subject.tenant.encode(), owner.encode(), key))).hexdigest()
        # Claiming is no act of anybody's: it leaves no entry.
        subject, doing.subject = doing.subject, None
        claimed = await answers.claim(self._rooms.database, self._rooms.vault, id_, owner, self._rooms.clock.now())
        doing.subject = subject
        return claimed

    async def _do(
        self, scope: Scope, receive: Receive, send: Send, doing: Doing, claimed: Claim, request: bytes
    ) -> None:
        doing.claim = claimed
        said = _Answer()
        try:
            await self._app(scope, receive, said.take)
        finally:
            doing.subject = None
            # Before the answer leaves: whoever has it will not ask again, and whoever asks again finds it.
            await self._settle(doing, claimed, said.kept(request))
        for message in said.messages:
            await send(message)

    async def _settle(self, doing: Doing, claimed: Claim, answer: KeptAnswer | None) -> None:
        """Keeps what was answered when something was done, else frees the key: who corrects a mistake may use it again."""
        is_good = answer is not None and answer.status < 400
        try:
            if doing.is_done or is_good:
                await answers.keep(self._rooms.database, self._rooms.vault, claimed, answer)
            else:
                await answers.release(self._rooms.database, claimed)
        except Unavailable as error:
            # What was done stands as done; only its answer is not known to whoever asks again.
            log.warning("api.answer_not_kept", extra={"neighbour": error.neighbour, "reason": error.reason})


class _Body:
    """The body of a request, read before it is passed on."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read: list[Message] = []

    async def read(self) -> bytes:
        """All of it; its length was bounded before."""
        while not self._read or self._read[-1].get("more_body", False):
            self._read.append(await self._receive())
        return b"".join(message.get("body", b"") for message in self._read)

    async def __call__(self) -> Message:
        return self._read.pop(0) if self._read else await self._receive()


@dataclass(slots=True)
class _Answer:
    """An answer that is held back until it is kept."""

    messages: list[Message] = field(default_factory=list)

    async def take(self, message: Message) -> None:
        self.messages.append(message)

    def kept(self, request: bytes) -> KeptAnswer | None:
        """What is kept of it, None when it did not end, or is too long."""
        body = b"".join(message.get("body", b"") for message in self.messages[1:])
        if len(self.messages) < 2 or self.messages[-1].get("more_body", False) or len(body) > ANSWER_BYTES_MAX:
            return None
        head = self.messages[0]
        headers = [(name, value) for name, value in head["headers"] if name.lower() in _KEPT_HEADERS]
        return KeptAnswer(request=request, status=head["status"], headers=headers, body=body)


def _known(claimed: KeptAnswer | WorkedOn | AnswerLost, request: bytes) -> Response:
    """What somebody is answered who asks again."""
    match claimed:
        case KeptAnswer() if claimed.request != request:
            return problem(422, "key-reused", "This Idempotency-Key belongs to another request: take a new one")
        case KeptAnswer():
            answer = Response(claimed.body, claimed.status)
            answer.raw_headers = [
                *((name, value) for name, value in answer.raw_headers if name == b"content-length"),
                *claimed.headers,
                _REPLAYED,
            ]
            return answer
        case WorkedOn():
            return problem(
                409,
                "in-progress",
                "A request with this Idempotency-Key is being worked on",
                {"Retry-After": str(RETRY_AFTER_S)},
            )
        case AnswerLost():
            return problem(
                409,
                "answer-lost",
                "This was done, but its answer was lost: look for what it made before you take a new key",
                at=claimed.at.isoformat(),
            )


async def _digest(scope: Scope, headers: dict[bytes, bytes], body: _Body) -> bytes:
    """What makes two requests the same. The body of an upload is not read for it: its boundaries differ each time."""
    kind = headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()
    if kind.startswith(b"multipart/"):
        content = headers.get(b"content-length", b"")
    else:
        content = hashlib.sha256(await body.read()).digest()
    parts = (scope["path"].encode(), scope.get("query_string", b""), kind, content)
    return hashlib.sha256(b"".join(len(part).to_bytes(8) + part for part in parts)).digest()
