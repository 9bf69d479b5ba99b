"""The dashboard as a channel: what is in the database is delivered, and the screen shows it from there."""

from shoal.notifications.channel import DASHBOARD, Outcome, Sent
from shoal.notifications.message import Message


class DashboardChannel:
    """Takes everything at once."""

    name = DASHBOARD

    async def send(self, address: str, message: Message) -> Outcome:
        """Nothing to carry: the row itself is what the screen shows."""
        del address, message
        return Sent("shown on the dashboard")
