"""Accounts: what is written where, and what makes no sense."""

from datetime import timedelta

import pytest

from shoal.errors import Rejected
from shoal.lwm2m import Access, Account, Certificate

URI = "coaps://192.0.2.1:5684"
KEY = bytes(range(16))


def test_a_key_goes_into_object_0_and_the_lifetime_into_object_1() -> None:
    account = Account(uri=URI, identity="oxy-0417", key=KEY, lifetime=timedelta(hours=1), jitter=0)

    written = dict(account.instances(security=1, has_usage=True))

    assert written == {
        "/0/1": {0: URI, 1: False, 2: 0, 3: b"oxy-0417", 4: b"", 5: KEY, 10: 101},
        "/1/0": {0: 101, 1: 3600, 6: True, 7: "U"},
    }


def test_a_certificate_goes_with_who_vouches_for_the_server() -> None:
    account = Account(uri=URI, certificate=Certificate([b"own", b"issuer"], b"key", [b"authority"]))

    old, new = (dict(account.instances(security=0, has_usage=has_usage))["/0/0"] for has_usage in (False, True))

    assert old == {0: URI, 1: False, 2: 2, 3: b"own", 4: b"authority", 5: b"key", 10: 101}
    assert new == {**old, 15: 2}


def test_lifetimes_are_spread_but_never_longer() -> None:
    account = Account(uri=URI, identity="a", key=KEY, lifetime=timedelta(seconds=1000))

    lifetimes = {dict(account.instances(security=1, has_usage=True))["/1/0"][1] for _ in range(200)}  # type: ignore[index]

    assert len(lifetimes) > 20
    assert all(800 <= lifetime <= 1000 for lifetime in lifetimes if isinstance(lifetime, int))


def test_access_and_further_values_are_written_beside() -> None:
    account = Account(
        uri="coap://192.0.2.1",
        access=[
            Access(path="/3/0", rights={101: 7, 102: 1}, owner=101),
            Access(path="/3303", rights={101: 16}, owner=0),
        ],
        values={"/26241/0/0": "enc-1", "/26241/0/1": 4.5},
    )

    written = dict(account.instances(security=1, has_usage=True))

    assert written["/2/0"] == {0: 3, 1: 0, 2: {101: 7, 102: 1}, 3: 101}
    assert written["/2/1"] == {0: 3303, 1: 65_535, 2: {101: 16}, 3: 0}
    assert written["/26241/0"] == {0: "enc-1", 1: 4.5}


@pytest.mark.parametrize(
    "given",
    [
        {"uri": URI},
        {"uri": URI, "identity": "a"},
        {"uri": "coap://192.0.2.1", "identity": "a", "key": KEY},
        {"uri": URI, "certificate": Certificate([b"own"], b"key")},
        {"uri": URI, "identity": "a", "key": KEY, "short_id": 0},
        {"uri": URI, "identity": "a", "key": KEY, "jitter": 0.5},
    ],
)
def test_what_does_not_fit_together_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(Rejected):
        Account(**given)  # type: ignore[arg-type]


def test_a_key_is_not_shown() -> None:
    assert "key" not in repr(Account(uri=URI, identity="a", key=KEY))
