"""What carries a notification, and what may come of it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol, TypeAlias

from shoal.notifications.message import Message

# The channels that there are, by the names that stand in the database, in the API and on the screen.
EMAIL: Final = "email"
WEBHOOK: Final = "webhook"
DASHBOARD: Final = "dashboard"


@dataclass(frozen=True, slots=True)
class Sent:
    """The neighbour took it. `receipt` is what it said."""

    receipt: str


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Not now: the neighbour is away, busy or asks to wait. Nothing was sent.

    `needs_operator`: nor soon, because something has to be set up first; another way is better now.
    """

    reason: str
    wait: timedelta | None = None
    needs_operator: bool = False


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
