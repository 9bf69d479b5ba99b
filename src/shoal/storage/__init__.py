"""One door to the database: transactions, the outbox beside them, offsets of the stream's readers, and what is secret.

Every room's `store.py` defines its tables on `metadata` and speaks SQLAlchemy Core; what SQLite and PostgreSQL do
differently lives in `sqlite.py` and, once it comes, in `postgres.py`.
"""
