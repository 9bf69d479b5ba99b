"""The tables of policies."""

from typing import Final

from sqlalchemy import Column, Index, Integer, String, Table, Text

from shoal.storage.database import Json, Timestamp, metadata

access_policies: Final = Table(
    "access_policies",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("tenant_id", String(16), nullable=False),
    Column("effect", String(8), nullable=False),
    # What it names may be gone by now, so no foreign keys: then it means nobody, or nowhere, and people are told.
    Column("who_kind", String(16), nullable=False),
    Column("who_id", String(40), nullable=False),
    Column("operations", Json(tuple[str, ...]), nullable=False),
    Column("place", String(16), nullable=False),
    Column("paths", Json(tuple[str, ...]), nullable=False),
    Column("note", Text, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("changed_at", Timestamp, nullable=False),
    Column("version", Integer, nullable=False),
    Index("ix_access_policies_tenant", "tenant_id", "id"),
)

# How often the policies of a tenant have changed: what is kept of them in memory is good for one of these numbers.
policy_versions: Final = Table(
    "policy_versions",
    metadata,
    Column("tenant_id", String(16), primary_key=True),
    Column("version", Integer, nullable=False),
)
