"""Who may connect: carries the device directory into the core, and keeps it there in step with the database."""

import asyncio
import json
import logging
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

from shoal.errors import Unavailable
from shoal.gateway.denials import Denials
from shoal.lwm2m.dataplane import DataPlane, DeviceEntry
from shoal.policies.tables import policy_versions
from shoal.storage import directory
from shoal.storage.database import Database
from shoal.storage.directory import DirectoryEntry
from shoal.storage.poke import Poke
from shoal.storage.secrets import Vault

log = logging.getLogger(__name__)

# Entries in one go: a query of a few milliseconds, so that others get their turn while a large fleet is loaded.
ENTRIES_PER_ROUND_MAX: Final = 1_000
# Another process may write without telling us; the net under a lost poke.
LOOK_EVERY: Final = timedelta(seconds=1)


class Roster:
    """The core's copy of the device directory. `version` is up to which change it has followed."""

    def __init__(self, core: DataPlane, database: Database, vault: Vault, denials: Denials) -> None:
        self._core = core
        self._denials = denials
        self._database = database
        self._vault = vault
        self._poke = Poke()
        self._following = asyncio.Lock()
        self.version = 0
        # Devices that the core would not take, and why: shown with the pipeline, and logged once for each change.
        self.refused: dict[str, str] = {}
        database.on(directory.device_directory.name, self._poke)
        database.on(policy_versions.name, self._poke)

    async def follow(self) -> int:
        """Takes over what changed since the last call; how many devices that were.

        Raises:
            Unavailable: the database is away.
        """
        total = 0
        async with self._following:
            await self._deny_anew(await self._denials.changed())
            while entries := await directory.changed(self._database, self.version, ENTRIES_PER_ROUND_MAX):
                self._take(entries)
                self.version = entries[-1].version
                total += len(entries)
        return total

    async def run(self) -> None:
        """Follows until it is cancelled."""
        while True:
            try:
                await self.follow()
            except Unavailable as error:
                log.warning("roster.waits", extra={"neighbour": error.neighbour, "reason": error.reason})
            await self._poke.wait(LOOK_EVERY)

    async def _deny_anew(self, tenants: Collection[str]) -> None:
        """Policies changed: what they deny the devices of these tenants, up to where the core has followed."""
        after = 0
        while tenants and after < self.version:
            entries = await directory.changed(self._database, after, ENTRIES_PER_ROUND_MAX)
            if not entries:
                return
            self._denials.put(
                entry for entry in entries if entry.tenant_id in tenants and entry.version <= self.version
            )
            after = entries[-1].version

    def _take(self, changed: Sequence[DirectoryEntry]) -> None:
        gone = [entry.device_id for entry in changed if entry.removed]
        put: list[DeviceEntry] = []
        for entry in changed:
            self.refused.pop(entry.device_id, None)
            if entry.removed:
                continue
            if entry.security != "none" and entry.key_encrypted is None:
                gone.append(entry.device_id)  # nobody can be it before it has a key
                continue
            try:
                put.append(self._entry(entry))
            except Unavailable as error:
                # One unreadable key must not keep the others out.
                gone.append(entry.device_id)
                self._refuse(entry.device_id, str(error))
        # Before they are let in: nothing that is denied gets through in between.
        self._denials.put(changed)
        # An identity that moved from one device to another has to be free before it is taken.
        self._core.remove_devices(gone)
        for device, reason in self._core.put_devices(put):
            self._refuse(device, reason)

    def _refuse(self, device: str, reason: str) -> None:
        self.refused[device] = reason
        log.error("roster.refused", extra={"device": device, "reason": reason})

    def _entry(self, entry: DirectoryEntry) -> DeviceEntry:
        conduct = entry.profile
        key = None if entry.key_encrypted is None else self._vault.decrypt(entry.key_encrypted, entry.device_id)
        return DeviceEntry(
            device=entry.device_id,
            endpoint=entry.endpoint,
            security="none" if entry.security == "none" else "psk",
            identity=None if entry.identity is None else entry.identity.encode(),
            key=key,
            context=context(entry),
            observe=conduct.observe,
            unobserved=conduct.unobserved,
            read=conduct.read,
            awake_window_s=conduct.awake_window_s,
            grace_s=conduct.grace_s,
            ack_timeout_s=conduct.ack_timeout_s,
            random_factor=conduct.random_factor,
            max_retransmit=conduct.max_retransmit,
        )


def context(entry: DirectoryEntry) -> str:
    """What every event of the device carries beside its id: a piece of JSON that the core copies as it is."""
    fields = {
        "tenant": entry.tenant_id,
        "farm": entry.farm_id,
        "enclosure": entry.enclosure_id,
        "endpoint": entry.endpoint,
    }
    known = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(known, ensure_ascii=False, separators=(",", ":"))[1:-1]
