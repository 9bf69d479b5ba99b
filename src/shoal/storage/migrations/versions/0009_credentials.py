"""Several credentials of a device."""

import sqlalchemy as sa
from alembic import op

from shoal.ids import Prefix, new_id

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None

_KEPT = ("device_id", "tenant_id", "mode", "identity", "key_encrypted", "created_at", "created_by")


def upgrade() -> None:
    keys = op.get_bind().execute(sa.text(f"SELECT {', '.join(_KEPT)} FROM credentials")).mappings().all()  # noqa: S608  # our own names
    op.drop_table("credentials")
    credentials = op.create_table(
        "credentials",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("device_id", sa.String(length=16), nullable=False),
        sa.Column("tenant_id", sa.String(length=16), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("mark", sa.Text(), nullable=True),
        sa.Column("key_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("pin", sa.LargeBinary(), nullable=True),
        sa.Column("certificate", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("ends_when_seen", sa.Boolean(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credentials")),
        sa.UniqueConstraint("mark", name=op.f("uq_credentials_mark")),
    )
    op.create_index("ix_credentials_device", "credentials", ["device_id"], unique=False)
    op.create_index("ix_credentials_due", "credentials", ["expires_at"], unique=False)
    op.create_index("ix_credentials_expiry", "credentials", ["tenant_id", "expires_at", "id"], unique=False)
    # Every device goes on with the key that it has.
    ids: set[str] = set()
    while len(ids) < len(keys):
        ids.add(new_id(Prefix.CREDENTIAL))
    rows = [
        dict(key) | {"id": id_, "state": "current", "mark": f"psk:{key['identity']}", "ends_when_seen": False}
        for key, id_ in zip(keys, sorted(ids), strict=True)
    ]
    if rows:
        op.bulk_insert(credentials, rows)
    with op.batch_alter_table("device_directory", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("uq_device_directory_identity"), type_="unique")
        batch_op.drop_column("key_encrypted")
        batch_op.drop_column("identity")
