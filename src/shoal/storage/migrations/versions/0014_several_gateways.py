"""Several gateways."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gateway_nodes",
        sa.Column("node", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_gateway_nodes")),
    )
    op.create_table(
        "gateway_moves",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("node", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_moves")),
    )
    op.create_index("ix_gateway_moves_node", "gateway_moves", ["node", "id"], unique=False)
    # Starts were counted by node, and there was one: from now on there is one count for all.
    with op.batch_alter_table("gateway_starts") as batch:
        batch.alter_column("node", new_column_name="id")
