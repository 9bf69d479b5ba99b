"""What gateways keep: of their devices for whoever goes on with them, and of each other."""

from typing import Final

from sqlalchemy import Column, Index, Integer, Table, Text

from shoal.storage.secrets import Secret
from shoal.storage.tables import AutoId, Timestamp, metadata

checkpoints: Final = Table(
    "checkpoints",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("node", Integer, nullable=False, index=True),
    Column("sealed", Secret("device_id", "sessions of devices"), nullable=False),
    Column("taken_at", Timestamp, nullable=False),
)

gateway_nodes: Final = Table(
    "gateway_nodes",
    metadata,
    Column("node", Integer, primary_key=True, autoincrement=False),
    # Where other gateways reach whoever has it: HOST:PORT; none where there are no others.
    Column("address", Text),
    Column("seen_at", Timestamp, nullable=False),
)

gateway_moves: Final = Table(
    "gateway_moves",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    # The number that the device was kept under until another gateway kept it.
    Column("node", Integer, nullable=False),
    Column("device_id", Text, nullable=False),
    Index("ix_gateway_moves_node", "node", "id"),
)

gateway_starts: Final = Table(
    "gateway_starts",
    metadata,
    # There is one row.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("starts", Integer, nullable=False),
)
