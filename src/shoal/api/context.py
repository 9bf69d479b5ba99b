"""What every route needs: the rooms that it asks."""

from dataclasses import dataclass, field
from typing import Annotated, Final, Protocol

from fastapi import Depends, Request

from shoal.alerting.policy_store import Policies
from shoal.alerting.store import Alerts
from shoal.api.changes import Changes
from shoal.api.guesses import Guesses
from shoal.api.seats import Seats
from shoal.audit.store import Audit
from shoal.authority.certificate_store import Certificates
from shoal.authority.enrolment_store import Enrolments
from shoal.authority.store import Authorities
from shoal.campaigns.campaigns import Campaigns
from shoal.clock import Clock
from shoal.commands.store import Commands
from shoal.credentials.anchor_store import TrustAnchors
from shoal.credentials.bootstrap_store import BootstrapCredentials
from shoal.credentials.store import Credentials
from shoal.health.store import Health
from shoal.history.folding import Folding
from shoal.history.store import History
from shoal.identity.store import Identity
from shoal.inventory.store import Inventory
from shoal.lwm2m.objects import Objects, known_objects
from shoal.notifications.channel_store import Channels
from shoal.notifications.contact_store import Contacts
from shoal.notifications.store import Notifications
from shoal.policies.store import AccessPolicies
from shoal.storage.database import Database
from shoal.storage.secrets import Vault

# Requests of this process that wait for a device at a time; each looks at one row now and then.
WAITING_MAX: Final = 500
# People who log in at a time: two passwords are compared at once, so the last of them waits two seconds.
LOGINS_MAX: Final = 64
# Devices that fetch over HTTP at a time: each holds a connection and 16 KiB; the others come back in a moment.
DOWNLOADS_MAX: Final = 64
# A device fetches once; the other is of the link that it lost and that we still believe in.
DOWNLOADS_PER_UPDATE_MAX: Final = 2
# Artifacts that come in at a time: each takes up to 64 MiB of the disk, twice while it comes in.
UPLOADS_MAX: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What one application has for as long as it runs. The seats bound what goes on at a time.

    `vault` encrypts the answers that are kept for whoever repeats a request. `inventory` is made with a `tell` that
    enqueues a write. `objects` say what the values of devices mean. `mail_server` is the host that carries mail, None while none is configured. `changes` are what open
    streams are told.
    """

    database: Database
    vault: Vault
    clock: Clock
    objects: Objects = field(default_factory=known_objects)
    audit: Audit
    inventory: Inventory
    credentials: Credentials
    authorities: Authorities
    certificates: Certificates
    enrolments: Enrolments
    bootstraps: BootstrapCredentials
    trust_anchors: TrustAnchors
    identity: Identity
    access: AccessPolicies
    commands: Commands
    history: History
    health: Health
    alerts: Alerts
    policies: Policies
    contacts: Contacts
    channels: Channels
    notifications: Notifications
    mail_server: str | None = None
    campaigns: Campaigns
    changes: Changes
    waiting: Seats = field(default_factory=lambda: Seats(WAITING_MAX))
    logins: Seats = field(default_factory=lambda: Seats(LOGINS_MAX))
    guesses: Guesses = field(default_factory=Guesses)
    refused: Folding = field(default_factory=Folding)
    uploads: Seats = field(default_factory=lambda: Seats(UPLOADS_MAX))
    downloads: Seats = field(default_factory=lambda: Seats(DOWNLOADS_MAX, DOWNLOADS_PER_UPDATE_MAX))


class NamingRooms(Protocol):
    """Those that know what people, tokens, places and devices are called; so do a shell's."""

    @property
    def inventory(self) -> Inventory: ...
    @property
    def identity(self) -> Identity: ...


class DeviceRooms(Protocol):
    """Those that know something of a device."""

    @property
    def clock(self) -> Clock: ...
    @property
    def inventory(self) -> Inventory: ...
    @property
    def credentials(self) -> Credentials: ...
    @property
    def health(self) -> Health: ...
    @property
    def history(self) -> History: ...
    @property
    def commands(self) -> Commands: ...


def rooms_of(request: Request) -> Rooms:
    """The rooms of the application that this request came to."""
    rooms = request.app.state.rooms
    assert isinstance(rooms, Rooms)  # noqa: S101  # set once, when the application is made
    return rooms


HeldRooms = Annotated[Rooms, Depends(rooms_of)]
