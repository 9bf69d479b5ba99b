"""The tables of people, their tokens and their logins."""

from typing import Final

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from shoal.storage.database import Json, Timestamp, metadata

users: Final = Table(
    "users",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("tenant_id", String(16), nullable=False),
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    # Ids of farms and enclosures; none is everywhere.
    Column("places", Json(tuple[str, ...]), nullable=False, server_default="[]"),
    Column("password_hash", Text, nullable=False),
    Column("is_disabled", Boolean, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Index("ix_users_tenant", "tenant_id", "id"),
)

tokens: Final = Table(
    "tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("tenant_id", String(16), nullable=False),
    Column("kind", Text, nullable=False),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE")),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("places", Json(tuple[str, ...]), nullable=False, server_default="[]"),
    Column("secret_digest", LargeBinary, nullable=False, unique=True),
    Column("created_at", Timestamp, nullable=False),
    Column("expires_at", Timestamp),
    Column("last_used_at", Timestamp),
    Column("revoked_at", Timestamp),
    Index("ix_tokens_tenant", "tenant_id", "id"),
    Index("ix_tokens_user", "user_id"),
)

# Who may make themselves a person of the tenant. One for each: a new invitation takes the place of the last.
invitations: Final = Table(
    "invitations",
    metadata,
    Column("tenant_id", String(16), primary_key=True),
    Column("role", Text, nullable=False),
    Column("secret_digest", LargeBinary, nullable=False, unique=True),
    Column("created_at", Timestamp, nullable=False),
    Column("expires_at", Timestamp, nullable=False),
)

# Wrong passwords, counted by what they were tried for or from. The key is a digest: people type passwords into the wrong
# field, and none of that is to be kept.
login_failures: Final = Table(
    "login_failures",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", Timestamp, nullable=False),
    Index("ix_login_failures_last_at", "last_at"),
)

# The networks that a person logs in from.
login_networks: Final = Table(
    "login_networks",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("network", String(64), primary_key=True),
    Column("last_at", Timestamp, nullable=False),
)
