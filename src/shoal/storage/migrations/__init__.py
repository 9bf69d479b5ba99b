"""Alembic's environment and the migrations of released schemas."""
