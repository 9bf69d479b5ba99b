"""People log in, programs show tokens; both end when they should, and neither secret lies in the database."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import update

from shoal.access.decision import Place, Policies, may
from shoal.access.policy import Operation, Role
from shoal.errors import Conflict, NotFound, Rejected
from shoal.identity.invitation import INVITATION_LIFETIME, InvitationOver
from shoal.identity.login import SESSION_LIFETIME, Unauthenticated
from shoal.identity.store import LAST_USED_EVERY, SESSIONS_KEPT
from shoal.identity.tables import users
from shoal.identity.token import TokenKind
from shoal.identity.user import User
from shoal.ids import Prefix, TenantId, TokenId, UserId, new_id
from tests.harness.databases import looks_into_files
from tests.harness.installation import Installation

TENANT = TenantId("ten-OURS0000")
OTHER = TenantId("ten-THEIRS00")
PASSWORD = "correct horse battery"


async def create(shoal: Installation, email: str = "kari@farm.example", role: Role = Role.ADMINISTRATOR) -> User:
    return await shoal.identity.create_user(TENANT, email=email, name="Kari", role=role, password=PASSWORD)


async def test_a_person_logs_in_and_is_known_by_the_token(shoal: Installation) -> None:
    kari = await create(shoal)

    session, who = await shoal.identity.log_in(" KARI@farm.example", PASSWORD)
    known = await shoal.identity.authenticate(session.secret)

    assert who == kari
    assert known.user == kari
    assert (known.subject.tenant, known.subject.role, known.subject.id, known.subject.name) == (
        TENANT,
        Role.ADMINISTRATOR,
        kari.id,
        "Kari",
    )
    assert (known.token.kind, known.token.expires_at) == (TokenKind.SESSION, shoal.clock.now() + SESSION_LIFETIME)


@looks_into_files
async def test_neither_password_nor_token_is_in_the_database(shoal: Installation) -> None:
    await create(shoal)
    session, _ = await shoal.identity.log_in("kari@farm.example", PASSWORD)

    files = [path.read_bytes() for path in Path(shoal.database.where).parent.iterdir()]

    assert any(b"kari@farm.example" in content for content in files)
    assert not any(PASSWORD.encode() in content for content in files)
    assert not any(session.secret.encode() in content for content in files)


@pytest.mark.parametrize(
    ("email", "password"),
    [("kari@farm.example", "wrong"), ("ola@farm.example", PASSWORD), ("nobody", PASSWORD), ("kari@farm.example", "")],
)
async def test_a_refusal_does_not_tell_what_was_wrong(shoal: Installation, email: str, password: str) -> None:
    await create(shoal)

    with pytest.raises(Unauthenticated) as caught:
        await shoal.identity.log_in(email, password)

    assert str(caught.value) == "login: wrong email address or password"


async def test_a_login_ends_after_a_working_day(shoal: Installation) -> None:
    await create(shoal)
    session, _ = await shoal.identity.log_in("kari@farm.example", PASSWORD)

    shoal.clock.advance(SESSION_LIFETIME - timedelta(seconds=1))
    await shoal.identity.authenticate(session.secret)
    shoal.clock.advance(timedelta(seconds=1))
    with pytest.raises(Unauthenticated, match="expired"):
        await shoal.identity.authenticate(session.secret)


async def test_logins_that_ended_long_ago_are_forgotten(shoal: Installation) -> None:
    await create(shoal)
    old, _ = await shoal.identity.log_in("kari@farm.example", PASSWORD)
    shoal.clock.advance(SESSION_LIFETIME + SESSIONS_KEPT + timedelta(seconds=1))

    await shoal.identity.log_in("kari@farm.example", PASSWORD)

    with pytest.raises(Unauthenticated, match="unknown"):
        await shoal.identity.authenticate(old.secret)


async def test_a_revoked_token_counts_no_more_at_once(shoal: Installation) -> None:
    await create(shoal)
    session, _ = await shoal.identity.log_in("kari@farm.example", PASSWORD)
    async with shoal.database.transaction() as tx:
        with pytest.raises(NotFound):
            await shoal.identity.revoke_token(tx, OTHER, session.token.id)
    await shoal.identity.authenticate(session.secret)

    async with shoal.database.transaction() as tx:
        revoked = await shoal.identity.revoke_token(tx, TENANT, session.token.id)
    shoal.clock.advance(timedelta(minutes=1))
    async with shoal.database.transaction() as tx:
        again = await shoal.identity.revoke_token(tx, TENANT, session.token.id)

    assert again.revoked_at == revoked.revoked_at
    with pytest.raises(Unauthenticated, match="revoked"):
        await shoal.identity.authenticate(session.secret)


async def test_a_service_speaks_for_itself(shoal: Installation) -> None:
    async with shoal.database.transaction() as tx:
        made = await shoal.identity.create_token(
            tx, TENANT, name="export", role=Role.VIEWER, expires_at=shoal.clock.now() + timedelta(days=1)
        )

    known = await shoal.identity.authenticate(made.secret)

    assert known.user is None
    assert (known.subject.id, known.subject.name, known.subject.role) == (made.token.id, "export", Role.VIEWER)
    assert [token.id for token in await shoal.identity.tokens(TENANT)] == [made.token.id]
    assert await shoal.identity.tokens(OTHER) == []


async def test_a_persons_own_token_shrinks_with_the_person(shoal: Installation) -> None:
    await create(shoal, "boss@farm.example")
    kari = await create(shoal)
    async with shoal.database.transaction() as tx:
        made = await shoal.identity.create_token(tx, TENANT, name="script", role=Role.ADMINISTRATOR, user=kari.id)
        await shoal.identity.change_user(tx, TENANT, kari.id, role=Role.VIEWER)

    subject = (await shoal.identity.authenticate(made.secret)).subject

    assert (made.token.kind, subject.id, subject.token) == (TokenKind.PERSONAL, kari.id, made.token.id)
    assert subject.person is not None
    assert subject.person.role is Role.VIEWER
    assert not may(Policies(TENANT), subject, Operation.WRITE, Place(tenant=TENANT))


async def test_a_role_is_held_at_the_places_that_were_given(shoal: Installation) -> None:
    await create(shoal, "boss@farm.example")
    kari = await create(shoal)
    farm = new_id(Prefix.FARM)
    async with shoal.database.transaction() as tx:
        changed = await shoal.identity.change_user(tx, TENANT, kari.id, role=Role.TECHNICIAN, places=[farm])
        token = await shoal.identity.create_token(tx, TENANT, name="scales", role=Role.INTEGRATOR, places=[farm])

    assert changed.places == (await shoal.identity.user(TENANT, kari.id)).places == (farm,)
    assert (await shoal.identity.authenticate(token.secret)).subject.places == {farm}
    assert set(await shoal.identity.tokens_for(TENANT, [token.token.id])) == {token.token.id}
    assert await shoal.identity.tokens_for(OTHER, [token.token.id]) == {}


async def test_an_administrator_of_some_farms_is_not_the_one_who_must_be_left(shoal: Installation) -> None:
    boss = await create(shoal, "boss@farm.example")
    async with shoal.database.transaction() as tx:
        with pytest.raises(Conflict):
            await shoal.identity.change_user(tx, TENANT, boss.id, places=[new_id(Prefix.FARM)])


async def test_a_token_is_made_only_for_somebody_there_is_and_for_some_time(shoal: Installation) -> None:
    kari = await create(shoal)
    async with shoal.database.transaction() as tx:
        with pytest.raises(Rejected):
            await shoal.identity.create_token(tx, TENANT, name=" ", role=Role.VIEWER)
        with pytest.raises(Rejected):
            await shoal.identity.create_token(tx, TENANT, name="x", role=Role.VIEWER, expires_at=shoal.clock.now())
        with pytest.raises(NotFound):
            await shoal.identity.create_token(tx, OTHER, name="x", role=Role.VIEWER, user=kari.id)

    assert await shoal.identity.tokens(TENANT) == []


async def test_whoever_is_shut_out_is_out_at_once_and_may_come_back(shoal: Installation) -> None:
    await create(shoal, "boss@farm.example")
    kari = await create(shoal)
    session, _ = await shoal.identity.log_in("kari@farm.example", PASSWORD)
    async with shoal.database.transaction() as tx:
        await shoal.identity.change_user(tx, TENANT, kari.id, is_disabled=True)

    with pytest.raises(Unauthenticated):
        await shoal.identity.authenticate(session.secret)
    with pytest.raises(Unauthenticated):
        await shoal.identity.log_in("kari@farm.example", PASSWORD)
    async with shoal.database.transaction() as tx:
        await shoal.identity.change_user(tx, TENANT, kari.id, is_disabled=False)
    await shoal.identity.log_in("kari@farm.example", PASSWORD)


async def test_a_new_password_ends_the_logins_but_not_the_programs(shoal: Installation) -> None:
    kari = await create(shoal)
    session, _ = await shoal.identity.log_in("kari@farm.example", PASSWORD)
    async with shoal.database.transaction() as tx:
        script = await shoal.identity.create_token(tx, TENANT, name="script", role=Role.VIEWER, user=kari.id)

    await shoal.identity.set_password(TENANT, kari.id, "another password")

    with pytest.raises(Unauthenticated):
        await shoal.identity.authenticate(session.secret)
    with pytest.raises(Unauthenticated):
        await shoal.identity.log_in("kari@farm.example", PASSWORD)
    await shoal.identity.authenticate(script.secret)
    await shoal.identity.log_in("kari@farm.example", "another password")
    with pytest.raises(NotFound):
        await shoal.identity.set_password(OTHER, kari.id, "another password")


async def test_the_last_administrator_stays(shoal: Installation) -> None:
    kari = await create(shoal)

    async def change(**what: object) -> None:
        async with shoal.database.transaction() as tx:
            await shoal.identity.change_user(tx, TENANT, kari.id, **what)  # type: ignore[arg-type]

    for what in ({"role": Role.VIEWER}, {"is_disabled": True}):
        with pytest.raises(Conflict):
            await change(**what)
    assert await shoal.identity.user(TENANT, kari.id) == kari

    await create(shoal, "ola@farm.example")
    await change(role=Role.VIEWER)
    assert (await shoal.identity.user(TENANT, kari.id)).role is Role.VIEWER


async def test_an_address_belongs_to_one_person_in_the_installation(shoal: Installation) -> None:
    assert not await shoal.identity.has_users()
    kari = await create(shoal)

    with pytest.raises(Conflict):
        await shoal.identity.create_user(
            OTHER, email="Kari@Farm.example", name="K", role=Role.VIEWER, password=PASSWORD
        )
    with pytest.raises(Rejected):
        await create(shoal, "ola@farm.example ola")

    assert await shoal.identity.has_users()
    assert await shoal.identity.users(TENANT) == [kari]
    assert await shoal.identity.users(OTHER) == []


async def test_people_are_listed_page_by_page_and_only_the_tenants_own(shoal: Installation) -> None:
    made = sorted([(await create(shoal, f"{n}@farm.example")).id for n in range(3)])

    first = await shoal.identity.users(TENANT, limit=2)
    second = await shoal.identity.users(TENANT, after=first[-1].id, limit=2)

    assert [user.id for user in (*first, *second)] == made
    assert set(await shoal.identity.users_for(TENANT, [*made, UserId("usr-NOBODY00")])) == set(made)
    assert await shoal.identity.users_for(OTHER, made) == {}
    with pytest.raises(NotFound):
        await shoal.identity.user(OTHER, made[0])
    with pytest.raises(Rejected):
        await shoal.identity.users(TENANT, limit=501)


async def test_tokens_are_listed_page_by_page(shoal: Installation) -> None:
    async with shoal.database.transaction() as tx:
        made = sorted(
            [(await shoal.identity.create_token(tx, TENANT, name=str(n), role=Role.VIEWER)).token.id for n in range(3)]
        )

    first = await shoal.identity.tokens(TENANT, limit=2)
    second = await shoal.identity.tokens(TENANT, after=first[-1].id, limit=2)

    assert [token.id for token in (*first, *second)] == made
    assert await shoal.identity.tokens(TENANT, after=TokenId("tok-ZZZZZZZZ")) == []


async def test_reading_does_not_write_more_than_once_a_minute(shoal: Installation) -> None:
    async with shoal.database.transaction() as tx:
        made = await shoal.identity.create_token(tx, TENANT, name="export", role=Role.VIEWER)
    used = []
    for _ in range(3):
        await shoal.identity.authenticate(made.secret)
        [token] = await shoal.identity.tokens(TENANT)
        used.append(token.last_used_at)
        shoal.clock.advance(LAST_USED_EVERY / 2)

    assert used[0] == used[1]
    assert used[2] == used[0] + LAST_USED_EVERY  # type: ignore[operator]  # it was used


async def test_a_password_hash_of_yesterday_is_renewed_at_login(shoal: Installation) -> None:
    kari = await create(shoal)
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    async with shoal.database.transaction() as tx:
        await tx.execute(update(users).where(users.c.id == kari.id).values(password_hash=weak))

    await shoal.identity.log_in("kari@farm.example", PASSWORD)

    async with shoal.database.transaction() as tx:
        stored = await tx.scalar(users.select().with_only_columns(users.c.password_hash))
    assert stored != weak
    assert "m=65536" in stored


# -- invitations -------------------------------------------------------------------------------------------------------

KARI = {"email": "kari@farm.example", "name": "Kari Nord", "password": PASSWORD}


async def invited(shoal: Installation, tenant: TenantId = TENANT) -> str:
    async with shoal.database.transaction() as tx:
        return (await shoal.identity.invite(tx, tenant, Role.ADMINISTRATOR)).secret


async def test_whoever_is_invited_becomes_a_person_and_is_logged_in(shoal: Installation) -> None:
    secret = await invited(shoal)
    assert (await shoal.identity.invitation(secret)).tenant == TENANT

    session, user = await shoal.identity.accept(secret, **KARI)

    assert (user.tenant, user.role, user.name) == (TENANT, Role.ADMINISTRATOR, "Kari Nord")
    assert (await shoal.identity.authenticate(session.secret)).user == user
    await shoal.identity.log_in("kari@farm.example", PASSWORD)


async def test_an_invitation_works_once_also_when_it_is_used_twice_at_the_same_time(shoal: Installation) -> None:
    secret = await invited(shoal)
    others = [KARI | {"email": f"person{number}@farm.example"} for number in range(5)]

    tried = await asyncio.gather(*(shoal.identity.accept(secret, **who) for who in others), return_exceptions=True)

    assert sum(isinstance(each, InvitationOver) for each in tried) == 4
    assert len(await shoal.identity.users(TENANT)) == 1
    with pytest.raises(InvitationOver):
        await shoal.identity.invitation(secret)


async def test_an_invitation_ends_after_a_day(shoal: Installation) -> None:
    secret = await invited(shoal)
    shoal.clock.advance(INVITATION_LIFETIME - timedelta(seconds=1))
    await shoal.identity.invitation(secret)
    shoal.clock.advance(timedelta(seconds=1))

    for refused in (shoal.identity.invitation(secret), shoal.identity.accept(secret, **KARI)):
        with pytest.raises(InvitationOver):
            await refused


async def test_a_newer_invitation_takes_the_place_of_the_older_one_of_the_same_tenant(shoal: Installation) -> None:
    old, foreign = await invited(shoal), await invited(shoal, OTHER)
    new = await invited(shoal)

    with pytest.raises(InvitationOver):
        await shoal.identity.accept(old, **KARI)
    assert (await shoal.identity.invitation(foreign)).tenant == OTHER
    await shoal.identity.accept(new, **KARI)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"password": "short"}, Rejected),
        ({"email": "nobody"}, Rejected),
        ({"name": " "}, Rejected),
        ({"email": "ola@farm.example"}, Conflict),
    ],
)
async def test_a_mistake_does_not_use_the_invitation_up(
    shoal: Installation, wrong: dict[str, str], error: type[Exception]
) -> None:
    await create(shoal, "ola@farm.example")
    secret = await invited(shoal)

    with pytest.raises(error):
        await shoal.identity.accept(secret, **(KARI | wrong))

    await shoal.identity.accept(secret, **KARI)


@pytest.mark.parametrize("secret", ["", "guess", "shoal_guess", "shoal_" + "x" * 200])
async def test_a_guessed_invitation_is_none(shoal: Installation, secret: str) -> None:
    await invited(shoal)

    with pytest.raises(InvitationOver):
        await shoal.identity.accept(secret, **KARI)
