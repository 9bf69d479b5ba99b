"""One file for each migration, in their order; alembic finds them by name."""
