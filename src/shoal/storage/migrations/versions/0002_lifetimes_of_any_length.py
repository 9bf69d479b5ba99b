"""Lifetimes of any length."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("registrations", schema=None) as batch_op:
        batch_op.alter_column("lifetime_s", existing_type=sa.INTEGER(), type_=sa.BigInteger(), existing_nullable=False)
