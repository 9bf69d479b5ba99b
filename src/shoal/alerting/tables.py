"""The tables of this room: alerts, their episodes and timeline, and the escalation policies."""

from typing import Final

from sqlalchemy import Boolean, Column, Index, Integer, Table, Text

from shoal.alerting.alert import Alert, AlertState
from shoal.alerting.policy import Policy
from shoal.storage.database import AutoId, Json, Timestamp, metadata

alerts: Final = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("farm_id", Text),
    Column("enclosure_id", Text),
    Column("device_id", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("condition", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("severity_rank", Integer, nullable=False),
    Column("opened_at", Timestamp, nullable=False),
    Column("changed_at", Timestamp, nullable=False),
    # The time frames of people, on the wall clock: what of them is next makes the alert due.
    Column("next_step_at", Timestamp),
    Column("ack_due", Timestamp),
    Column("resolve_due", Timestamp),
    Column("body", Json(Alert), nullable=False),
)
IS_OPEN: Final = alerts.c.state != AlertState.RESOLVED.value
Index("uq_alerts_fingerprint", alerts.c.fingerprint, unique=True, sqlite_where=IS_OPEN, postgresql_where=IS_OPEN)
Index("uq_alerts_code", alerts.c.tenant_id, alerts.c.code, unique=True, sqlite_where=IS_OPEN, postgresql_where=IS_OPEN)
Index("ix_alerts_list", alerts.c.tenant_id, alerts.c.opened_at, alerts.c.id)
for _frame in (alerts.c.next_step_at, alerts.c.ack_due, alerts.c.resolve_due):
    Index(
        f"ix_alerts_{_frame.name}",
        _frame,
        sqlite_where=_frame.is_not(None),
        postgresql_where=_frame.is_not(None),
    )
Index("ix_alerts_device", alerts.c.device_id, alerts.c.opened_at)

# Every episode that was ever told to us, also those that ended before they began: events of two farms may overtake
# each other, and any may come twice.
alert_episodes: Final = Table(
    "alert_episodes",
    metadata,
    Column("episode", Text, primary_key=True),
    Column("alert_id", Text),
    Column("is_closed", Boolean, nullable=False),
    Column("changes", Integer, nullable=False),
)

alert_timeline: Final = Table(
    "alert_timeline",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("alert_id", Text, nullable=False, index=True),
    Column("time", Timestamp, nullable=False),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("by", Text),
    Column("note", Text, nullable=False),
)

# A tenant's default stands here only once somebody changed it. Ids are a tenant's own: the default's is derived, and
# two tenants may get the same one.
escalation_policies: Final = Table(
    "escalation_policies",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("body", Json(Policy), nullable=False),
)
