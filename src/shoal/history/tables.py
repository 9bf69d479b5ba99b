"""The table of the security log."""

from typing import Final

from sqlalchemy import Boolean, Column, Date, Index, Integer, String, Table, Text, false

from shoal.storage.database import Timestamp, metadata

refusals: Final = Table(
    "refusals",
    metadata,
    Column("id", String(32), primary_key=True),
    # All three empty for strangers; of a guess at a login the tenant is known.
    Column("tenant_id", String(16), nullable=False),
    Column("device_id", String(16), nullable=False),
    Column("subject_id", String(16), nullable=False, server_default=""),
    # Of which day (UTC), and from which source: what the bounds are counted by.
    Column("day", Date, nullable=False),
    Column("source", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("code", String(8), nullable=False),
    Column("identity", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("place_id", String(16), nullable=False, server_default=""),
    # One of those that come with Shoal has a word for an id.
    Column("policy_id", Text, nullable=False, server_default=""),
    Column("is_rest", Boolean, nullable=False, server_default=false()),
    Column("detail", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("first_at", Timestamp, nullable=False),
    Column("last_at", Timestamp, nullable=False),
    Index("ix_refusals_tenant", "tenant_id", "last_at", "id"),
    Index("ix_refusals_device", "device_id", "last_at", "id"),
    Index("ix_refusals_bounds", "tenant_id", "device_id", "subject_id", "day", "source"),
    Index("ix_refusals_last", "last_at"),
)
