"""Devices that fetch certificates over CoAP (EST, RFC 9148): what they ask goes to whoever signs, and the answer back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, TypeAlias, cast

from shoal.errors import NotFound, Rejected, ShoalError
from shoal.lwm2m.dataplane import DataPlane

log = logging.getLogger(__name__)

# A device waits for a signature without haste, and asks once a year.
LOOK_EVERY: Final = timedelta(milliseconds=250)

Code: TypeAlias = tuple[int, int]
# RFC 8132 §2.3.1 has 4.09, RFC 8516 has 4.29.
_CODES: Final[dict[str, Code]] = {
    "unauthenticated": (4, 1),
    "forbidden": (4, 3),
    "not-found": (4, 4),
    "conflict": (4, 9),
    "too-many-requests": (4, 29),
}
BAD_REQUEST: Final = (4, 0)
UNAVAILABLE: Final = (5, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a device asks that has proved who it is: `format` is the content format of the answer, `body` is PKCS #10."""

    device: str
    operation: Literal["crts", "att", "sen", "sren"]
    format: int
    body: bytes


# Answers a question; raises Rejected or Unavailable when it does not.
Sign: TypeAlias = Callable[[Question], Awaitable[bytes]]


async def nobody(question: Question) -> bytes:
    """The answer where nobody signs."""
    raise NotFound(question.operation, "nobody issues certificates here")


class Enrolling:
    """Carries questions out of the core, and answers into it."""

    def __init__(self, core: DataPlane, sign: Sign) -> None:
        self._core = core
        self._sign = sign

    async def run(self) -> None:
        """Answers until it is cancelled."""
        while True:
            for ticket, device, operation, format_, body in self._core.enrolments():
                known = cast("Literal['crts', 'att', 'sen', 'sren']", operation)
                question = Question(device=device, operation=known, format=format_, body=body)
                await self._answer(ticket, question)
            await asyncio.sleep(LOOK_EVERY.total_seconds())

    async def _answer(self, ticket: int, question: Question) -> None:
        try:
            self._core.answer_enrolment(ticket, await self._sign(question))
        except ShoalError as error:
            code, says = refusal_of(error)
            log.warning("enrolling.refused", extra={"device": question.device, "reason": str(error)})
            self._core.answer_enrolment(ticket, says.encode(), refusal=code)


def refusal_of(error: ShoalError) -> tuple[Code, str]:
    """The code of CoAP for an error, and what may be said of it to a device."""
    if isinstance(error, Rejected):
        return _CODES.get(error.kind, BAD_REQUEST), str(error)
    # What a neighbour of ours says may name folders and hosts.
    return UNAVAILABLE, "not now; nothing was lost"
