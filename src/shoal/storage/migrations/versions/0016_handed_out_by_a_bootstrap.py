"""What a bootstrap handed out is told by a column of its own: a person may have the name that it went by."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.add_column(sa.Column("is_from_bootstrap", sa.Boolean(), server_default=sa.false(), nullable=False))
    # Until now that name was all there was.
    op.execute("UPDATE credentials SET is_from_bootstrap = true, created_by = NULL WHERE created_by = 'bootstrap'")
