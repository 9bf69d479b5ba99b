from datetime import UTC, datetime, timedelta

import pytest

from shoal.bff import heard, logins
from shoal.bff.logins import Logins

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)


def session(token: str = "t") -> heard.Session:
    return heard.Session(token=token, user="Ida", role="operator", expires_at=NOW + timedelta(hours=1))


def test_a_login_is_found_by_its_id_until_it_expires() -> None:
    held = Logins(b"secret")
    login = held.open(session())

    assert held.find(login.id, NOW) == login
    assert held.find("guessed", NOW) is None
    assert held.find(login.id, login.expires_at) is None
    assert held.find(login.id, NOW) is None


def test_the_oldest_login_goes_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "LOGINS_MAX", 2)
    held = Logins(b"secret")

    first, second, third = (held.open(session()) for _ in range(3))

    assert held.find(first.id, NOW) is None
    assert held.find(second.id, NOW) == second
    assert held.find(third.id, NOW) == third


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
