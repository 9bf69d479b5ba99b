"""What devices prove themselves with at the bootstrap server."""

from typing import Final

from sqlalchemy import Column, String, Table, Text

from shoal.storage.database import Timestamp, metadata
from shoal.storage.directory import KEYS_OF_DEVICES
from shoal.storage.secrets import Secret

bootstrap_credentials: Final = Table(
    "bootstrap_credentials",
    metadata,
    Column("device_id", String(16), primary_key=True),
    Column("tenant_id", String(16), nullable=False),
    # Of the bootstrap server alone: the same may be somebody's identity at the other.
    Column("identity", Text, nullable=False, unique=True),
    Column("key_encrypted", Secret("device_id", KEYS_OF_DEVICES)),
    Column("created_at", Timestamp, nullable=False),
    Column("created_by", Text),
)
