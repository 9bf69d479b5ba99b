"""Sessions outlive a restart."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("node", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_checkpoints")),
    )
    op.create_index(op.f("ix_checkpoints_node"), "checkpoints", ["node"], unique=False)

    op.create_table(
        "gateway_starts",
        sa.Column("node", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("starts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_gateway_starts")),
    )
