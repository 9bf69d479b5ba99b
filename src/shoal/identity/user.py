"""A person who may log in: email address, name, role, and the door where they are parsed."""

import asyncio
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shoal.access.decision import Subject
from shoal.access.policy import Role
from shoal.errors import Rejected
from shoal.ids import Prefix, TenantId, UserId, parse_id

# RFC 5321 §4.5.3.1.3: a path has at most 256 octets, two of them the angle brackets.
EMAIL_BYTES_MAX: Final = 254
# Fits a full name in any language, and one line of a timeline.
NAME_CHARACTERS_MAX: Final = 120
# Farms of one technician; who has more of them has all.
PLACES_MAX: Final = 50
# NIST SP 800-63B §5.1.1.2: at least 8, and nothing about which characters.
PASSWORD_CHARACTERS_MIN: Final = 8
# Long enough for a passphrase, short enough that hashing one stays cheap.
PASSWORD_CHARACTERS_MAX: Final = 1_024

# Hashing takes 64 MiB each: this bounds what a crowd at the door can take, and leaves a core to everybody else.
HASHING_MAX: Final = 2

# The library's defaults: argon2id, 64 MiB, RFC 9106 §4 second recommendation. About 50 ms on a small machine.
_HASHER: Final = PasswordHasher()
_threads: Final = ThreadPoolExecutor(max_workers=HASHING_MAX, thread_name_prefix="passwords")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person of one tenant. The email address is the login, unique in the installation.

    The role is held at `places`, ids of farms and enclosures; everywhere when there are none.
    """

    id: UserId
    tenant: TenantId
    email: str
    name: str
    role: Role
    created_at: datetime
    is_disabled: bool = False
    places: tuple[str, ...] = ()

    @property
    def subject(self) -> Subject:
        """The person as policies see them."""
        return Subject(tenant=self.tenant, role=self.role, id=self.id, name=self.name, places=frozenset(self.places))


def parse_email(raw: str) -> str:
    """The address in the one form that we store: lower case, so that people are found however they type it.

    Raises:
        Rejected: not of the form somebody@somewhere.
    """
    email = unicodedata.normalize("NFC", raw.strip()).lower()
    local, at, domain = email.rpartition("@")
    if not at or not local or not domain or len(email.encode("utf-8", "replace")) > EMAIL_BYTES_MAX:
        raise Rejected("email", "not of the form somebody@somewhere")
    if any(character.isspace() or unicodedata.category(character)[0] in "CZ" for character in email):
        raise Rejected("email", "holds characters that no address has")
    return email


def parse_name(raw: str) -> str:
    """A person's or a token's name as it will be shown.

    Raises:
        Rejected: empty, too long, or with characters that cannot be seen.
    """
    name = raw.strip()
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        raise Rejected("name", f"{len(name)} characters, expected 1 to {NAME_CHARACTERS_MAX}")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        raise Rejected("name", "holds control characters")
    return name


def parse_role(raw: str) -> Role:
    """The role of that name.

    Raises:
        Rejected: there is none; with those that there are.
    """
    try:
        return Role(raw)
    except ValueError as error:
        raise Rejected("role", "no such role", roles=", ".join(Role)) from error


def parse_places(raw: Sequence[str]) -> tuple[str, ...]:
    """The farms and enclosures at which a role is held, each once.

    Raises:
        Rejected: too many, or not the id of a farm or an enclosure.
    """
    if len(raw) > PLACES_MAX:
        raise Rejected("places", f"{len(raw)}, expected at most {PLACES_MAX}")
    prefixes = {text: Prefix.ENCLOSURE if text[:4].lower() == "enc-" else Prefix.FARM for text in raw}
    return tuple(sorted({parse_id(text, prefix) for text, prefix in prefixes.items()}))


def check_password(password: str) -> str:
    """A password that may be set.

    Raises:
        Rejected: too short or too long. Never says the password.
    """
    if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
        reason = f"{len(password)} characters, expected {PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX}"
        raise Rejected("password", reason)
    return password


async def hash_password(password: str) -> str:
    """What is stored instead of the password. Slow on purpose, so in a thread: never inside a transaction."""
    return await asyncio.wrap_future(_threads.submit(_HASHER.hash, password))


async def is_password(password: str, password_hash: str | None) -> bool:
    """Whether the hash was made from this password; takes as long when there is no hash to compare with."""
    return await asyncio.wrap_future(_threads.submit(_verify, password, password_hash))


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with weaker settings than today's."""
    return _HASHER.check_needs_rehash(password_hash)


def _verify(password: str, password_hash: str | None) -> bool:
    try:
        _HASHER.verify(password_hash or _nobody(), password)
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def _nobody() -> str:
    """A hash that no password fits, so that an unknown address takes as long to refuse as a wrong password."""
    global _nobody_hash  # noqa: PLW0603  # made once, and only by those who need it
    if _nobody_hash is None:
        _nobody_hash = _HASHER.hash("")
    return _nobody_hash


_nobody_hash: str | None = None
