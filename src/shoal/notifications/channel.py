"""What carries a notification, and what may come of it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeAlias

from shoal.notifications.message import Message


@dataclass(frozen=True, slots=True)
class Sent:
    """The neighbour took it. `receipt` is what it said."""

    receipt: str


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Not now: the neighbour is away, busy or asks to wait. Nothing was sent."""

    reason: str
    wait: timedelta | None = None


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Never: this address or this message will not be taken."""

    reason: str


Outcome: TypeAlias = Sent | TryAgain | GiveUp


class Channel(Protocol):
    """One way to reach people. `send` never raises for what a neighbour does, and ends within seconds."""

    @property
    def name(self) -> str: ...

    async def send(self, address: str, message: Message) -> Outcome:
        """Sends one message to one address. The same message id twice is the same message."""
        ...
