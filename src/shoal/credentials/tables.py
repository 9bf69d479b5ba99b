"""The tables of what devices prove themselves with."""

from typing import Final

from sqlalchemy import Boolean, Column, Index, LargeBinary, String, Table, Text

from shoal.credentials.x509 import CertificateFacts
from shoal.storage.secrets import Secret
from shoal.storage.tables import Json, Timestamp, metadata

# What a lost master key takes with it, in the words of whoever is told.
KEYS_OF_DEVICES: Final = "keys of devices"

credentials: Final = Table(
    "credentials",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("device_id", String(16), nullable=False),
    Column("tenant_id", String(16), nullable=False),
    Column("mode", String(8), nullable=False),
    Column("identity", Text, nullable=False),
    Column("state", String(16), nullable=False),
    # What tells it apart from all others in the installation; empty when it is over, and free for another.
    Column("mark", Text, unique=True),
    # Empty when it was lost together with the master key: the device needs a new one.
    Column("key_encrypted", Secret("device_id", KEYS_OF_DEVICES)),
    # Digests of what a certificate is pinned to: one of the whole, or those of issuer and subject.
    Column("pin", LargeBinary),
    Column("certificate", Json(CertificateFacts)),
    Column("created_at", Timestamp, nullable=False),
    Column("created_by", Text),
    Column("expires_at", Timestamp),
    # Of one that is retiring: it ends as soon as the device used its successor.
    Column("ends_when_seen", Boolean, nullable=False),
    Column("last_used_at", Timestamp),
    Column("ended_at", Timestamp),
    Index("ix_credentials_device", "device_id"),
    Index("ix_credentials_expiry", "tenant_id", "expires_at", "id"),
    Index("ix_credentials_due", "expires_at"),
)
