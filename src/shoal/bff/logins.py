"""Who is logged in. The API's token stays here; the browser holds a random number that means nothing elsewhere."""

import hashlib
import hmac
import secrets
from collections import Counter, OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shoal.bff import heard

# People, not machines, log in here; the oldest login goes when there are more.
LOGINS_MAX: Final = 10_000
LOGIN_ID_BYTES: Final = 32
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
    """All logins of this process. They end with it: people log in again after a restart."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._logins: OrderedDict[str, Login] = OrderedDict()
        self._streams: Counter[str] = Counter()

    def open(self, session: heard.Session) -> Login:
        login = Login(
            id=secrets.token_urlsafe(LOGIN_ID_BYTES),
            token=session.token,
            user=session.user,
            role=session.role,
            expires_at=session.expires_at,
        )
        while len(self._logins) >= LOGINS_MAX:
            self._logins.popitem(last=False)
        self._logins[_digest(login.id)] = login
        return login

    def find(self, login_id: str, now: datetime) -> Login | None:
        login = self._logins.get(_digest(login_id))
        if login is not None and login.expires_at <= now:
            self.close(login_id)
            return None
        return login

    def close(self, login_id: str) -> None:
        self._logins.pop(_digest(login_id), None)

    def csrf(self, login: Login) -> str:
        """What a page of ours knows and a foreign page cannot: required on every write."""
        return hmac.new(self._secret, login.id.encode(), hashlib.sha256).hexdigest()

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


def _digest(login_id: str) -> str:
    """Ids are kept hashed, so that looking one up takes the same time whatever was guessed."""
    return hashlib.sha256(login_id.encode()).hexdigest()
