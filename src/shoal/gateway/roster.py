"""Who may connect: carries the device directory into the core, and keeps it there in step with the database."""

import asyncio
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final

from shoal.credentials.credential import Mode
from shoal.credentials.proofs import Proof, proofs_of
from shoal.errors import Unavailable
from shoal.gateway.denials import Denials
from shoal.lwm2m.dataplane import DataPlane, DeviceCredential, DeviceEntry
from shoal.policies.tables import policy_versions
from shoal.storage import directory
from shoal.storage.database import Database
from shoal.storage.directory import DirectoryEntry
from shoal.storage.poke import Poke
from shoal.storage.secrets import Vault

log = logging.getLogger(__name__)

# Entries in one go: a query of a few milliseconds, so that others get their turn while a large fleet is loaded.
ENTRIES_PER_ROUND_MAX: Final = 1_000
SHA256_BYTES: Final = 32
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
                proofs = await proofs_of(self._database, [entry.device_id for entry in entries])
                self._take(entries, proofs)
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

    def _take(self, changed: Sequence[DirectoryEntry], proofs: Mapping[str, Sequence[Proof]]) -> None:
        gone = [entry.device_id for entry in changed if entry.removed]
        put: list[DeviceEntry] = []
        for entry in changed:
            self.refused.pop(entry.device_id, None)
            if not entry.removed:
                put.append(self._entry(entry, proofs.get(entry.device_id, ())))
        # Before they are let in: nothing that is denied gets through in between.
        self._denials.put(changed)
        # An identity that moved from one device to another has to be free before it is taken.
        self._core.remove_devices(gone)
        refused = self._core.put_devices(put)
        if refused:
            # It may have moved to a device that stands before the one that gave it up.
            names = {device for device, _ in refused}
            refused = self._core.put_devices([entry for entry in put if entry.device in names])
        for device, reason in refused:
            self._core.remove_devices([device])
            self._refuse(device, reason)

    def _refuse(self, device: str, reason: str) -> None:
        self.refused[device] = reason
        log.error("roster.refused", extra={"device": device, "reason": reason})

    def _credentials(self, entry: DirectoryEntry, proofs: Sequence[Proof]) -> list[DeviceCredential]:
        """What the device is let in by. One key that cannot be read must not keep the others out."""
        found: list[DeviceCredential] = []
        for proof in proofs:
            if proof.mode is Mode.X509:
                found.append(_by_certificate(entry, proof))
            elif proof.key_encrypted is not None:
                try:
                    key = self._vault.decrypt(proof.key_encrypted, entry.device_id)
                except Unavailable as error:
                    self._refuse(entry.device_id, str(error))
                    continue
                found.append(DeviceCredential.psk(proof.id, proof.identity.encode(), key))
        return found

    def _entry(self, entry: DirectoryEntry, proofs: Sequence[Proof]) -> DeviceEntry:
        conduct = entry.profile
        living = [proof for proof in proofs if not proof.is_waiting]
        return DeviceEntry(
            device=entry.device_id,
            endpoint=entry.endpoint,
            credentials=None if entry.security == "none" else self._credentials(entry, living or proofs),
            is_waiting=not living and bool(proofs),
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


def _by_certificate(entry: DirectoryEntry, proof: Proof) -> DeviceCredential:
    """By its name, by the digest of the whole, or by those of issuer and subject: see `credentials.tables`."""
    if proof.pin is None:
        return DeviceCredential.named(proof.id, entry.tenant_id)
    if len(proof.pin) == SHA256_BYTES:
        return DeviceCredential.pinned(proof.id, entry.tenant_id, proof.pin)
    issuer, subject = proof.pin[:SHA256_BYTES], proof.pin[SHA256_BYTES:]
    return DeviceCredential.subject(proof.id, entry.tenant_id, issuer, subject)


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
