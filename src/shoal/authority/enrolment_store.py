"""Enrolment in the database: secrets that are good once, and the certificates that come of them in one transaction."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Row, delete, func, insert, select, update

from shoal.authority.certificate_store import Certificates, Issued
from shoal.authority.enrolment import (
    DAY,
    Enrolment,
    NewEnrolment,
    check_rate,
    check_renewal,
    check_secret,
    check_shown,
    checked_enrolment_lifetime,
    digest_of,
    digest_of_key,
    new_secret,
)
from shoal.authority.request import SigningRequest, check_names, parse_name
from shoal.authority.tables import enrolments
from shoal.clock import Clock
from shoal.errors import Conflict, NotFound
from shoal.ids import Prefix, TenantId, new_id
from shoal.storage.database import Database, Transaction

# Devices that wait for their first certificate at a time: a large delivery.
ENROLMENTS_PER_TENANT_MAX: Final = 10_000
# On one page.
ITEMS_PER_PAGE_MAX: Final = 500


class Enrolments:
    """How devices get certificates by themselves. Methods that write take the transaction to write in."""

    def __init__(self, database: Database, certificates: Certificates, clock: Clock) -> None:
        self._database = database
        self._certificates = certificates
        self._clock = clock

    async def create(
        self,
        tx: Transaction,
        tenant: TenantId,
        endpoint: str,
        *,
        lifetime: timedelta | None = None,
        by: str | None = None,
    ) -> NewEnrolment:
        """Leave for a device to enrol, with a secret that nobody can read again. An older one of that device is void.

        Raises:
            Rejected: a name or a lifetime that is none.
            Conflict: very many wait already.
        """
        name, long, now = parse_name(endpoint), checked_enrolment_lifetime(lifetime), self._clock.now()
        of = enrolments.c
        mine = of.tenant_id == tenant
        await tx.execute(delete(enrolments).where(mine, (of.endpoint == name) | (of.expires_at <= now)))
        if await tx.scalar(select(func.count()).where(mine)) >= ENROLMENTS_PER_TENANT_MAX:
            raise Conflict("enrolments", f"{ENROLMENTS_PER_TENANT_MAX} devices wait already")
        secret = new_secret()
        made = Enrolment(
            id=new_id(Prefix.ENROLMENT),
            tenant=tenant,
            endpoint=name,
            secret_digest=digest_of(secret),
            expires_at=now + long,
            used_for=None,
            created_at=now,
            created_by=by,
        )
        row = {name: getattr(made, name) for name in Enrolment.__slots__}
        await tx.execute(insert(enrolments).values(tenant_id=row.pop("tenant"), **row))
        return NewEnrolment(made, secret)

    async def several(self, tenant: TenantId, *, after: str = "", limit: int = ITEMS_PER_PAGE_MAX) -> list[Enrolment]:
        """Leave that was given and is not out of date, by id; what was used is among it."""
        of = enrolments.c
        query = select(enrolments).where(of.tenant_id == tenant, of.id > after, of.expires_at > self._clock.now())
        async with self._database.reading() as connection:
            return [_enrolment(row) for row in await connection.execute(query.order_by(of.id).limit(limit))]

    async def remove(self, tx: Transaction, tenant: TenantId, id_: str) -> None:
        """Nobody enrols with it any more. Raises NotFound."""
        of = enrolments.c
        gone = await tx.execute(delete(enrolments).where(of.tenant_id == tenant, of.id == id_))
        if not gone.rowcount:
            raise NotFound(id_, "no such enrolment")

    async def by_secret(
        self,
        tx: Transaction,
        tenant: TenantId,
        authority: str | None,
        endpoint: str,
        secret: str,
        request: SigningRequest,
    ) -> Issued:
        """The first certificate of a device that shows its secret (RFC 7030 §4.2.1).

        Raises:
            Unproved: not its secret. Rejected: names that are not its own. TooMany: asks again and again.
            NotFound, Conflict: there is no authority that issues.
        """
        of = enrolments.c
        query = select(enrolments).where(of.tenant_id == tenant, of.endpoint == endpoint)
        row = (await tx.execute(query.with_for_update())).first()
        known = check_secret(None if row is None else _enrolment(row), secret, request, self._clock.now())
        issued = await self.of_device(tx, tenant, authority, endpoint, request, by=known.id)
        await tx.execute(update(enrolments).where(of.id == known.id).values(used_for=digest_of_key(request.key)))
        return issued

    async def by_certificate(
        self, tx: Transaction, tenant: TenantId, authority: str | None, fingerprint: str, request: SigningRequest
    ) -> Issued:
        """The next certificate of a device that shows the one it has (RFC 7030 §4.2.2).

        Raises:
            Unproved: no certificate of ours that counts. Rejected: names other than its own. TooMany: asks again and
                again. NotFound, Conflict: there is no authority that issues.
        """
        found = await self._certificates.of_fingerprint(tx, fingerprint)
        shown = check_shown(found, tenant, self._clock.now())
        check_renewal(shown, request)
        await self._check_rate(tx, tenant, shown.subject)
        return await self._certificates.issue_to_device(
            tx, tenant, authority, shown.subject, request.key, uris=shown.names, by=shown.id
        )

    async def of_device(
        self,
        tx: Transaction,
        tenant: TenantId,
        authority: str | None,
        endpoint: str,
        request: SigningRequest,
        *,
        by: str | None,
    ) -> Issued:
        """A certificate for a device that has proved elsewhere who it is.

        Raises:
            Rejected: names that are not its own. TooMany: asks again and again.
            NotFound, Conflict: there is no authority that issues.
        """
        # The names of the certificate that it renews (RFC 7030 §4.2.2): which of its own that is, its session does not say.
        check_names(request, endpoint, await self._certificates.names_of(tx, tenant, endpoint))
        await self._check_rate(tx, tenant, endpoint)
        return await self._certificates.issue_to_device(
            tx, tenant, authority, endpoint, request.key, uris=request.uris, by=by
        )

    async def _check_rate(self, tx: Transaction, tenant: TenantId, endpoint: str) -> None:
        # One after the other: two at once would each count without the other.
        await tx.in_order(f"enrolment {tenant}")
        check_rate(await self._certificates.issued_since(tx, tenant, endpoint, self._clock.now() - DAY))


def _enrolment(row: Row[Any]) -> Enrolment:
    members = dict(row._mapping)  # noqa: SLF001  # public in SQLAlchemy, in spite of its name
    return Enrolment(**members | {"tenant": members.pop("tenant_id")})
