import base64
from datetime import UTC, datetime, timedelta

import pytest

from shoal.bff import heard_access, logins
from shoal.bff.logins import Logins

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)


def session(token: str = "t") -> heard_access.Session:
    return heard_access.Session(token=token, user="Ida", role="operator", expires_at=NOW + timedelta(hours=1))


def test_a_login_is_in_its_cookie_until_it_expires() -> None:
    held = Logins(b"secret")
    login = held.open(session())
    cookie = held.sealed(login)

    assert held.find(cookie, NOW) == login
    assert held.find(cookie, login.expires_at) is None


def test_any_process_with_the_secret_knows_a_login_and_nobody_else_can_read_it() -> None:
    login = Logins(b"secret").open(session("the token of the API"))
    cookie = Logins(b"secret").sealed(login)

    assert Logins(b"secret").find(cookie, NOW) == login
    assert Logins(b"another").find(cookie, NOW) is None
    assert "token" not in cookie
    assert b"token" not in base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))


@pytest.mark.parametrize("cookie", ["", "guessed", "gAAAAA", "ø", "=" * 5_000, "\x00"])
def test_what_is_no_cookie_of_ours_is_nobody(cookie: str) -> None:
    assert Logins(b"secret").find(cookie, NOW) is None


def test_a_changed_cookie_is_nobody() -> None:
    held = Logins(b"secret")
    cookie = held.sealed(held.open(session()))

    assert held.find(cookie[:-8] + "AAAAAAAA", NOW) is None


def test_the_write_token_belongs_to_one_login_and_one_secret() -> None:
    held, other = Logins(b"secret"), Logins(b"another")
    one, two = held.open(session()), held.open(session())

    assert held.csrf(one) == held.csrf(one)
    assert held.csrf(one) != held.csrf(two)
    assert held.csrf(one) != other.csrf(one)


def test_one_login_holds_a_few_streams_and_no_more() -> None:
    held = Logins(b"secret")
    login, other = held.open(session()), held.open(session())

    opened = [held.stream_opened(login) for _ in range(logins.STREAMS_PER_LOGIN_MAX + 1)]

    assert opened == [True] * logins.STREAMS_PER_LOGIN_MAX + [False]
    assert held.stream_opened(other)
    held.stream_closed(login)
    assert held.stream_opened(login)
