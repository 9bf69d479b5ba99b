"""What somebody does at a shell of the machine that holds the data, beside a Shoal that may be running."""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shoal.access.decision import Place
from shoal.access.policy import Operation
from shoal.app import first_start, keys, shell
from shoal.app.neighbours import queue_for_inventory
from shoal.audit.store import Audit
from shoal.clock import SystemClock
from shoal.commands.store import Commands
from shoal.credentials.store import Credentials
from shoal.errors import NotFound, Rejected
from shoal.health.store import Health
from shoal.history.store import History
from shoal.identity.store import Identity
from shoal.ids import DeviceId, MistypedId, Prefix, TenantId, parse_id
from shoal.inventory.device import Device
from shoal.inventory.store import Inventory
from shoal.lwm2m.path import Path as LwM2mPath
from shoal.onboarding.adding import Added
from shoal.policies.store import AccessPolicies
from shoal.settings import Settings
from shoal.storage.database import Database, Transaction
from shoal.storage.secrets import Vault

# Who may read a secret; everything else is for everybody.
SECRET_MODE: Final = 0o600
PUBLIC_MODE: Final = 0o644


class Desk:
    """The rooms of one tenant, with everything that is done written into the audit log. `command` is what was typed."""

    def __init__(self, database: Database, vault: Vault, tenant: TenantId, command: str) -> None:
        self.database: Final = database
        self.vault: Final = vault
        self.clock: Final = SystemClock()
        self.tenant: Final = tenant
        self.by: Final = shell.login()
        self._command = command
        self._audit = Audit(database)
        self.commands: Final = Commands(database, self.clock)
        self.inventory: Final = Inventory(database, self.clock, tell=queue_for_inventory(self.commands))
        self.credentials: Final = Credentials(database, vault, self.clock)
        self.identity: Final = Identity(database, self.clock)
        self.access: Final = AccessPolicies(database, self.clock)
        self.health: Final = Health(database, self.clock)
        self.history: Final = History(database)

    def can(self, operation: Operation, place: Place | None = None, path: LwM2mPath | None = None) -> bool:
        """Whoever has the data may see all of it."""
        del operation, path
        return place is None or place.tenant == self.tenant

    async def device(self, said: str) -> Device:
        """The device of that endpoint name, or of that id.

        Raises:
            NotFound: there is none. MistypedId: looks like an id, and is none.
        """
        named = await self.inventory.devices_named(self.tenant, [said])
        if said in named:
            return named[said]
        if not said.lower().startswith(f"{Prefix.DEVICE.value}-"):
            raise NotFound(said[:64], "no device has this endpoint; look for it with: shoal device list")
        return await self.inventory.device(self.tenant, DeviceId(parse_id(said, Prefix.DEVICE)))

    @contextlib.asynccontextmanager
    async def doing(self, action: str, resource: str) -> AsyncIterator["Doing"]:
        """A transaction, and who did what in it."""
        async with self.database.transaction() as tx:
            doing = Doing(tx)
            yield doing
            await self.tell(tx, action, resource, doing.thing, before=doing.before, after=doing.after)

    async def tell(
        self,
        tx: Transaction,
        action: str,
        resource: str,
        thing: str | None,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes into the audit log who did something."""
        now = self.clock.now()
        await shell.tell(
            self._audit, tx, self.tenant, self._command, action, resource, thing, at=now, before=before, after=after
        )

    async def tell_added(self, tx: Transaction, added: Added) -> None:
        """Writes into the audit log who made a device."""
        await self.tell(tx, "create", "devices", added.device.id, after=added.told())


@dataclass(slots=True)
class Doing:
    """Something that is done at the desk: its transaction, and what the audit log is to say of it."""

    tx: Transaction
    thing: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@contextlib.asynccontextmanager
async def reached(settings: Settings, tenant: str | None) -> AsyncIterator[tuple[Database, Vault, TenantId]]:
    """The data that the settings name, a tenant of them, and what opens their secrets; Shoal may be running on them.

    Raises:
        Rejected: several tenants and none named; no data folder yet; an id inside that was mistyped, with what is meant.
        NotFound: no such tenant.
        Unavailable: the master key is not there.
    """
    async with first_start.reached(settings, tenant) as (database, owner):
        vault = await keys.open_vault(database, settings.data, settings.master_key)
        try:
            yield database, vault, owner
        except MistypedId as error:
            meant = await Inventory(database, SystemClock()).existing(owner, error.meant) if error.meant else ()
            if not meant:
                raise
            raise Rejected(error.subject, f"{error.reason}; did you mean {' or '.join(meant)}?") from error


@contextlib.asynccontextmanager
async def desk(settings: Settings, tenant: str | None, command: str) -> AsyncIterator[Desk]:
    """The desk of a tenant. Raises as `reached`."""
    async with reached(settings, tenant) as (database, vault, owner):
        yield Desk(database, vault, owner, command)


def write_new(file: Path, content: bytes, *, is_secret: bool = False) -> None:
    """Writes a file that is not there yet; a secret can be read by its owner only.

    Raises:
        Rejected: it is there, or cannot be written.
    """
    with os.fdopen(open_new(file, is_secret=is_secret), "wb") as writing:
        writing.write(content)


def open_new(file: Path, *, is_secret: bool) -> int:
    """A file that was not there, open for writing. Raises Rejected as `write_new`."""
    try:
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE if is_secret else PUBLIC_MODE)
    except FileExistsError as error:
        raise Rejected(str(file), "is there already, and nothing is overwritten") from error
    except OSError as error:
        raise Rejected(str(file), error.strerror or "cannot be written") from error
