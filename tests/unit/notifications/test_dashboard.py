"""The dashboard takes everything at once."""

from shoal.notifications.channel import DASHBOARD, Sent
from shoal.notifications.dashboard import DashboardChannel
from shoal.notifications.message import message_of_test


async def test_what_is_stored_is_delivered() -> None:
    channel = DashboardChannel()

    assert channel.name == DASHBOARD
    assert isinstance(await channel.send("", message_of_test("ntf-1", "Kari", "")), Sent)
