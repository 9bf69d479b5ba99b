"""Several credentials of a device, and trust anchors."""

import sqlalchemy as sa
from alembic import op

from shoal.ids import Prefix, new_id

revision = "0009"
down_revision = "0008"
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
    op.create_table(
        "trust_anchors",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("tenant_id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("subject_digest", sa.LargeBinary(), nullable=False),
        sa.Column("authority_digest", sa.LargeBinary(), nullable=False),
        sa.Column("challenge", sa.Text(), nullable=True),
        sa.Column("challenge_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("zero_touch", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trust_anchors")),
    )
    op.create_index(op.f("ix_trust_anchors_authority_digest"), "trust_anchors", ["authority_digest"], unique=False)
    op.create_index("ix_trust_anchors_tenant", "trust_anchors", ["tenant_id", "created_at"], unique=False)
    op.create_index(op.f("ix_trust_anchors_version"), "trust_anchors", ["version"], unique=False)
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
