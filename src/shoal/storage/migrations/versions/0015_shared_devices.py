"""Shared devices."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shared_devices",
        sa.Column("device_id", sa.String(length=16), nullable=False),
        sa.Column("tenant_id", sa.String(length=16), nullable=False),
        sa.Column("is_registered", sa.Boolean(), nullable=False),
        sa.Column("policies", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_shared_devices")),
    )
    op.create_index(
        "ix_shared_devices_policies", "shared_devices", ["tenant_id", "is_registered", "policies"], unique=False
    )
