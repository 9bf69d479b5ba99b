"""What every route needs: the rooms that it asks."""

from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends, Request

from shoal.alerting.store import Alerts
from shoal.api.changes import Changes
from shoal.api.seats import Seats
from shoal.campaigns.campaigns import Campaigns
from shoal.clock import Clock
from shoal.commands.store import Commands
from shoal.credentials.store import Credentials
from shoal.health.store import Health
from shoal.history.store import History
from shoal.identity.store import Identity
from shoal.inventory.store import Inventory
from shoal.notifications.store import Notifications
from shoal.storage.database import Database

# Requests of this process that wait for a device at a time; each looks at one row now and then.
WAITING_MAX: Final = 500
# Devices that fetch over HTTP at a time: each holds a connection and 16 KiB; the others come back in a moment.
DOWNLOADS_MAX: Final = 64
# A device fetches once; the other is of the link that it lost and that we still believe in.
DOWNLOADS_PER_UPDATE_MAX: Final = 2
# Artifacts that come in at a time: each takes up to 64 MiB of the disk, twice while it comes in.
UPLOADS_MAX: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What one application has for as long as it runs. `waiting`, `uploads`, `downloads` bound what goes on."""

    database: Database
    clock: Clock
    inventory: Inventory
    credentials: Credentials
    identity: Identity
    commands: Commands
    history: History
    health: Health
    alerts: Alerts
    notifications: Notifications
    campaigns: Campaigns
    changes: Changes
    waiting: Seats = field(default_factory=lambda: Seats(WAITING_MAX))
    uploads: Seats = field(default_factory=lambda: Seats(UPLOADS_MAX))
    downloads: Seats = field(default_factory=lambda: Seats(DOWNLOADS_MAX, DOWNLOADS_PER_UPDATE_MAX))


def rooms_of(request: Request) -> Rooms:
    """The rooms of the application that this request came to."""
    rooms = request.app.state.rooms
    assert isinstance(rooms, Rooms)  # noqa: S101  # set once, when the application is made
    return rooms


HeldRooms = Annotated[Rooms, Depends(rooms_of)]
