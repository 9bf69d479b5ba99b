"""The tables of this room: contacts and how they are reached, webhooks, and the outbox of notifications."""

from typing import Final

from sqlalchemy import Column, Index, Integer, Table, Text

from shoal.events.alert import NotificationDue
from shoal.notifications.channel import EMAIL
from shoal.storage.database import Json, Timestamp, metadata
from shoal.storage.secrets import Secret

contacts: Final = Table(
    "contacts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("min_severity", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Timestamp, nullable=False),
)

contact_methods: Final = Table(
    "contact_methods",
    metadata,
    Column("contact_id", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("delivered_at", Timestamp),
    Column("failed_at", Timestamp),
    Column("failure", Text, nullable=False),
)
# A mail address is one person's; a webhook may be everybody's.
_IS_MAIL = contact_methods.c.channel == EMAIL
Index(
    "uq_contact_methods_email",
    contact_methods.c.tenant_id,
    contact_methods.c.address,
    unique=True,
    sqlite_where=_IS_MAIL,
    postgresql_where=_IS_MAIL,
)

# Webhooks. The secret is encrypted (storage/secrets.py).
channels: Final = Table(
    "channels",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    # None once its master key is lost: then the webhook needs a new one.
    Column("secret", Secret("id", "secrets of webhooks")),
    Column("version", Integer, nullable=False),
    Column("created_at", Timestamp, nullable=False),
)

notifications: Final = Table(
    "notifications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("alert_id", Text, nullable=False),
    Column("contact_id", Text),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("about", Text, nullable=False),
    # What all rows of one event share: to whom it went another way, the others tell.
    Column("message_id", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("severity", Text, nullable=False),
    Column("severity_rank", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", Timestamp),
    Column("owner", Text),
    Column("lease_until", Timestamp),
    Column("attempts", Integer, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("changed_at", Timestamp, nullable=False),
    Column("due", Json(NotificationDue)),
    Index("ix_notifications_due", "state", "severity_rank", "due_at"),
    Index("ix_notifications_alert", "alert_id", "contact_id", "channel"),
    Index("ix_notifications_message", "message_id", "contact_id"),
    Index("ix_notifications_address", "channel", "address", "created_at"),
    Index("ix_notifications_tenant", "tenant_id", "created_at"),
)
