"""What one room needs of another, where they do not know each other: small adapters, put in by the composition."""

import contextlib
import logging
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

import msgspec

from shoal.access.decision import Place
from shoal.access.policy import Effect, closed_places, who_is_device
from shoal.campaigns import store as campaign_store
from shoal.campaigns.facts import DeviceFacts
from shoal.campaigns.files import ArtifactFiles
from shoal.campaigns.neighbours import Enqueue, Request
from shoal.commands.command import Operation
from shoal.commands.store import Commands
from shoal.credentials.worker import MakeDevice
from shoal.errors import NotFound, Rejected
from shoal.events.alert import NotificationDue
from shoal.gateway.loop import Registered, Which
from shoal.gateway.shelf import DeviceFile, Fetching
from shoal.ids import DeviceId, EnclosureId, FarmId, TenantId
from shoal.inventory import registration_store
from shoal.inventory.claim import Arrival
from shoal.inventory.device import Device, Security, parse_device_kind
from shoal.inventory.store import Inventory, TellEnclosure
from shoal.inventory.worker import MayClaim
from shoal.lwm2m.dataplane import RestoredRegistration
from shoal.notifications.email import MailSecurity, MailSettings
from shoal.notifications.worker import PlaceName
from shoal.policies.store import AccessPolicies
from shoal.settings import Settings
from shoal.storage.database import Database, Transaction

log = logging.getLogger(__name__)

# A device that is told its enclosure may sleep for long; after that a person has looked anyway.
TELL_FOR: Final = timedelta(days=7)


def queue_for_inventory(commands: Commands) -> TellEnclosure:
    """How the inventory tells a device its enclosure: a write that waits until it listens."""

    async def tell(tx: Transaction, place: Place, path: str, enclosure: EnclosureId) -> None:
        body = msgspec.json.encode({"value": enclosure})
        await commands.enqueue(
            tx, place, Operation.WRITE, path, body=body, time_to_live=TELL_FOR, by=None, wait_for_wake=True
        )

    return tell


def devices_for_credentials(inventory: Inventory) -> MakeDevice:
    """How a stranger with a good certificate becomes a device: in no enclosure, until it has said in which it is."""

    async def make(tx: Transaction, tenant: TenantId, endpoint: str, kind: str, is_approved: bool) -> DeviceId | None:
        try:
            device = await inventory.create_device(
                tx,
                tenant,
                endpoint=endpoint,
                kind=parse_device_kind(kind),
                security=Security.X509,
                arrival=Arrival.ADMITTED if is_approved else Arrival.WAITING,
            )
        except Rejected as error:
            # A name that cannot be one, or that of a device that proves itself otherwise: it is not taken over.
            log.warning("stranger.refused", extra={"tenant": tenant, "reason": str(error)})
            return None
        return device.id

    return make


def policies_for_inventory(policies: AccessPolicies) -> MayClaim:
    """Whether a device may say that it is there. The gateway asks the same of what is in a registration, but a Placement
    object is read later."""

    async def may_claim(device: Device, place: Place) -> bool:
        names = who_is_device(device.id, device.kind.value)
        all_ = (await policies.of(device.tenant)).all
        denying = [one for one in all_ if one.effect is Effect.DENY and one.who in names]
        return closed_places(denying).isdisjoint({place.tenant, place.farm, place.enclosure})

    return may_claim


def queue_for_campaigns(commands: Commands) -> Enqueue:
    """How campaigns ask devices."""

    async def enqueue(tx: Transaction, request: Request) -> str:
        place = Place(
            tenant=TenantId(request.tenant),
            farm=None if request.farm is None else FarmId(request.farm),
            enclosure=None if request.enclosure is None else EnclosureId(request.enclosure),
            device=DeviceId(request.device),
        )
        command = await commands.enqueue(
            tx,
            place,
            Operation(request.operation),
            request.path,
            body=None if request.body is None else msgspec.json.encode(request.body),
            time_to_live=request.time_to_live,
            by=request.by,
            wait_for_wake=True,
        )
        return command.id

    return enqueue


def file_address(listeners: Sequence[str], public: str | None) -> Callable[[DeviceFacts], str]:
    """Under which URI a device fetches files: over the kind of listener that it registered with.

    `public` is how devices reach us from outside, where that is not the listener's own address.
    """

    def address(facts: DeviceFacts) -> str:
        is_tcp = "T" in facts.binding and "U" not in facts.binding
        scheme = ("coaps" if facts.secure else "coap") + ("+tcp" if is_tcp else "")
        return _reached(listeners, public, scheme)

    return address


def secure_address(listeners: Sequence[str], public: str | None) -> str:
    """Under which URI a device with a key reaches us."""
    return _reached(listeners, public, "coaps")


def _reached(listeners: Sequence[str], public: str | None, scheme: str) -> str:
    if public is not None and urlsplit(public).scheme == scheme:
        return public
    found = next((uri for uri in listeners if urlsplit(uri).scheme == scheme), listeners[0])
    parts = urlsplit(found)
    # An address that stands for all of the machine's is none that a device could ask.
    host = socket.getfqdn() if parts.hostname in {"0.0.0.0", "::"} else parts.hostname  # noqa: S104  # compared
    return f"{parts.scheme}://{f'[{host}]' if ':' in (host or '') else host}:{parts.port}"


def files_for_devices(database: Database, files: ArtifactFiles) -> Fetching:
    """What the gateway is to serve: the artifacts of the updates that are under way."""

    async def fetching() -> list[DeviceFile]:
        found = []
        for artifact, device in await campaign_store.fetching(database):
            # One that is gone is no reason to keep the others: its update ends by its deadline.
            with contextlib.suppress(NotFound):
                found.append(DeviceFile(artifact.path, artifact.etag, files.path(artifact.sha256), device))
        return found

    return fetching


def registrations_for_gateway(database: Database) -> Registered:
    """Who of the devices that are meant was registered when its last gateway ended."""

    async def registered(which: Which) -> list[RestoredRegistration]:
        found: list[RestoredRegistration] = []
        after = ""
        while page := await registration_store.current(database, after):
            after = page[-1][0]
            meant = await which([device for device, _ in page])
            found.extend(
                RestoredRegistration(
                    device=device,
                    registration=registration.id,
                    lifetime_s=int(registration.lifetime.total_seconds()),
                    version=registration.version,
                    binding=registration.binding,
                    queue_mode=registration.queue_mode,
                    objects=list(registration.objects),
                )
                for device, registration in page
                if device in meant
            )
        return found

    return registered


def mail_settings(settings: Settings) -> MailSettings | None:
    """Where mail goes out; None while no server is named: then it waits."""
    if settings.smtp_host is None:
        return None
    return MailSettings(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=settings.mail_from,
        security=MailSecurity(settings.smtp_security),
        username=settings.smtp_user,
        password=None if settings.smtp_password is None else settings.smtp_password.get_secret_value(),
    )


def place_names(inventory: Inventory) -> PlaceName:
    """The place of an alert in words: "Pen 4, Storholmen"."""

    async def name(due: NotificationDue) -> str:
        tenant = TenantId(due.tenant)
        try:
            if due.enclosure:
                enclosure = await inventory.enclosure(tenant, EnclosureId(due.enclosure))
                return f"{enclosure.name}, {enclosure.farm_name}"
            if due.farm:
                return (await inventory.farm(tenant, FarmId(due.farm))).name
            return (await inventory.tenant(tenant)).name
        except NotFound:
            return due.enclosure or due.farm or due.tenant

    return name
