"""The webhook: signed, the same when it is sent again, and honest about what became of it."""

import hashlib
import hmac
from collections.abc import AsyncIterator

import pytest

from shoal.clock import FakeClock
from shoal.errors import NotFound, Unavailable
from shoal.notifications.channel import GiveUp, Outcome, Sent, TryAgain
from shoal.notifications.message import message, message_of_test
from shoal.notifications.outbound import Answered, Outbound
from shoal.notifications.webhook import Endpoint, WebhookChannel, new_secret, outcome, signature
from tests.harness.findings import NOON, due
from tests.harness.hook import HookServer

SECRET = "whsec_only-for-tests"
TEST = message_of_test("ntf-1", "Kari", "https://shoal.example")


@pytest.fixture
async def server() -> AsyncIterator[HookServer]:
    made = HookServer()
    await made.start()
    yield made
    await made.stop()


def channel(server: HookServer, *, is_private_allowed: bool = True) -> WebhookChannel:
    async def lookup(channel: str) -> Endpoint:
        if channel != "chn-1":
            raise NotFound("channel", "none")
        return Endpoint(server.url, SECRET)

    outbound = Outbound(is_private_allowed=is_private_allowed)
    return WebhookChannel(lookup, outbound, FakeClock(NOON), "https://shoal.example")


async def test_an_alert_is_posted_as_a_signed_cloud_event(server: HookServer) -> None:
    made = message(due(severity="critical"), notification="ntf-1-x", place="Pen 4", base_url="https://shoal.example")

    assert await channel(server).send("chn-1", made) == Sent("answered 204")

    [posted] = server.posted
    event = posted.event
    assert posted.headers["content-type"] == "application/cloudevents+json"
    assert posted.headers["idempotency-key"] == event["id"] == "ntf-1-x"
    assert (event["specversion"], event["type"], event["subject"]) == ("1.0", "shoal.alert.opened", "alr-1")
    assert event["source"] == "https://shoal.example"
    assert event["data"]["headline"] == "cam-1 is silent"
    assert (event["data"]["code"], event["data"]["severity"], event["data"]["place"]) == ("K7CC", "critical", "Pen 4")
    assert event["data"]["link"] == "https://shoal.example/alerts/alr-1"
    # As somebody who gets it checks it.
    moment, digest = (part.partition("=")[2] for part in posted.headers["shoal-signature"].split(","))
    expected = hmac.new(SECRET.encode(), f"{moment}.".encode() + posted.body, hashlib.sha256).hexdigest()
    assert int(moment) == int(NOON.timestamp())
    assert hmac.compare_digest(digest, expected)


def test_another_body_moment_or_secret_has_another_signature() -> None:
    signed = signature(SECRET, NOON, b"{}")

    assert signed == signature(SECRET, NOON, b"{}")
    assert signature(SECRET, NOON, b"{ }") != signed
    assert signature(new_secret(), NOON, b"{}") != signed
    assert signature(SECRET, NOON.replace(minute=1), b"{}") != signed


def test_no_two_secrets_are_alike() -> None:
    assert len({new_secret() for _ in range(50)}) == 50
    assert len(new_secret()) == len("whsec_") + 43


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, Sent),
        (202, Sent),
        (204, Sent),
        (301, GiveUp),
        (307, GiveUp),
        (400, GiveUp),
        (401, GiveUp),
        (404, GiveUp),
        (410, GiveUp),
        (408, TryAgain),
        (409, TryAgain),
        (425, TryAgain),
        (429, TryAgain),
        (500, TryAgain),
        (503, TryAgain),
    ],
)
def test_a_status_says_whether_to_come_again(status: int, kind: type[Outcome]) -> None:
    assert isinstance(outcome(Answered(status, None)), kind)


async def test_what_is_away_is_tried_again_and_what_must_not_be_called_is_not(server: HookServer) -> None:
    refused = await channel(server, is_private_allowed=False).send("chn-1", TEST)
    await server.stop()
    away = await channel(server).send("chn-1", TEST)

    assert isinstance(refused, GiveUp)
    assert refused.reason.startswith("not called: ")
    assert server.posted == []
    assert isinstance(away, TryAgain)
    assert away.reason == "the webhook is away: it takes no connection"


async def test_a_webhook_that_is_gone_gets_nothing(server: HookServer) -> None:
    async def lookup(_channel: str) -> Endpoint:
        raise Unavailable("master key", "another one")

    locked = WebhookChannel(lookup, Outbound(), FakeClock(NOON), "")

    assert await channel(server).send("chn-2", TEST) == GiveUp("the webhook was removed")
    assert await locked.send("chn-1", TEST) == TryAgain("master key is away")
