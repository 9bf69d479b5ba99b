"""People and their tokens, in the database."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, Select, Table, and_, delete, exists, func, insert, select, update

from shoal.access.decision import Subject
from shoal.access.policy import Role
from shoal.clock import Clock
from shoal.errors import Conflict, NotFound, Rejected, Unavailable
from shoal.identity.attempt_store import Attempts
from shoal.identity.invitation import INVITATION_LIFETIME, Invitation, InvitationOver, NewInvitation
from shoal.identity.login import SESSION_LIFETIME, Tried, Unauthenticated
from shoal.identity.tables import invitations, tokens, users
from shoal.identity.token import NewToken, Token, TokenKind, digest, new_secret, subject_of, why_refused
from shoal.identity.user import (
    User,
    check_password,
    hash_password,
    is_password,
    needs_rehash,
    parse_email,
    parse_name,
    parse_places,
)
from shoal.ids import Prefix, TenantId, TokenId, UserId, new_id
from shoal.storage.database import Database, Transaction, upsert

# People and programs of one tenant on one page.
ITEMS_PER_QUERY_MAX: Final = 500
# With 2^35 ids two collisions in a row are next to impossible; sixteen are a broken generator.
DRAWS_MAX: Final = 16
# "Last used" is for people: writing it once a minute keeps reading requests from becoming writes.
LAST_USED_EVERY: Final = timedelta(minutes=1)
# Logins that are over are kept this long, for whoever looks into what happened.
SESSIONS_KEPT: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated:
    """Who a token speaks for. `user` is None for a service."""

    subject: Subject
    token: Token
    user: User | None

    @property
    def role(self) -> Role:
        """The role that decides: a login's is its person's."""
        return self.user.role if self.user is not None and self.token.kind is TokenKind.SESSION else self.token.role


class Identity:
    """Who asks. Methods that take a transaction write in it; the others read, or open their own."""

    def __init__(self, database: Database, clock: Clock, draw: Callable[[Prefix], str] = new_id) -> None:
        self._database = database
        self._clock = clock
        self._draw = draw
        self._attempts = Attempts(database, clock)

    # -- logging in ------------------------------------------------------------------------------------------------

    async def log_in(self, email: str, password: str, address: str = "") -> tuple[NewToken, User]:
        """A token for a person's login, and the person. `address` is where they are; empty is this process itself.

        Raises:
            Unauthenticated: address or password are wrong; which of them is not told.
            TooManyAttempts: wait before the next one, even with the right password.
        """
        try:
            login = parse_email(email)
        except Rejected as error:
            raise Unauthenticated("login", "wrong email address or password") from error
        await self._attempts.begin(login, address)
        async with self._database.reading() as connection:
            row = (await connection.execute(select(users).where(users.c.email == login))).first()
        usable = None if row is None or row.is_disabled else row
        if not await is_password(password, usable.password_hash if usable else None) or usable is None:
            tried = Tried(login=login, tenant=row.tenant_id if row else None)
            await self._attempts.failed(tried, address)
            raise Unauthenticated("login", "wrong email address or password", tried=tried)

        stronger = await hash_password(password) if needs_rehash(usable.password_hash) else None
        async with self._database.transaction() as tx:
            held = (await tx.execute(select(users).where(users.c.id == usable.id).with_for_update())).first()
            if held is None or held.is_disabled or held.password_hash != usable.password_hash:
                # Changed while we compared: whoever did that ended the logins that there were, and this is one of them.
                raise Unauthenticated("login", "wrong email address or password")
            user = _user(held)
            if stronger is not None:
                await tx.execute(update(users).where(users.c.id == user.id).values(password_hash=stronger))
            return await self._open_session(tx, user, login, address), user

    async def authenticate(self, secret: str) -> Authenticated:
        """Who this token speaks for, with the role that it has now. Raises Unauthenticated."""
        query = (
            select(tokens, *(column.label(f"user__{column.name}") for column in users.c))
            .outerjoin(users, users.c.id == tokens.c.user_id)
            .where(tokens.c.secret_digest == digest(secret))
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise Unauthenticated("token", "unknown")
        token, now, user = _token(row), self._clock.now(), None if row.user__id is None else _user(row, "user__")
        whose = subject_of(token, user.subject if user else None)
        refusal = why_refused(token, now) or ("its user may not log in" if user and user.is_disabled else None)
        if refusal is not None:
            raise Unauthenticated("token", refusal, whose=whose, token=token.id)
        if token.last_used_at is None or now - token.last_used_at >= LAST_USED_EVERY:
            async with self._database.transaction() as tx:
                await tx.execute(update(tokens).where(tokens.c.id == token.id).values(last_used_at=now))
        return Authenticated(subject=whose, token=token, user=user)

    # -- invitations -----------------------------------------------------------------------------------------------

    async def invite(self, tx: Transaction, tenant: TenantId, role: Role) -> NewInvitation:
        """Lets whoever has the secret make themselves a person of the tenant, once. An older invitation is void."""
        secret, now = new_secret(), self._clock.now()
        row = {
            "tenant_id": tenant,
            "role": role.value,
            "secret_digest": digest(secret),
            "created_at": now,
            "expires_at": now + INVITATION_LIFETIME,
        }
        await upsert(tx, invitations, [row], ["tenant_id"])
        return NewInvitation(tenant=tenant, role=role, expires_at=now + INVITATION_LIFETIME, secret=secret)

    async def invitation(self, secret: str) -> Invitation:
        """What a secret invites to. Raises InvitationOver."""
        async with self._database.reading() as connection:
            return self._open((await connection.execute(_invitation(secret))).first())

    async def accept(
        self, secret: str, *, email: str, name: str, password: str, address: str = ""
    ) -> tuple[NewToken, User]:
        """Makes a person of whoever was invited, and logs them in. The invitation is used up; not when this fails.

        Raises:
            InvitationOver: used, replaced or expired.
            Rejected: an email address, name or password that cannot be one.
            Conflict: somebody in the installation has this address.
        """
        login, parsed = parse_email(email), parse_name(name)
        check_password(password)
        # Before the slow part: hashing is for those who were invited.
        await self.invitation(secret)
        password_hash = await hash_password(password)
        async with self._database.transaction() as tx:
            said = self._open((await tx.execute(_invitation(secret).with_for_update())).first())
            used = await tx.execute(delete(invitations).where(invitations.c.secret_digest == digest(secret)))
            if not used.rowcount:
                raise InvitationOver
            user = await self._insert_user(tx, said.tenant, login, parsed, said.role, password_hash)
            return await self._open_session(tx, user, login, address), user

    # -- tokens ----------------------------------------------------------------------------------------------------

    async def create_token(
        self,
        tx: Transaction,
        tenant: TenantId,
        *,
        name: str,
        role: Role,
        places: Sequence[str] = (),
        user: UserId | None = None,
        expires_at: datetime | None = None,
    ) -> NewToken:
        """A token for a program: a person's own with `user`, else a service's. Its secret is told this once.

        Raises:
            Rejected: a bad name, or an end that has passed already.
            NotFound: no such user.
        """
        parsed = parse_name(name)
        if expires_at is not None and expires_at <= self._clock.now():
            raise Rejected("expires_at", "has passed already")
        if user is not None:
            await self._user_row(tx, tenant, user)
        kind = TokenKind.SERVICE if user is None else TokenKind.PERSONAL
        return await self._insert_token(
            tx,
            tenant,
            kind=kind,
            name=parsed,
            role=role,
            places=parse_places(places),
            user=user,
            expires_at=expires_at,
        )

    async def tokens(
        self, tenant: TenantId, *, after: TokenId | None = None, limit: int = ITEMS_PER_QUERY_MAX
    ) -> list[Token]:
        """Tokens of programs, by id, revoked ones too; the next page is `after` the last. Logins are not among them."""
        query = (
            select(tokens)
            .where(tokens.c.tenant_id == tenant, tokens.c.kind != TokenKind.SESSION.value)
            .order_by(tokens.c.id)
            .limit(_checked(limit))
        )
        if after is not None:
            query = query.where(tokens.c.id > after)
        async with self._database.reading() as connection:
            return [_token(row) for row in await connection.execute(query)]

    async def tokens_for(self, tenant: TenantId, ids: Sequence[TokenId]) -> dict[TokenId, Token]:
        """Those of these tokens that the tenant has; at most 500 are asked for at once."""
        _checked(max(1, len(ids)))
        query = select(tokens).where(tokens.c.tenant_id == tenant, tokens.c.id.in_(ids))
        async with self._database.reading() as connection:
            return {row.id: _token(row) for row in await connection.execute(query)}

    async def revoke_token(self, tx: Transaction, tenant: TenantId, token: TokenId) -> Token:
        """The token counts no more, at once; a login's token ends the login. Raises NotFound."""
        condition = and_(tokens.c.tenant_id == tenant, tokens.c.id == token)
        now = self._clock.now()
        await tx.execute(update(tokens).where(condition, tokens.c.revoked_at.is_(None)).values(revoked_at=now))
        rows = await tx.rows(select(tokens).where(condition))
        if not rows:
            raise NotFound(token, "no such token")
        return _token(rows[0])

    # -- people ----------------------------------------------------------------------------------------------------

    async def create_user(
        self, tenant: TenantId, *, email: str, name: str, role: Role, password: str, places: Sequence[str] = ()
    ) -> User:
        """A new person, in a transaction of its own: hashing a password takes too long for one that others wait for.

        Raises:
            Rejected: an email address, name or password that cannot be one.
            Conflict: somebody in the installation has this address.
        """
        address, parsed, held_at = parse_email(email), parse_name(name), parse_places(places)
        password_hash = await hash_password(check_password(password))
        async with self._database.transaction() as tx:
            return await self._insert_user(tx, tenant, address, parsed, role, password_hash, held_at)

    async def has_users(self) -> bool:
        """Whether the first administrator has been made."""
        async with self._database.reading() as connection:
            return bool(await connection.scalar(select(exists().select_from(users))))

    async def user(self, tenant: TenantId, user: UserId) -> User:
        """One person. Raises NotFound, also for another tenant's."""
        query = select(users).where(users.c.tenant_id == tenant, users.c.id == user)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(user, "no such user")
        return _user(row)

    async def users(
        self, tenant: TenantId, *, after: UserId | None = None, limit: int = ITEMS_PER_QUERY_MAX
    ) -> list[User]:
        """The tenant's people, by id; the next page is `after` the last."""
        query = select(users).where(users.c.tenant_id == tenant).order_by(users.c.id).limit(_checked(limit))
        if after is not None:
            query = query.where(users.c.id > after)
        async with self._database.reading() as connection:
            return [_user(row) for row in await connection.execute(query)]

    async def users_for(self, tenant: TenantId, ids: Sequence[UserId]) -> dict[UserId, User]:
        """Those of these people that the tenant has; at most 500 are asked for at once."""
        _checked(max(1, len(ids)))
        query = select(users).where(users.c.tenant_id == tenant, users.c.id.in_(ids))
        async with self._database.reading() as connection:
            return {row.id: _user(row) for row in await connection.execute(query)}

    async def people(self, tx: Transaction, tenant: TenantId) -> list[User]:
        """Everybody who may log in, as this transaction leaves them. From here to the commit nobody else changes them."""
        await tx.in_order(users.name)
        condition = and_(users.c.tenant_id == tenant, users.c.is_disabled.is_(False))
        return [_user(row) for row in await tx.rows(select(users).where(condition).order_by(users.c.id))]

    async def change_user(
        self,
        tx: Transaction,
        tenant: TenantId,
        user: UserId,
        *,
        name: str | None = None,
        role: Role | None = None,
        places: Sequence[str] | None = None,
        is_disabled: bool | None = None,
    ) -> User:
        """The person with another name or role, shut out or let in again; None leaves one as it is.

        Raises:
            Rejected: a bad name.
            NotFound: no such user.
            Conflict: nobody could administer the tenant any more.
        """
        # One after the other: of two administrators who shut each other out, the second is the last one.
        await tx.in_order(users.name)
        row = await self._user_row(tx, tenant, user)
        await tx.execute(
            update(users)
            .where(users.c.id == user)
            .values(
                name=row.name if name is None else parse_name(name),
                role=row.role if role is None else role.value,
                places=row.places if places is None else parse_places(places),
                is_disabled=row.is_disabled if is_disabled is None else is_disabled,
            )
        )
        administrators = await tx.scalar(
            select(func.count()).where(
                users.c.tenant_id == tenant,
                users.c.role == Role.ADMINISTRATOR.value,
                users.c.places == (),
                users.c.is_disabled.is_(False),
            )
        )
        if not administrators and row.role == Role.ADMINISTRATOR.value:
            raise Conflict(user, "is the last administrator")
        return _user(await self._user_row(tx, tenant, user))

    async def set_password(self, tenant: TenantId, user: UserId, password: str) -> None:
        """Gives a person another password and ends their logins. Raises Rejected, NotFound."""
        password_hash = await hash_password(check_password(password))
        async with self._database.transaction() as tx:
            await self._user_row(tx, tenant, user)
            await tx.execute(update(users).where(users.c.id == user).values(password_hash=password_hash))
            await tx.execute(
                update(tokens)
                .where(
                    tokens.c.user_id == user,
                    tokens.c.kind == TokenKind.SESSION.value,
                    tokens.c.revoked_at.is_(None),
                )
                .values(revoked_at=self._clock.now())
            )

    # -- how -------------------------------------------------------------------------------------------------------

    async def _open_session(self, tx: Transaction, user: User, login: str, address: str) -> NewToken:
        now = self._clock.now()
        await self._attempts.succeeded(tx, user.id, login, address)
        await tx.execute(
            delete(tokens).where(tokens.c.kind == TokenKind.SESSION.value, tokens.c.expires_at < now - SESSIONS_KEPT)
        )
        return await self._insert_token(
            tx,
            user.tenant,
            kind=TokenKind.SESSION,
            name=user.name,
            role=user.role,
            user=user.id,
            expires_at=now + SESSION_LIFETIME,
        )

    def _open(self, row: Row[Any] | None) -> Invitation:
        if row is None or row.expires_at <= self._clock.now():
            raise InvitationOver
        return Invitation(tenant=row.tenant_id, role=Role(row.role), expires_at=row.expires_at)

    async def _insert_user(
        self,
        tx: Transaction,
        tenant: TenantId,
        email: str,
        name: str,
        role: Role,
        password_hash: str,
        places: tuple[str, ...] = (),
    ) -> User:
        if await tx.scalar(select(exists().where(users.c.email == email))):
            raise Conflict("email", "somebody has this address already")
        user = User(
            id=UserId(await self._fresh_id(tx, users, Prefix.USER)),
            tenant=tenant,
            email=email,
            name=name,
            role=role,
            created_at=self._clock.now(),
            places=places,
        )
        await tx.execute(
            insert(users).values(
                id=user.id,
                tenant_id=tenant,
                email=email,
                name=name,
                role=role.value,
                places=places,
                password_hash=password_hash,
                is_disabled=False,
                created_at=user.created_at,
            )
        )
        return user

    async def _insert_token(
        self,
        tx: Transaction,
        tenant: TenantId,
        *,
        kind: TokenKind,
        name: str,
        role: Role,
        user: UserId | None,
        expires_at: datetime | None,
        places: tuple[str, ...] = (),
    ) -> NewToken:
        secret = new_secret()
        token = Token(
            id=TokenId(await self._fresh_id(tx, tokens, Prefix.TOKEN)),
            tenant=tenant,
            kind=kind,
            user=user,
            name=name,
            role=role,
            created_at=self._clock.now(),
            expires_at=expires_at,
            last_used_at=None,
            revoked_at=None,
            places=places,
        )
        await tx.execute(
            insert(tokens).values(
                id=token.id,
                tenant_id=tenant,
                kind=kind.value,
                user_id=user,
                name=name,
                role=role.value,
                places=places,
                secret_digest=digest(secret),
                created_at=token.created_at,
                expires_at=expires_at,
            )
        )
        return NewToken(token=token, secret=secret)

    async def _user_row(self, tx: Transaction, tenant: TenantId, user: UserId) -> Row[Any]:
        rows = await tx.rows(select(users).where(users.c.tenant_id == tenant, users.c.id == user))
        if not rows:
            raise NotFound(user, "no such user")
        return rows[0]

    async def _fresh_id(self, tx: Transaction, table: Table, prefix: Prefix) -> str:
        """A collision is drawn again; the primary key stands behind it."""
        for _ in range(DRAWS_MAX):
            drawn = self._draw(prefix)
            if not await tx.scalar(select(exists().where(table.c.id == drawn))):
                return drawn
        raise Unavailable(
            "random numbers", f"{DRAWS_MAX} ids in a row are taken", "Look at the system's entropy source"
        )


def _invitation(secret: str) -> Select[Any]:
    try:
        return select(invitations).where(invitations.c.secret_digest == digest(secret))
    except Unauthenticated as error:
        raise InvitationOver from error


def _checked(limit: int) -> int:
    if not 1 <= limit <= ITEMS_PER_QUERY_MAX:
        raise Rejected("limit", f"{limit}, expected 1 to {ITEMS_PER_QUERY_MAX}")
    return limit


def _user(row: Row[Any], prefix: str = "") -> User:
    at = {name.removeprefix(prefix): value for name, value in row._mapping.items() if name.startswith(prefix)}  # noqa: SLF001  # public in SQLAlchemy
    return User(
        id=at["id"],
        tenant=at["tenant_id"],
        email=at["email"],
        name=at["name"],
        role=Role(at["role"]),
        created_at=at["created_at"],
        is_disabled=at["is_disabled"],
        places=tuple(at["places"]),
    )


def _token(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        tenant=row.tenant_id,
        kind=TokenKind(row.kind),
        user=row.user_id,
        name=row.name,
        role=Role(row.role),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        places=tuple(row.places),
    )
