"""The table of trust anchors. That of credentials is a part of the directory, where the gateway and health look as well."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table, Text

from shoal.storage.directory import KEYS_OF_DEVICES, CertificateFacts
from shoal.storage.secrets import Secret
from shoal.storage.tables import Json, Timestamp, metadata

# What devices prove themselves with at the bootstrap server.
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

trust_anchors: Final = Table(
    "trust_anchors",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("tenant_id", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("der", LargeBinary, nullable=False),
    Column("certificate", Json(CertificateFacts), nullable=False),
    Column("subject_digest", LargeBinary, nullable=False),
    # Of subject and key: what is of two tenants could be of either.
    Column("authority_digest", LargeBinary, nullable=False, index=True),
    Column("challenge", Text),
    Column("challenge_expires_at", Timestamp),
    Column("zero_touch", String(16), nullable=False),
    Column("kind", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("created_by", Text),
    Column("retired_at", Timestamp),
    Column("version", BigInteger, nullable=False, index=True),
    Index("ix_trust_anchors_tenant", "tenant_id", "created_at"),
)
