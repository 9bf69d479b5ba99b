"""Escalation."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "channels",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
    )
    op.create_index(op.f("ix_channels_tenant_id"), "channels", ["tenant_id"], unique=False)

    op.create_table(
        "contact_methods",
        sa.Column("contact_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("contact_id", "channel", "address", name=op.f("pk_contact_methods")),
    )
    op.create_index(
        "uq_contact_methods_email",
        "contact_methods",
        ["tenant_id", "address"],
        unique=True,
        sqlite_where=sa.text("channel = 'email'"),
        postgresql_where=sa.text("channel = 'email'"),
    )

    op.create_table(
        "escalation_policies",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_escalation_policies")),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("next_step_at", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("ack_due", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("resolve_due", sa.BigInteger(), nullable=True))
        batch_op.create_index(
            "ix_alerts_ack_due",
            ["ack_due"],
            unique=False,
            sqlite_where=sa.text("ack_due IS NOT NULL"),
            postgresql_where=sa.text("ack_due IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_alerts_next_step_at",
            ["next_step_at"],
            unique=False,
            sqlite_where=sa.text("next_step_at IS NOT NULL"),
            postgresql_where=sa.text("next_step_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_alerts_resolve_due",
            ["resolve_due"],
            unique=False,
            sqlite_where=sa.text("resolve_due IS NOT NULL"),
            postgresql_where=sa.text("resolve_due IS NOT NULL"),
        )

    # Whoever was reached by mail is reached by mail.
    op.execute(
        "INSERT INTO contact_methods (contact_id, channel, address, tenant_id, position, failure) "
        "SELECT id, 'email', email, tenant_id, 0, '' FROM contacts"
    )
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("version", sa.Integer(), server_default="1", nullable=False))
        batch_op.drop_index(batch_op.f("uq_contacts_email"))
        batch_op.create_index(batch_op.f("ix_contacts_tenant_id"), ["tenant_id"], unique=False)
        batch_op.drop_column("email")
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.alter_column("version", server_default=None)

    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.add_column(sa.Column("message_id", sa.Text(), server_default="", nullable=False))
        batch_op.create_index("ix_notifications_address", ["channel", "address", "created_at"], unique=False)
        batch_op.create_index("ix_notifications_message", ["message_id", "contact_id"], unique=False)
    # Each row of before is a message of its own: none of them goes another way any more.
    op.execute("UPDATE notifications SET message_id = id")
    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.alter_column("message_id", server_default=None)
