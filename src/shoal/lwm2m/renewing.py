"""Gets a device its next certificate in the session that it has, and changes over to it (EST over CoAPs, RFC 9148).

Nothing is used before it is on the disk, and nothing is forgotten before the new one has let the device in.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from shoal.clock import Clock, SystemClock
from shoal.errors import ShoalError
from shoal.lwm2m.certificates import Certificate
from shoal.lwm2m.renewal import (
    PAUSE_FIRST,
    Pair,
    Pairs,
    Renewal,
    chain_of,
    due_at,
    load_pairs,
    new_key,
    pause_after,
    request_for,
    save_pairs,
    to_begin_with,
)

# RFC 9148 §4.1: simple enrolment, and simple re-enrolment.
ENROL: Final = "/.well-known/est/sen"
RENEW: Final = "/.well-known/est/sren"
# application/pkcs10, and application/pkcs7-mime; smime-type=certs-only.
REQUEST: Final = 286
CERTIFICATES: Final = 281
# How long one of two certificates is tried before it is the other's turn: half a dozen attempts.
TRY_FOR: Final = timedelta(seconds=60)
# The wall clock may be set meanwhile.
LOOK_EVERY: Final = timedelta(hours=1)


class Answer(NamedTuple):
    """What the server said: its code, None when it said nothing; with 5.03 perhaps when to try again."""

    code: str | None
    data: bytes = b""
    detail: str = ""
    retry_after_s: int | None = None


class Line(Protocol):
    """The device, as it is told what to do here."""

    async def ask(self, path: str, request: bytes) -> Answer:
        """Asks its server, in the session that it has."""

    async def prove(self, certificate: Certificate | None) -> None:
        """From now on it shows this, or without it proves its key: a new handshake, a new registration."""

    async def is_registered(self, within: timedelta) -> bool:
        """Whether the server has accepted it, or does so within this time."""


class Trouble(ShoalError):
    """There is no new certificate yet. `retry_after_s` is what a busy server says."""

    def __init__(self, reason: str, retry_after_s: int | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


@dataclass
class Renewing:
    """The certificates of one device. `given` is what it began with, None for a pre-shared key; `share` its place among
    many."""

    endpoint: str
    renewal: Renewal
    given: Certificate | None
    line: Line
    clock: Clock = field(default_factory=SystemClock)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    share: float = field(default_factory=random.random)
    _pairs: Pairs = field(default_factory=Pairs, init=False)
    # What lets the device in now; None is its key.
    _current: Pair | None = field(default=None, init=False)

    def begin(self) -> Certificate | None:
        """What the device begins with after a start: what it has kept, or what it was given; None for its key.

        Raises:
            Rejected: the file is damaged.
        """
        given = None if self.given is None else Pair(key=self.given.key, chain=tuple(self.given.chain))
        self._pairs = load_pairs(self.renewal.file)
        self._current = to_begin_with(self._pairs, given, self.clock.now())
        return self._shown(self._current)

    @property
    def expires_at(self) -> datetime | None:
        """When the certificate ends that lets the device in; None where that is a key."""
        return None if self._current is None else self._current.leaf.not_valid_after_utc

    async def run(self) -> None:
        """Renews until it is cancelled."""
        failures = 0
        while True:
            await self._until_due()
            try:
                await self._renew()
                failures, pause = 0, PAUSE_FIRST
            except (ShoalError, OSError) as error:
                failures += 1
                left = None if self.expires_at is None else self.expires_at - self.clock.now()
                said_s = error.retry_after_s if isinstance(error, Trouble) else None
                pause = pause_after(failures, left, self.share, said_s)
                if self.renewal.on_trouble is not None:
                    self.renewal.on_trouble(str(error))
            await self.sleep(pause.total_seconds())

    async def _until_due(self) -> None:
        while self._current is not None and not (self._pairs.next and self._pairs.next.chain):
            left = due_at(self._current.leaf, self.share) - self.clock.now()
            if left <= timedelta():
                return
            await self.sleep(min(left, LOOK_EVERY).total_seconds())

    async def _renew(self) -> None:
        following = self._pairs.next or Pair(key=new_key())
        if not following.chain:
            while not await self.line.is_registered(LOOK_EVERY):
                pass
            # The key first: who asks again with the same one is given the same again.
            await self._keep(Pairs(current=self._current, next=following))
            following = Pair(key=following.key, chain=await self._ask(following.key))
            await self._keep(Pairs(current=self._current, next=following))
        if not await self._change_over(following):
            await self._keep(Pairs(current=self._current))
            raise Trouble("the server does not let the device in with its new certificate")
        await self._keep(Pairs(current=following))
        self._current = following

    async def _ask(self, key: bytes) -> tuple[bytes, ...]:
        request = request_for(self.endpoint, key, self._current)
        answer = await self.line.ask(ENROL if self._current is None else RENEW, request)
        if answer.code is None or not answer.code.startswith("2."):
            said = " ".join(word for word in (answer.code, answer.detail) if word)
            raise Trouble(said or "the server did not answer", answer.retry_after_s)
        return chain_of(answer.data, key, self.clock.now())

    async def _change_over(self, following: Pair) -> bool:
        """By turns, until one lets it in: with both refused the server may be away, and then neither is at fault."""
        while True:
            await self.line.prove(self._shown(following))
            if await self.line.is_registered(TRY_FOR):
                return True
            if self.expires_at is None or self.expires_at > self.clock.now():
                await self.line.prove(self._shown(self._current))
                if await self.line.is_registered(TRY_FOR):
                    return False

    async def _keep(self, pairs: Pairs) -> None:
        await asyncio.to_thread(save_pairs, self.renewal.file, pairs)
        self._pairs = pairs

    def _shown(self, pair: Pair | None) -> Certificate | None:
        return None if pair is None else self.renewal.certificate(pair, self.given)
