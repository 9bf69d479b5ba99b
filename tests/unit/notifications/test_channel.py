"""Every channel keeps the protocol: it has a name, and an answer for every message."""

import pytest

from shoal.clock import FakeClock
from shoal.errors import NotFound
from shoal.notifications.channel import Channel, GiveUp, Sent, TryAgain
from shoal.notifications.dashboard import DashboardChannel
from shoal.notifications.email import EmailChannel
from shoal.notifications.message import message_of_test
from shoal.notifications.outbound import Outbound
from shoal.notifications.webhook import Endpoint, WebhookChannel


async def nowhere(channel: str) -> Endpoint:
    raise NotFound(channel, "none")


CHANNELS: tuple[Channel, ...] = (
    EmailChannel(None),
    DashboardChannel(),
    WebhookChannel(nowhere, Outbound(), FakeClock(), ""),
)


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)
async def test_every_channel_says_what_became_of_a_message(channel: Channel) -> None:
    outcome = await channel.send("kari@farm.example", message_of_test("ntf-1", "Kari", "https://shoal.example"))

    assert isinstance(outcome, Sent | TryAgain | GiveUp)


def test_no_two_channels_share_a_name() -> None:
    assert len({channel.name for channel in CHANNELS}) == len(CHANNELS)
