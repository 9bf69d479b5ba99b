"""How Alembic reaches the database; run by Alembic, from `storage/migrate.py`."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import create_engine, pool, text

from shoal.storage.secrets import Secret
from shoal.storage.tables import Json, Timestamp, metadata


def render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """A migration must stay what it was when our types change: it names the plain types of the database."""
    if kind == "type" and isinstance(item, Timestamp):
        return "sa.BigInteger()"
    if kind == "type" and isinstance(item, Secret):
        return "sa.LargeBinary()"
    if kind == "type" and isinstance(item, Json):
        return "sa.Text()"
    return False


def migrate() -> None:
    engine = create_engine(str(context.config.get_main_option("sqlalchemy.url")), poolclass=pool.NullPool)
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            # Two processes may be told to migrate at the same moment: the second finds nothing to do. The lock ends
            # with the connection.
            connection.execute(text("SELECT pg_advisory_lock(hashtext('shoal migrate'))"))
            connection.commit()
        # SQLite cannot alter most of a table: batch mode copies it instead.
        context.configure(
            connection=connection, target_metadata=metadata, render_as_batch=True, render_item=render_item
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


migrate()
