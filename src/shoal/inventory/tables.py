"""The tables of the inventory, and how an id that nobody has is drawn."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    exists,
    select,
)

from shoal.errors import Unavailable
from shoal.ids import Prefix
from shoal.inventory.presence import Objects
from shoal.inventory.profile import ProfileSettings
from shoal.storage.database import Json, Timestamp, Transaction, metadata

tenants: Final = Table(
    "tenants",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False),
)

farms: Final = Table(
    "farms",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("version", Integer, nullable=False),
    Index("ix_farms_page", "tenant_id", "name", "id"),
)

enclosures: Final = Table(
    "enclosures",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id"), nullable=False),
    Column("farm_id", ForeignKey("farms.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("version", Integer, nullable=False),
    Index("ix_enclosures_page", "tenant_id", "name", "id"),
    Index("ix_enclosures_farm", "farm_id"),
)

profiles: Final = Table(
    "profiles",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id"), nullable=False),
    Column("key", Text),
    Column("name", Text, nullable=False),
    Column("settings", Json(ProfileSettings), nullable=False),
    Column("created_at", Timestamp, nullable=False),
    UniqueConstraint("tenant_id", "name"),
)

devices: Final = Table(
    "devices",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id"), nullable=False),
    # Repeats the enclosure's farm, so that a farm's devices are found by one index.
    Column("farm_id", ForeignKey("farms.id")),
    Column("enclosure_id", ForeignKey("enclosures.id")),
    Column("endpoint", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("security", Text, nullable=False),
    Column("profile_id", ForeignKey("profiles.id"), nullable=False),
    Column("place_state", Text, nullable=False),
    # What the device said, which may be no enclosure at all: so no foreign key.
    Column("claim_enclosure", Text),
    Column("claim_via", Text),
    Column("claimed_at", Timestamp),
    Column("claim_refused", Text),
    Column("placement_path", Text),
    # Of a device that nobody made, until it has its place.
    Column("arrival", Text),
    Column("created_at", Timestamp, nullable=False),
    Column("version", Integer, nullable=False),
    # Also what a list is ordered by.
    UniqueConstraint("tenant_id", "endpoint"),
    Index("ix_devices_enclosure", "tenant_id", "enclosure_id", "endpoint"),
    Index("ix_devices_farm", "tenant_id", "farm_id", "endpoint"),
    # Foreign keys that point here are checked when a place or a profile is deleted.
    Index("ix_devices_of_enclosure", "enclosure_id"),
    Index("ix_devices_of_profile", "profile_id"),
)

registrations: Final = Table(
    "registrations",
    metadata,
    Column("device_id", ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
    Column("registration_id", Text, nullable=False),
    Column("version", Text, nullable=False),
    # Up to 2^32 - 1, which is how long a device may say "for ever".
    Column("lifetime_s", BigInteger, nullable=False),
    Column("binding", Text, nullable=False),
    Column("queue_mode", Boolean, nullable=False),
    Column("secure", Boolean, nullable=False),
    Column("address", Text, nullable=False),
    Column("objects", Json(Objects), nullable=False),
    Column("registered_at", Timestamp, nullable=False),
    Column("updated_at", Timestamp, nullable=False),
    Column("last_heard_at", Timestamp, nullable=False),
    Column("expires_at", Timestamp),
    Column("ended_at", Timestamp),
    Column("ended_by", Text),
)

# What somebody said of one path of one device, beside what its profile says of all.
observation_intents: Final = Table(
    "observation_intents",
    metadata,
    Column("device_id", ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
    Column("path", String(24), primary_key=True),
    Column("is_wanted", Boolean, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("said_by", Text, nullable=False),
    Column("said_at", Timestamp, nullable=False),
    Column("version", Integer, nullable=False),
)

# What a device does about each path since it registered.
observation_states: Final = Table(
    "observation_states",
    metadata,
    Column("device_id", ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
    Column("path", String(24), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("code", String(8)),
    Column("attributes", Text, nullable=False),
    Column("since", Timestamp, nullable=False),
)

Draw = Callable[[Prefix], str]

# With 2^35 ids of a kind, a million taken, two collisions in a row are one in a billion; sixteen are a broken generator.
DRAWS_MAX: Final = 16


async def fresh_id(tx: Transaction, table: Table, prefix: Prefix, draw: Draw) -> str:
    """An id that no row of the table has: a collision is drawn again, and the primary key stands behind it."""
    for _ in range(DRAWS_MAX):
        drawn = draw(prefix)
        if not await tx.scalar(select(exists().where(table.c.id == drawn))):
            return drawn
    raise Unavailable("random numbers", f"{DRAWS_MAX} ids in a row are taken", "Look at the system's entropy source")
