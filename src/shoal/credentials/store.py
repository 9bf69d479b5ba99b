"""Device keys in the database: encrypted for the device they belong to, and laid out where the gateway finds them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Column, Row, String, Table, Text, delete, insert, select

from shoal.clock import Clock
from shoal.credentials.psk import generate_key, parse_identity, parse_key
from shoal.errors import Conflict, NotFound, Rejected
from shoal.ids import DeviceId, TenantId
from shoal.storage import directory
from shoal.storage.database import Database, Timestamp, Transaction, metadata
from shoal.storage.directory import KEYS_OF_DEVICES, DirectoryEntry
from shoal.storage.secrets import Secret, Vault

# As many as a page of devices.
DEVICES_PER_QUERY_MAX: Final = 500

credentials: Final = Table(
    "credentials",
    metadata,
    # One for each device: a new one takes the place of the old.
    Column("device_id", String(16), primary_key=True),
    Column("tenant_id", String(16), nullable=False),
    Column("mode", String(8), nullable=False),
    Column("identity", Text, nullable=False, unique=True),
    # Empty when it was lost together with the master key: the device needs a new one.
    Column("key_encrypted", Secret("device_id", KEYS_OF_DEVICES)),
    Column("created_at", Timestamp, nullable=False),
    Column("created_by", Text),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What may be shown of a credential at any time: never its key. `needs_key`: that is lost, and must be set anew."""

    device: DeviceId
    tenant: TenantId
    mode: str
    identity: str
    created_at: datetime
    created_by: str | None
    needs_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCredential:
    """A credential with its key in hexadecimal: shown once, to the one who made it."""

    credential: Credential
    key: str = field(repr=False)


class Credentials:
    """What devices prove themselves with. Methods that write take the transaction to write in."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock

    async def create(
        self,
        tx: Transaction,
        tenant: TenantId,
        device: DeviceId,
        *,
        identity: str | None = None,
        key: str | None = None,
        by: str | None = None,
    ) -> NewCredential:
        """Gives a device a pre-shared key, a generated one unless it is given in hexadecimal; an older one is void.

        Without an identity it is the device's id, which is unique in the installation. The inventory has created the
        device with `psk` before, in this transaction or an earlier one.

        Raises:
            Rejected: an identity or key that cannot be one.
            NotFound: no such device.
            Conflict: the identity is another device's, or the device is to speak without security.
        """
        secret = generate_key() if key is None else parse_key(key)
        name = parse_identity(device if identity is None else identity)
        entry = await self._entry(tx, tenant, device)
        if entry.security != "psk":
            raise Conflict(device, "is to speak without security", security=entry.security)
        holder = await tx.scalar(select(credentials.c.device_id).where(credentials.c.identity == name))
        if holder is not None and holder != device:
            # Whose it is may be another tenant's business.
            raise Conflict("identity", "another device has this identity")
        encrypted = self._vault.encrypt(secret, device)
        credential = Credential(
            device=device, tenant=tenant, mode="psk", identity=name, created_at=self._clock.now(), created_by=by
        )
        await tx.execute(delete(credentials).where(credentials.c.device_id == device))
        await tx.execute(
            insert(credentials).values(
                device_id=device,
                tenant_id=tenant,
                mode=credential.mode,
                identity=name,
                key_encrypted=encrypted,
                created_at=credential.created_at,
                created_by=by,
            )
        )
        await directory.put(tx, msgspec.structs.replace(entry, identity=name, key_encrypted=encrypted))
        return NewCredential(credential=credential, key=secret.hex())

    async def credential(self, tenant: TenantId, device: DeviceId) -> Credential | None:
        """The device's credential, None when it has none."""
        return (await self.credentials_for(tenant, [device])).get(device)

    async def credentials_for(self, tenant: TenantId, devices: Sequence[DeviceId]) -> dict[DeviceId, Credential]:
        """The credentials of those of these devices that have one; at most 500 are asked for at once."""
        if len(devices) > DEVICES_PER_QUERY_MAX:
            raise Rejected("devices", f"{len(devices)}, at most {DEVICES_PER_QUERY_MAX}")
        query = select(credentials).where(credentials.c.tenant_id == tenant, credentials.c.device_id.in_(devices))
        async with self._database.reading() as connection:
            return {row.device_id: _credential(row) for row in await connection.execute(query)}

    async def remove(self, tx: Transaction, tenant: TenantId, device: DeviceId) -> None:
        """The device's key is void from now on: its session ends. Nothing when it has none."""
        entry = await directory.find(tx, device)
        removed = await tx.execute(
            delete(credentials).where(credentials.c.tenant_id == tenant, credentials.c.device_id == device)
        )
        if removed.rowcount and entry is not None and not entry.removed:
            await directory.put(tx, msgspec.structs.replace(entry, identity=None, key_encrypted=None))

    async def _entry(self, tx: Transaction, tenant: TenantId, device: DeviceId) -> DirectoryEntry:
        entry = await directory.find(tx, device)
        if entry is None or entry.removed or entry.tenant_id != tenant:
            raise NotFound(device, "no such device")
        return entry


def _credential(row: Row[Any]) -> Credential:
    return Credential(
        device=row.device_id,
        tenant=row.tenant_id,
        mode=row.mode,
        identity=row.identity,
        created_at=row.created_at,
        created_by=row.created_by,
        needs_key=row.key_encrypted is None,
    )
