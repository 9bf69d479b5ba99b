"""The tables of certificate authorities, of what they issued, and of the secrets that let devices enrol."""

from typing import Final

from sqlalchemy import Column, Index, LargeBinary, String, Table, Text

from shoal.storage.database import Json, Timestamp, metadata
from shoal.storage.secrets import Secret

authorities: Final = Table(
    "authorities",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("tenant_id", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("state", String(16), nullable=False),
    # Its certificate in PEM, then those above it.
    Column("chain", Text, nullable=False),
    # PKCS #8. Empty when it was lost together with the master key: it issues nothing any more.
    Column("key_encrypted", Secret("id", "keys of certificate authorities")),
    # Two that succeed the same one at the same time: the second fails.
    Column("succeeds", String(16), unique=True),
    Column("created_at", Timestamp, nullable=False),
    Column("created_by", Text),
    Index("ix_authorities_tenant", "tenant_id"),
)

issued_certificates: Final = Table(
    "issued_certificates",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("tenant_id", String(16), nullable=False),
    Column("authority_id", String(16), nullable=False),
    Column("usage", String(8), nullable=False),
    Column("subject", Text, nullable=False),
    Column("names", Json(tuple[str, ...]), nullable=False),
    Column("serial", String(40), nullable=False),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("der", LargeBinary, nullable=False),
    Column("not_before", Timestamp, nullable=False),
    Column("not_after", Timestamp, nullable=False),
    Column("issued_at", Timestamp, nullable=False),
    Column("issued_by", Text),
    Column("revoked_at", Timestamp),
    Column("reason", String(24)),
    Index("ix_issued_certificates_expiry", "tenant_id", "not_after", "id"),
    Index("ix_issued_certificates_subject", "tenant_id", "subject", "issued_at"),
    Index("ix_issued_certificates_authority", "authority_id", "revoked_at"),
    Index("ix_issued_certificates_revoked", "revoked_at"),
)

enrolments: Final = Table(
    "enrolments",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("tenant_id", String(16), nullable=False),
    Column("endpoint", Text, nullable=False),
    # SHA-256: the secret has 160 random bits, so nobody can guess backwards.
    Column("secret_digest", LargeBinary, nullable=False),
    Column("expires_at", Timestamp, nullable=False),
    # SHA-256 of the key that it was used for: the same device may ask again when the answer was lost.
    Column("used_for", LargeBinary),
    Column("created_at", Timestamp, nullable=False),
    Column("created_by", Text),
    Index("ix_enrolments_endpoint", "tenant_id", "endpoint", unique=True),
)
