"""Observations of single paths."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "observation_intents",
        sa.Column("device_id", sa.String(length=16), nullable=False),
        sa.Column("path", sa.String(length=24), nullable=False),
        sa.Column("is_wanted", sa.Boolean(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("said_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_observation_intents_device_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("device_id", "path", name=op.f("pk_observation_intents")),
    )
    op.create_table(
        "observation_states",
        sa.Column("device_id", sa.String(length=16), nullable=False),
        sa.Column("path", sa.String(length=24), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=8), nullable=True),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_observation_states_device_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("device_id", "path", name=op.f("pk_observation_states")),
    )
    with op.batch_alter_table("last_values", schema=None) as batch_op:
        batch_op.add_column(sa.Column("is_device_time", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.create_index(
            "ix_last_values_serial",
            ["device_id"],
            unique=False,
            sqlite_where=sa.text("path = '/3/0/2'"),
            postgresql_where=sa.text("path = '/3/0/2'"),
        )
