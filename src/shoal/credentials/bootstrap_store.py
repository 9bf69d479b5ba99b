"""What devices prove themselves with at the bootstrap server, to be given what they prove themselves with here.

A key of its own, so that a device that lost its account can always come back. What a bootstrap hands out is an ordinary
credential of the device.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select

from shoal.clock import Clock
from shoal.credentials.credential import OVERLAP_MAX, NewCredential, Rotation, Until
from shoal.credentials.psk import generate_key, parse_identity, parse_key
from shoal.credentials.store import Credentials
from shoal.credentials.tables import bootstrap_credentials
from shoal.errors import Conflict, NotFound
from shoal.ids import DeviceId, TenantId
from shoal.storage import directory
from shoal.storage.database import Database, Transaction
from shoal.storage.directory import DirectoryEntry, device_directory
from shoal.storage.secrets import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapCredential:
    """What may be shown of it at any time. `needs_key`: that was lost with the master key, and must be set anew."""

    device: DeviceId
    identity: str
    created_at: datetime
    created_by: str | None
    needs_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBootstrapCredential:
    """With its key in hexadecimal: shown once, to the one who made it."""

    credential: BootstrapCredential
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicant:
    """A device as the bootstrap server is to see it: nobody can be it without a key."""

    entry: DirectoryEntry
    identity: str | None
    key_encrypted: bytes | None


class BootstrapCredentials:
    """Methods that write take the transaction to write in."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._operating = Credentials(database, vault, clock)

    async def create(
        self,
        tx: Transaction,
        tenant: TenantId,
        device: DeviceId,
        *,
        identity: str | None = None,
        key: str | None = None,
        by: str | None = None,
    ) -> NewBootstrapCredential:
        """Lets a device ask the bootstrap server, by a key in hexadecimal or a generated one; an older one is void.

        Without an identity it is the device's id.

        Raises:
            Rejected: an identity or key that cannot be one.
            NotFound: no such device.
            Conflict: the identity is another device's, or the device is to speak without security.
        """
        secret = generate_key() if key is None else parse_key(key)
        name = parse_identity(device if identity is None else identity)
        entry = await self._entry(tx, tenant, device)
        if entry.security == "none":
            raise Conflict(device, "is to speak without security", security=entry.security)
        query = select(bootstrap_credentials.c.device_id).where(bootstrap_credentials.c.identity == name)
        if await tx.scalar(query) not in {None, device}:
            # Whose it is may be another tenant's business.
            raise Conflict("identity", "another device has this identity")
        made = BootstrapCredential(device=device, identity=name, created_at=self._clock.now(), created_by=by)
        await tx.execute(delete(bootstrap_credentials).where(bootstrap_credentials.c.device_id == device))
        await tx.execute(
            insert(bootstrap_credentials).values(
                device_id=device,
                tenant_id=tenant,
                identity=name,
                key_encrypted=self._vault.encrypt(secret, device),
                created_at=made.created_at,
                created_by=by,
            )
        )
        await directory.put(tx, entry)  # a new version: whoever follows the directory looks
        return NewBootstrapCredential(credential=made, key=secret.hex())

    async def credential(self, tenant: TenantId, device: DeviceId) -> BootstrapCredential | None:
        """What the device proves itself with at the bootstrap server, None when it may not ask there."""
        query = select(bootstrap_credentials).where(
            bootstrap_credentials.c.tenant_id == tenant, bootstrap_credentials.c.device_id == device
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else _credential(row)

    async def remove(self, tx: Transaction, tenant: TenantId, device: DeviceId) -> bool:
        """The device may not ask the bootstrap server any more; whether it might. What it was given stays."""
        entry = await directory.find(tx, device)
        removed = await tx.execute(
            delete(bootstrap_credentials).where(
                bootstrap_credentials.c.tenant_id == tenant, bootstrap_credentials.c.device_id == device
            )
        )
        if removed.rowcount and entry is not None and not entry.removed:
            await directory.put(tx, entry)
        return bool(removed.rowcount)

    async def hand_out(self, tx: Transaction, device: DeviceId) -> tuple[NewCredential, DirectoryEntry]:
        """A fresh key for a device that asks, beside those that it has: they end when it comes with this one.

        A key of an earlier bootstrap that was never used is void: it did not arrive.

        Raises:
            NotFound: the device was deleted meanwhile.
            Conflict: it is to speak without security, or has enough keys already.
        """
        entry = await directory.find(tx, device)
        if entry is None or entry.removed:
            raise NotFound(device, "no such device")
        tenant = TenantId(entry.tenant_id)
        await self._operating.revoke_unused(tx, tenant, device)
        rotation = Rotation(overlap=OVERLAP_MAX, until=Until.SEEN)
        new = await self._operating.create(tx, tenant, device, rotation=rotation, is_from_bootstrap=True)
        return new, entry

    async def changed(self, after_version: int, limit: int) -> list[Applicant]:
        """Devices that changed since then, oldest change first, as the bootstrap server is to see them. 0 asks for all."""
        columns = [device_directory.c[name] for name in DirectoryEntry.__struct_fields__]
        own = bootstrap_credentials.c
        query = (
            select(*columns, own.identity.label("own_identity"), own.key_encrypted.label("own_key"))
            .outerjoin(bootstrap_credentials, own.device_id == device_directory.c.device_id)
            .where(device_directory.c.version > after_version)
            .order_by(device_directory.c.version)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            rows = [dict(row) for row in (await connection.execute(query)).mappings()]
        return [
            Applicant(identity=row.pop("own_identity"), key_encrypted=row.pop("own_key"), entry=DirectoryEntry(**row))
            for row in rows
        ]

    def key_of(self, applicant: Applicant) -> bytes | None:
        """The key in the clear.

        Raises:
            Unavailable: it was encrypted under another master key.
        """
        if applicant.key_encrypted is None:
            return None
        return self._vault.decrypt(applicant.key_encrypted, applicant.entry.device_id)

    async def _entry(self, tx: Transaction, tenant: TenantId, device: DeviceId) -> DirectoryEntry:
        entry = await directory.find(tx, device)
        if entry is None or entry.removed or entry.tenant_id != tenant:
            raise NotFound(device, "no such device")
        return entry


def _credential(row: Row[Any]) -> BootstrapCredential:
    return BootstrapCredential(
        device=row.device_id,
        identity=row.identity,
        created_at=row.created_at,
        created_by=row.created_by,
        needs_key=row.key_encrypted is None,
    )
