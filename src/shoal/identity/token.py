"""Tokens: what a program, or the pages on behalf of a person, shows instead of a password."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from shoal.access.decision import Subject
from shoal.access.policy import Role
from shoal.identity.login import Unauthenticated
from shoal.ids import TenantId, TokenId, UserId

# So that a token is recognised where it should not be: by scanners of repositories, and by us in a log.
MARK: Final = "shoal_"
SECRET_BYTES: Final = 32
# Ours have 49 characters; nothing longer is worth hashing.
TOKEN_CHARACTERS_MAX: Final = 128


class TokenKind(StrEnum):
    """What a token was made for: a person's login, a person's own program, or a service that is nobody."""

    SESSION = "session"
    PERSONAL = "personal"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What we remember of a token: everything but its secret, of which only a digest is kept."""

    id: TokenId
    tenant: TenantId
    kind: TokenKind
    user: UserId | None
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token with its secret: shown once, to the one who asked for it."""

    token: Token
    secret: str = field(repr=False)


def new_secret() -> str:
    """What the holder keeps: 256 random bits behind our mark."""
    return MARK + secrets.token_urlsafe(SECRET_BYTES)


def digest(secret: str) -> bytes:
    """What we keep. The secret has 256 random bits, so a plain hash cannot be guessed backwards.

    Raises:
        Unauthenticated: not of the form of a token.
    """
    if not secret.startswith(MARK) or len(secret) > TOKEN_CHARACTERS_MAX or not secret.isascii():
        raise Unauthenticated("token", "not a token")
    return hashlib.sha256(secret.encode()).digest()


def why_refused(token: Token, now: datetime) -> str | None:
    """Why a token that we know does not count any more, None when it does."""
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= now:
        return "expired"
    return None


def subject_of(token: Token, person: Subject | None) -> Subject:
    """Whom policies see in a token: a login is its person, a person's own program never more than its person is.

    `person` is the token's owner, None for a service.
    """
    if person is not None and token.kind is TokenKind.SESSION:
        return person
    return Subject(
        tenant=token.tenant,
        role=token.role,
        id=person.id if person else token.id,
        name=person.name if person else token.name,
        places=frozenset(token.places),
        token=token.id,
        person=person,
    )
