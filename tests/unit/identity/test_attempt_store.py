"""Wrong passwords are counted over all processes, and nobody is locked out by a stranger."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from shoal.access.policy import Role
from shoal.events.device import SecurityEvent
from shoal.identity.attempt_store import NETWORKS_PER_USER_MAX
from shoal.identity.login import ACCOUNT, ACCOUNT_HERE, NETWORK, REMEMBERED, TooManyAttempts, Unauthenticated
from shoal.identity.store import Identity
from shoal.identity.tables import login_failures, login_networks
from shoal.ids import TenantId
from tests.harness.installation import Installation

EMAIL, PASSWORD = "kari@farm.example", "correct horse battery"
HOME, ELSEWHERE, STRANGER = "192.0.2.1", "192.0.2.2", "203.0.113.9"


@pytest.fixture(autouse=True)
async def kari(shoal: Installation) -> None:
    await shoal.identity.create_user(
        TenantId("ten-OURS0000"), email=EMAIL, name="Kari", role=Role.ADMINISTRATOR, password=PASSWORD
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing a password takes its time on purpose; how often it is compared is what these tests are about."""

    async def is_password(password: str, password_hash: str | None) -> bool:
        return password_hash is not None and password == PASSWORD

    monkeypatch.setattr("shoal.identity.store.is_password", is_password)


async def guess(shoal: Installation, address: str, email: str = EMAIL, password: str = "wrong") -> None:
    with pytest.raises(Unauthenticated):
        await shoal.identity.log_in(email, password, address)


async def wait(shoal: Installation, address: str, email: str = EMAIL) -> timedelta:
    """How long somebody would have to wait there, even with the right password."""
    with pytest.raises(TooManyAttempts) as caught:
        await shoal.identity.log_in(email, PASSWORD, address)
    return caught.value.retry_after


async def test_each_wrong_password_after_the_free_ones_waits_twice_as_long(shoal: Installation) -> None:
    for _ in range(ACCOUNT_HERE.free):
        await guess(shoal, STRANGER)
    waits = []
    for _ in range(4):
        waits.append(await wait(shoal, STRANGER))
        shoal.clock.advance(waits[-1])
        await guess(shoal, STRANGER)

    assert [each.total_seconds() for each in waits] == [15, 30, 60, 120]


async def test_a_stranger_locks_nobody_out(shoal: Installation) -> None:
    await shoal.identity.log_in(EMAIL, PASSWORD, HOME)
    for _ in range(200):
        try:
            await shoal.identity.log_in(EMAIL, "wrong", STRANGER)
        except TooManyAttempts as error:
            shoal.clock.advance(error.retry_after)
        except Unauthenticated:
            continue

    await shoal.identity.log_in(EMAIL, PASSWORD, HOME)
    await shoal.identity.log_in(EMAIL, PASSWORD, ELSEWHERE)


async def test_many_strangers_slow_an_owner_down_only_where_the_owner_never_was(shoal: Installation) -> None:
    await shoal.identity.log_in(EMAIL, PASSWORD, HOME)
    for number in range(ACCOUNT.free):
        await guess(shoal, f"198.51.100.{number}")

    assert await wait(shoal, "198.51.100.200") <= ACCOUNT.longest
    assert await wait(shoal, ELSEWHERE) <= ACCOUNT.longest
    await shoal.identity.log_in(EMAIL, PASSWORD, HOME)
    # That the owner came in elsewhere gives the strangers nothing back.
    assert await wait(shoal, "198.51.100.201") > timedelta()
    shoal.clock.advance(ACCOUNT.longest)
    await shoal.identity.log_in(EMAIL, PASSWORD, ELSEWHERE)


async def test_one_network_that_tries_many_accounts_waits_for_all_of_them(shoal: Installation) -> None:
    for number in range(NETWORK.free):
        await guess(shoal, f"2001:db8:1:2::{number:x}", f"person{number}@farm.example")

    assert await wait(shoal, "2001:db8:1:2:ffff::1") > timedelta()
    await shoal.identity.log_in(EMAIL, PASSWORD, HOME)


async def test_a_login_of_ones_own_does_not_make_up_for_guesses_at_others(shoal: Installation) -> None:
    for number in range(NETWORK.free - 1):
        await guess(shoal, STRANGER, f"person{number}@farm.example")
        await shoal.identity.log_in(EMAIL, PASSWORD, STRANGER)
    await guess(shoal, STRANGER, "one-more@farm.example")

    assert await wait(shoal, STRANGER) > timedelta()


async def test_a_login_makes_up_for_the_wrong_passwords_before_it(shoal: Installation) -> None:
    for _ in range(3):
        for _ in range(ACCOUNT_HERE.free - 1):
            await guess(shoal, HOME)
        await shoal.identity.log_in(EMAIL, PASSWORD, HOME)


async def test_a_refused_attempt_is_not_counted_and_an_hour_without_one_forgets_all(shoal: Installation) -> None:
    for _ in range(ACCOUNT_HERE.free):
        await guess(shoal, HOME)
    for _ in range(20):
        assert await wait(shoal, HOME) == ACCOUNT_HERE.first

    shoal.clock.advance(REMEMBERED)
    await guess(shoal, HOME)
    await guess(shoal, HOME)

    async with shoal.database.reading() as connection:
        assert await connection.scalar(select(func.max(login_failures.c.failures))) == 2


async def test_two_processes_count_together_and_many_at_once_are_no_way_around(shoal: Installation) -> None:
    other = Identity(shoal.database, shoal.clock)
    tried = await asyncio.gather(
        *((shoal.identity, other)[number % 2].log_in(EMAIL, "wrong", STRANGER) for number in range(40)),
        return_exceptions=True,
    )

    kinds = [type(each) for each in tried]
    assert kinds.count(Unauthenticated) == ACCOUNT_HERE.free
    assert kinds.count(TooManyAttempts) == 40 - ACCOUNT_HERE.free


async def test_the_operator_hears_of_guesses_once_the_guesser_has_to_wait(shoal: Installation) -> None:
    for _ in range(ACCOUNT_HERE.free):
        await guess(shoal, STRANGER)
    await wait(shoal, STRANGER)
    await wait(shoal, STRANGER)

    [event] = [event for event in await shoal.events() if isinstance(event, SecurityEvent)]
    assert (event.tenant, event.device, event.identity, event.address) == ("ten-OURS0000", None, EMAIL, STRANGER)
    assert event.reason == "too many wrong passwords"


async def test_nothing_that_was_typed_is_kept(shoal: Installation) -> None:
    await guess(shoal, STRANGER, "my-password@typed-by.mistake")

    async with shoal.database.reading() as connection:
        keys = (await connection.execute(select(login_failures.c.key))).scalars().all()
    assert all(len(key) == 64 and "@" not in key for key in keys)


async def test_the_networks_of_a_person_are_bounded(shoal: Installation) -> None:
    for number in range(NETWORKS_PER_USER_MAX + 5):
        await shoal.identity.log_in(EMAIL, PASSWORD, f"198.51.100.{number}")
        shoal.clock.advance(timedelta(minutes=1))

    async with shoal.database.reading() as connection:
        networks = set((await connection.execute(select(login_networks.c.network))).scalars())
    assert len(networks) == NETWORKS_PER_USER_MAX
    assert "198.51.100.24" in networks
    assert "198.51.100.0" not in networks
