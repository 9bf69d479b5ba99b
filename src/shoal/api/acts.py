"""What a request that changes something leaves behind, in the transaction of the change itself: who it was, that it is done."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from shoal.access.decision import Subject
from shoal.api.context import Rooms
from shoal.audit.entry import Act, act_of
from shoal.storage import answers
from shoal.storage.answers import Claim
from shoal.storage.database import Transaction, before_commit

_LOOKS: Final = {"GET", "HEAD", "OPTIONS"}


@dataclass(slots=True)
class Doing:
    """One request that may change something. Routes add what it was before and is after; the rest is known without them.

    `subject` is empty until somebody is known to ask, `claim` unless there is an Idempotency-Key. `is_done`: something
    was kept.
    """

    rooms: Rooms
    method: str
    path: str
    address: str
    subject: Subject | None = None
    claim: Claim | None = None
    thing: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    is_done: bool = False

    async def keep_with(self, tx: Transaction) -> None:
        """Writes into a transaction of this request who asked for it: once, with the first one that is kept."""
        if self.subject is None or self.is_done:
            return
        if self.claim is not None:
            await answers.mark_done(tx, self.claim)
        act = act_of(self.method, self.path)
        if self.thing is not None:
            act = Act(action=act.action, resource=act.resource, thing=self.thing, path=act.path)
        await self.rooms.audit.write(
            tx,
            self.subject,
            act,
            at=self.rooms.clock.now(),
            address=self.address,
            before=self.before,
            after=self.after,
        )
        tx.after_commit(self._done)

    def _done(self) -> None:
        self.is_done = True


class Acts:
    """Sees to it that no change of a request is kept without an entry in the audit log."""

    def __init__(self, app: ASGIApp, rooms: Rooms, prefix: str) -> None:
        self._app = app
        self._rooms = rooms
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _LOOKS:
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        path = scope["path"].removeprefix(self._prefix)
        doing = Doing(self._rooms, scope["method"], path, address=client[0] if client else "")
        scope["shoal.doing"] = doing
        token = before_commit.set(doing.keep_with)
        try:
            await self._app(scope, receive, send)
        finally:
            before_commit.reset(token)


def doing_of(scope: Scope) -> Doing | None:
    """What this request does; None when it only looks."""
    found = scope.get("shoal.doing")
    return found if isinstance(found, Doing) else None
