"""The webhook as a channel: an alert as a CloudEvent, posted to a URL, signed.

    POST <url>
    Content-Type: application/cloudevents+json
    Idempotency-Key: <id of the notification, the same when it is sent again>
    Shoal-Signature: t=<seconds since 1970>,v1=<hex of HMAC-SHA256(secret, "<t>." + body)>

Whoever gets it compares the signature in constant time, refuses times more than five minutes away, and answers 2xx.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

import msgspec

from shoal import __version__
from shoal.clock import Clock
from shoal.errors import NotFound, Unavailable
from shoal.notifications.channel import WEBHOOK, GiveUp, Outcome, Sent, TryAgain
from shoal.notifications.message import Message
from shoal.notifications.outbound import Answered, Away, Outbound, Refused

# As long as the digest: a longer key makes HMAC no stronger (RFC 2104 §3).
SECRET_BYTES: Final = 32
SECRET_PREFIX: Final = "whsec_"  # noqa: S105  # tells people and secret scanners what it is
SIGNATURE_HEADER: Final = "Shoal-Signature"

# Come again later, says the other side. Everything else that is no success stays as it is until a person acts.
_LATER: Final = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a webhook goes, and what signs it."""

    url: str
    secret: str


# The endpoint of a channel's id.
Lookup = Callable[[str], Awaitable[Endpoint]]


class WebhookChannel:
    """Posts to the webhooks that tenants have set up; the address of a notification is the id of one."""

    name = WEBHOOK

    def __init__(self, lookup: Lookup, outbound: Outbound, clock: Clock, source: str) -> None:
        self._lookup = lookup
        self._outbound = outbound
        self._clock = clock
        self._source = source

    async def send(self, address: str, message: Message) -> Outcome:
        """Posts one message and says what the other side made of it; never what it answered beside the status."""
        try:
            endpoint = await self._lookup(address)
        except NotFound:
            return GiveUp("the webhook was removed")
        except Unavailable as error:
            return TryAgain(f"{error.neighbour} is away")
        now = self._clock.now()
        body = envelope(message, self._source, now)
        headers = {
            "Content-Type": "application/cloudevents+json",
            "Idempotency-Key": message.id,
            SIGNATURE_HEADER: signature(endpoint.secret, now, body),
            "User-Agent": f"Shoal/{__version__}",
        }
        try:
            answered = await self._outbound.post(endpoint.url, body, headers)
        except Refused as error:
            return GiveUp(f"not called: {error}")
        except Away as error:
            return TryAgain(f"the webhook is away: {error}")
        return outcome(answered)


def new_secret() -> str:
    """A secret to sign with, as it is shown once."""
    return SECRET_PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).decode().rstrip("=")


def signature(secret: str, at: datetime, body: bytes) -> str:
    """The header that proves who sent a body, and when."""
    moment = int(at.timestamp())
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def envelope(message: Message, source: str, at: datetime) -> bytes:
    """The message as a CloudEvent in structured mode (CloudEvents 1.0, JSON format §3)."""
    event = {
        "specversion": "1.0",
        "id": message.id,
        "source": source,
        "type": f"shoal.alert.{message.kind}",
        "subject": message.thread,
        "time": at,
        "datacontenttype": "application/json",
        "data": message.facts,
    }
    return msgspec.json.encode(event)


def outcome(answered: Answered) -> Outcome:
    """What a status means (RFC 9110 §15). A redirect is refused: it could lead anywhere."""
    status = answered.status
    if 200 <= status < 300:
        return Sent(f"answered {status}")
    if status >= 500 or status in _LATER:
        return TryAgain(f"answered {status}", answered.retry_after)
    if 300 <= status < 400:
        return GiveUp(f"answered {status}: redirects are not followed")
    return GiveUp(f"answered {status}")
