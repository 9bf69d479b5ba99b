"""Refused operations of people and tokens in the security log."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("refusals", schema=None) as batch_op:
        batch_op.add_column(sa.Column("subject_id", sa.String(length=16), server_default="", nullable=False))
        batch_op.add_column(sa.Column("place_id", sa.String(length=16), server_default="", nullable=False))
        batch_op.add_column(sa.Column("policy_id", sa.Text(), server_default="", nullable=False))
        batch_op.drop_index(batch_op.f("ix_refusals_bounds"))
        batch_op.create_index(
            "ix_refusals_bounds", ["tenant_id", "device_id", "subject_id", "day", "source"], unique=False
        )
