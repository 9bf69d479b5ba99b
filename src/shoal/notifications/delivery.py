"""How a notification gets from "somebody has to be told" to told: states, retries, order.

    waiting --leased--> leased --call begins--> calling --accepted--> accepted
       ^                  | lease over             |
       +------------------+-- try again -----------+--> failed
                          +-- nobody to tell --> dropped

A lease that ends before the call began is safe to repeat. One that ends in `calling` is ambiguous: perhaps it was sent.
"""

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from shoal.events.severity import Severity
from shoal.notifications.channel import GiveUp, Outcome, Sent, TryAgain


class DeliveryState(StrEnum):
    """Where a notification is."""

    WAITING = "waiting"
    LEASED = "leased"
    CALLING = "calling"
    ACCEPTED = "accepted"
    FAILED = "failed"
    DROPPED = "dropped"

    @property
    def is_final(self) -> bool:
        return self in {DeliveryState.ACCEPTED, DeliveryState.FAILED, DeliveryState.DROPPED}


class Trigger(StrEnum):
    """What may happen to a notification."""

    LEASE = "lease"
    CALL = "call"
    ACCEPT = "accept"
    TRY_AGAIN = "try_again"
    GIVE_UP = "give_up"
    DROP = "drop"


TRANSITIONS: Final[dict[tuple[DeliveryState, Trigger], DeliveryState]] = {
    (DeliveryState.WAITING, Trigger.LEASE): DeliveryState.LEASED,
    (DeliveryState.WAITING, Trigger.DROP): DeliveryState.DROPPED,
    (DeliveryState.LEASED, Trigger.CALL): DeliveryState.CALLING,
    (DeliveryState.LEASED, Trigger.TRY_AGAIN): DeliveryState.WAITING,
    (DeliveryState.LEASED, Trigger.DROP): DeliveryState.DROPPED,
    (DeliveryState.CALLING, Trigger.ACCEPT): DeliveryState.ACCEPTED,
    (DeliveryState.CALLING, Trigger.TRY_AGAIN): DeliveryState.WAITING,
    (DeliveryState.CALLING, Trigger.GIVE_UP): DeliveryState.FAILED,
}

# A step that nothing follows: what cannot go out for that long goes another way, if there is one.
STEP_USUAL: Final = timedelta(minutes=5)
# Somebody waits for the end of a test, and a test of yesterday would only confuse.
TEST_KEPT: Final = timedelta(seconds=30)
# The first retry comes while the person would still call it at once, the last ones do not disturb a mail server.
DELAY_FIRST: Final = timedelta(seconds=5)
DELAY_MAX: Final = timedelta(minutes=5)  # what waits goes out at most this long after the mail server is back
# A message about an alert that is older than a weekend helps nobody.
KEPT_MAX: Final = timedelta(days=3)  # RFC 5321 §4.5.4.1 asks senders for four to five days; an alert is more urgent
# Doublings after which the delay has reached its bound anyway.
_DOUBLINGS_MAX: Final = 10  # keeps the power of two small
# How long a worker may hold a notification; the call itself times out much sooner.
LEASE: Final = timedelta(seconds=30)
# Severities whose notifications go at least once: better twice than never.
_AT_LEAST_ONCE: Final = frozenset({Severity.CRITICAL, Severity.HIGH})


class Attempted(msgspec.Struct, frozen=True):
    """What becomes of a notification after an attempt."""

    state: DeliveryState
    due_at: datetime | None
    note: str


def after(state: DeliveryState, trigger: Trigger) -> DeliveryState:
    """The state after a trigger; one that means nothing here changes nothing."""
    return TRANSITIONS.get((state, trigger), state)


def after_outcome(
    notification: str,
    attempts: int,
    created_at: datetime,
    outcome: Outcome,
    now: datetime,
    *,
    has_another_way: bool = False,
    until: datetime | None = None,
) -> Attempted:
    """What an answer of a channel means, `attempts` counting this one.

    A channel that is away is asked again until the step is over (`until`), if there is another way to this person;
    else for as long as the message may help somebody.
    """
    match outcome:
        case Sent(receipt):
            return Attempted(after(DeliveryState.CALLING, Trigger.ACCEPT), None, receipt)
        case GiveUp(reason):
            return Attempted(after(DeliveryState.CALLING, Trigger.GIVE_UP), None, reason)
        case TryAgain(reason, wait, needs_operator):
            if now - created_at >= KEPT_MAX:
                return Attempted(after(DeliveryState.CALLING, Trigger.GIVE_UP), None, f"given up after 3 d: {reason}")
            due_at = now + max(delay(notification, attempts), wait or timedelta())
            if has_another_way and (needs_operator or due_at >= (until or created_at + STEP_USUAL)):
                return Attempted(after(DeliveryState.CALLING, Trigger.GIVE_UP), None, reason)
            return Attempted(after(DeliveryState.CALLING, Trigger.TRY_AGAIN), due_at, reason)


def after_lost_lease(state: DeliveryState, severity: Severity) -> DeliveryState:
    """What becomes of a notification whose worker never came back.

    Nobody knows whether one in `calling` went out. What is grave is sent again: its Message-ID is the same, so that a
    mail program may show it once. The rest counts as sent.
    """
    if state is DeliveryState.CALLING and severity not in _AT_LEAST_ONCE:
        return after(state, Trigger.ACCEPT)
    return after(state, Trigger.TRY_AGAIN)


def delay(notification: str, attempts: int) -> timedelta:
    """The wait before the next attempt: doubled each time, and spread so that not all come back at once."""
    doubled = DELAY_FIRST * 2 ** min(max(attempts, 1) - 1, _DOUBLINGS_MAX)
    spread = hashlib.sha256(f"{notification}|{attempts}".encode()).digest()[0] / 255
    bounded: timedelta = min(doubled, DELAY_MAX)
    return bounded * (0.75 + 0.25 * spread)
