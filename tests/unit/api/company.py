"""A company with people, farms and devices behind the API: real rooms, a real log, and a gateway that answers by script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import httpx
import msgspec
from fastapi import APIRouter, FastAPI

from shoal.access.policy import Role
from shoal.alerting.policy_store import Policies
from shoal.alerting.store import Alerts
from shoal.alerting.worker import AlertHandler
from shoal.api.access import Asking
from shoal.api.application import create_application
from shoal.api.changes import Changes
from shoal.api.context import Rooms
from shoal.audit.store import Audit
from shoal.commands.command import Command, Trigger
from shoal.commands.store import Commands, Mark
from shoal.events.device import DeviceRegistered, Reading, ReadingsReported
from shoal.health.store import Health
from shoal.health.worker import HealthHandler
from shoal.history.store import History
from shoal.history.worker import HistoryHandler
from shoal.ids import DeviceId, EnclosureId, FarmId, TenantId
from shoal.inventory.device import Device
from shoal.notifications.channel_store import Channels
from shoal.notifications.contact_store import Contacts
from shoal.notifications.outbound import Outbound
from shoal.notifications.store import Notifications
from shoal.notifications.worker import NotificationHandler
from shoal.policies.store import AccessPolicies
from shoal.storage.poke import Poke
from shoal.stream.worker import HEARTBEAT_EVERY, Worker
from tests.harness.installation import Installation

PASSWORD: Final = "saltwater and salmon"
# A request that waits longer than this in a test has been forgotten.
LOOK_EVERY: Final = timedelta(milliseconds=50)


@dataclass
class ScriptedGateway:
    """Answers commands as the gateway does: marks in the queue. What it has no answer for waits, as for a sleeper.

    An answer is a body (the device did it), or a code with a detail (it refused; without a code it never left).
    """

    commands: Commands
    installation: Installation
    answers: dict[tuple[str, str], Mapping[str, Any] | tuple[str | None, str]] = field(default_factory=dict)
    seen: list[Command] = field(default_factory=list)

    async def run(self) -> None:
        taken = 0
        poke = Poke()
        self.commands.on_change(poke)
        while True:
            for command in await self.commands.unfinished(taken):
                taken = command.number
                self.seen.append(command)
                await self.answer(command)
            await poke.wait(LOOK_EVERY)

    async def answer(self, command: Command) -> None:
        said = self.answers.get((command.operation.value, command.path))
        if said is None:
            return
        now = self.installation.clock.now()
        if isinstance(said, tuple):
            code, detail = said
            mark = Mark(number=command.number, trigger=Trigger.REFUSE, at=now, code=code, detail=detail)
        else:
            body = msgspec.json.encode(said) if said else None
            mark = Mark(number=command.number, trigger=Trigger.ANSWER, at=now, code="2.05", answer=body)
        async with self.installation.database.transaction() as tx:
            await self.commands.mark_all(tx, [mark])


class Company:
    """One tenant of an installation with its farm, an administrator, and whoever else a test needs."""

    def __init__(self, installation: Installation, operations: APIRouter | None = None) -> None:
        self.installation = installation
        self.clock = installation.clock
        database = installation.database
        self.commands = Commands(database, self.clock)
        self.gateway = ScriptedGateway(self.commands, installation)
        self.health = Health(database, self.clock)
        self.changes = Changes(installation.log, self.health)
        self.policies = Policies(database, self.clock)
        self.contacts = Contacts(database, self.clock)
        self.channels = Channels(database, self.clock, installation.vault, Outbound())
        self.notifications = Notifications(database, self.clock)
        installation.workers += [
            Worker(installation.log, database, handler, self.clock)
            for handler in (
                HealthHandler(),
                AlertHandler(self.clock),
                HistoryHandler(),
                NotificationHandler(self.clock),
            )
        ]
        self.application: FastAPI = create_application(
            Rooms(
                database=database,
                vault=installation.vault,
                clock=self.clock,
                audit=Audit(database),
                inventory=installation.inventory,
                credentials=installation.credentials,
                authorities=installation.authorities,
                certificates=installation.certificates,
                enrolments=installation.enrolments,
                bootstraps=installation.bootstraps,
                trust_anchors=installation.trust_anchors,
                identity=installation.identity,
                access=AccessPolicies(database, self.clock),
                commands=self.commands,
                history=History(database),
                health=self.health,
                alerts=Alerts(database, self.clock),
                policies=self.policies,
                contacts=self.contacts,
                channels=self.channels,
                notifications=self.notifications,
                campaigns=installation.campaigns,
                changes=self.changes,
            ),
            operations=operations,
        )
        # As often as a gateway says that it is there.
        self.heartbeat = HEARTBEAT_EVERY
        self.tenant = TenantId("")
        self.farm = FarmId("")
        self.enclosure = EnclosureId("")
        self._clients: list[httpx.AsyncClient] = []

    @property
    def rooms(self) -> Rooms:
        return self.application.state.rooms  # type: ignore[no-any-return]

    async def found(self) -> None:
        self.tenant = await self.installation.create_tenant("Nordvik Seafarms")
        self.farm = await self.installation.create_farm(self.tenant, "Storholmen")
        self.enclosure = await self.installation.create_enclosure(self.tenant, self.farm, "Pen 1")

    # -- people ------------------------------------------------------------------------------------------------------

    async def client(
        self, role: Role = Role.ADMINISTRATOR, tenant: TenantId | None = None, places: Sequence[str] = ()
    ) -> httpx.AsyncClient:
        """Somebody with a service token of that role, at these farms and enclosures or everywhere."""
        async with self.installation.database.transaction() as tx:
            new = await self.installation.identity.create_token(
                tx, tenant or self.tenant, name=f"{role.value} of the test", role=role, places=places
            )
        return self.bearing(new.secret)

    async def asking(self, client: httpx.AsyncClient | None = None) -> Asking:
        """Who a request of this client, or of an administrator, would be from."""
        bearer = client or await self.client()
        secret = bearer.headers["Authorization"].removeprefix("Bearer ")
        known = await self.installation.identity.authenticate(secret)
        return Asking(known, await self.rooms.access.of(known.subject.tenant), secret)

    async def stranger(self) -> httpx.AsyncClient:
        """An administrator of another tenant."""
        return await self.client(tenant=await self.installation.create_tenant("Another company"))

    def bearing(self, secret: str | None) -> httpx.AsyncClient:
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.application, raise_app_exceptions=False),
            base_url="http://api/api/v1",
            headers={"Authorization": f"Bearer {secret}"} if secret else {},
        )
        self._clients.append(client)
        return client

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()

    # -- devices -----------------------------------------------------------------------------------------------------

    async def device(self, endpoint: str = "oxy-0101", enclosure: EnclosureId | None = None) -> Device:
        """A device in an enclosure that never connected."""
        device = await self._created(endpoint, enclosure)
        await self.installation.settle()
        return device

    async def _created(self, endpoint: str, enclosure: EnclosureId | None = None) -> Device:
        return await self.installation.create_device(self.tenant, endpoint, enclosure or self.enclosure)

    async def registered(
        self,
        endpoint: str = "oxy-0101",
        *,
        queue_mode: bool = False,
        objects: tuple[str, ...] = ("/1/0", "/3/0", "/3303/0"),
        **said: Any,
    ) -> Device:
        """A device that registered just now."""
        device = await self._created(endpoint)
        # The others hear of the device before it speaks.
        await self.installation.relay.carry()
        await self.registered_again(device, queue_mode=queue_mode, objects=objects, **said)
        return device

    async def registered_again(
        self,
        device: Device,
        *,
        queue_mode: bool = False,
        objects: tuple[str, ...] = ("/1/0", "/3/0", "/3303/0"),
        **said: Any,
    ) -> None:
        """A known device registers now."""
        await self.hear(
            DeviceRegistered(
                **self.head(device, "registered"),
                registration="r-1",
                version="1.1",
                lifetime_s=300,
                binding="U",
                queue_mode=queue_mode,
                secure=True,
                address="192.0.2.7:41822",
                objects=[(path, None) for path in objects],
                **said,
            )
        )

    async def reports(self, device: Device, values: Mapping[str, float | str | bool]) -> None:
        """The device sends some readings now."""
        readings = [Reading(path=path, value=value) for path, value in values.items()]
        await self.hear(ReadingsReported(**self.head(device, "readings"), via="send", readings=readings))

    async def hear(self, *events: Any) -> None:
        await self.installation.hear(*events)
        await self.installation.settle()

    def head(self, device: Device, what: str) -> dict[str, Any]:
        """What all events of a device have in common."""
        now = self.clock.now()
        return {
            "id": f"{device.id}-{what}-{now.timestamp()}",
            "time": now,
            "device": device.id,
            "tenant": device.tenant,
            "farm": device.farm,
            "enclosure": device.enclosure,
            "endpoint": device.endpoint,
        }

    async def falls_asleep(self) -> None:
        """Time passes until a device in queue mode does not listen any more."""
        await self.installation.advance(timedelta(seconds=120))

    async def current(self, device: Device) -> Device:
        return await self.installation.inventory.device(self.tenant, DeviceId(device.id))
