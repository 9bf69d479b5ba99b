"""Who is logged in. The API's token is in the browser's cookie, sealed: only the pages' processes can open it.

Nothing is kept here, so a login outlives a restart, and any process that has the same secret knows it.
"""

import base64
import hashlib
import hmac
import secrets
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from shoal.bff import heard_access

LOGIN_ID_BYTES: Final = 16
# Tabs share one stream; a few more are browsers without locks, or a reconnect that overtook its end.
STREAMS_PER_LOGIN_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Login:
    """One person in one browser."""

    id: str
    token: str
    user: str
    role: str
    expires_at: datetime


class Logins:
    """Seals logins into cookies and opens them; counts the live streams of each, in this process."""

    def __init__(self, secret: bytes) -> None:
        """`secret` is the same for all processes that serve the same people, and known to nobody else."""
        self._seal = Fernet(base64.urlsafe_b64encode(_derived(secret, b"cookie")))
        self._csrf_key = _derived(secret, b"csrf")
        self._streams: Counter[str] = Counter()

    def open(self, session: heard_access.Session) -> Login:
        """The login of somebody whom the API has just let in."""
        return Login(
            id=secrets.token_urlsafe(LOGIN_ID_BYTES),
            token=session.token,
            user=session.user,
            role=session.role,
            expires_at=session.expires_at,
        )

    def sealed(self, login: Login) -> str:
        """What the browser keeps of it."""
        # Without its padding: an equals sign would have to be quoted.
        return self._seal.encrypt(msgspec.json.encode(login)).decode().rstrip("=")

    def find(self, cookie: str, now: datetime) -> Login | None:
        """The login in a cookie; None when it is over, or not one of ours."""
        try:
            login = msgspec.json.decode(self._seal.decrypt(cookie.encode() + b"=" * (-len(cookie) % 4)), type=Login)
        except (InvalidToken, msgspec.DecodeError, UnicodeError):
            return None
        return login if login.expires_at > now else None

    def csrf(self, login: Login) -> str:
        """What a page of ours knows and a foreign page cannot: required on every write."""
        return hmac.new(self._csrf_key, login.id.encode(), hashlib.sha256).hexdigest()

    def stream_opened(self, login: Login) -> bool:
        """Counts a live stream, unless this login has enough of them."""
        if self._streams[login.id] >= STREAMS_PER_LOGIN_MAX:
            return False
        self._streams[login.id] += 1
        return True

    def stream_closed(self, login: Login) -> None:
        self._streams[login.id] -= 1
        if self._streams[login.id] <= 0:
            del self._streams[login.id]


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return hmac.new(secret, purpose, hashlib.sha256).digest()
