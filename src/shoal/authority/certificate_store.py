"""Certificates in the database: what an authority issued, renewed and took back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Row, func, insert, select, tuple_, update
from sqlalchemy.sql.expression import literal

from shoal.authority import issuing
from shoal.authority.authority import (
    Authority,
    IssuedCertificate,
    Reason,
    Standing,
    State,
    Usage,
    fingerprint_of,
    pem_of,
)
from shoal.authority.issuing import DEVICE_LIFETIME, PublicKey, ServerName, checked_lifetime, curve_of
from shoal.authority.request import parse_name, parse_server_names, parse_uris
from shoal.authority.store import Authorities
from shoal.authority.tables import authorities, issued_certificates
from shoal.clock import Clock
from shoal.errors import Conflict, NotFound, Rejected
from shoal.ids import Prefix, TenantId, new_id
from shoal.storage.database import Database, Timestamp, Transaction

# Certificates on one page.
ITEMS_PER_PAGE_MAX: Final = 500
# On one revocation list: a fleet of 50,000 whose every device was replaced twice, in 4 MB.
REVOKED_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class Issued:
    """A new certificate, and what its holder shows with it: the authorities between it and the root."""

    certificate: IssuedCertificate
    issuers: tuple[bytes, ...]

    @property
    def pem(self) -> str:
        return pem_of(self.certificate.der, *self.issuers)


class Certificates:
    """What the authorities of all tenants issued. Methods that write take the transaction to write in."""

    def __init__(self, database: Database, authorities: Authorities, clock: Clock) -> None:
        self._database = database
        self._authorities = authorities
        self._clock = clock

    async def issue_to_device(
        self,
        tx: Transaction,
        tenant: TenantId,
        authority: str | None,
        endpoint: str,
        key: PublicKey,
        *,
        uris: Sequence[str] = (),
        lifetime: timedelta | None = None,
        by: str | None = None,
    ) -> Issued:
        """A certificate for a device's key. An authority that was rolled over lets its successor issue.

        Raises:
            Rejected: names, a key or a lifetime that cannot be; the authority's own time is over.
            NotFound: no such authority. Conflict: it issues nothing any more.
        """
        name, more = parse_name(endpoint), parse_uris(uris)
        long = checked_lifetime(lifetime, DEVICE_LIFETIME)
        issuer = await self._authorities.to_issue(tx, tenant, authority)
        signer = await self._authorities.signer(tx, issuer)
        made = issuing.device_certificate(signer, key, name, more, long, self._clock.now())
        return await self._keep(tx, issuer, Usage.DEVICE, name, more, made, by)

    async def issue_to_server(
        self,
        tx: Transaction,
        tenant: TenantId,
        authority: str | None,
        names: Sequence[str],
        key: PublicKey,
        *,
        lifetime: timedelta | None = None,
        by: str | None = None,
    ) -> Issued:
        """A certificate for a server that devices connect to, under DNS names and IP addresses.

        Raises:
            Rejected: names, a key or a lifetime that cannot be; the authority's own time is over.
            NotFound: no such authority. Conflict: it issues nothing any more.
        """
        known = parse_server_names(names)
        long = checked_lifetime(lifetime, DEVICE_LIFETIME)
        issuer = await self._authorities.to_issue(tx, tenant, authority)
        signer = await self._authorities.signer(tx, issuer)
        made = issuing.server_certificate(signer, key, known, long, self._clock.now())
        return await self._keep(tx, issuer, Usage.SERVER, str(known[0]), _texts(known), made, by)

    async def renew(
        self, tx: Transaction, tenant: TenantId, id_: str, *, lifetime: timedelta | None = None, by: str | None = None
    ) -> Issued:
        """Another certificate for the same key and names; the old one goes on until it ends.

        Raises:
            NotFound: no such certificate.
            Conflict: it is revoked, or its authority issues nothing any more.
        """
        old = await self._to_change(tx, tenant, id_)
        if old.standing(self._clock.now()) is Standing.REVOKED:
            raise Conflict(id_, "is revoked: its key is not to be trusted with another one")
        key = x509.load_der_x509_certificate(old.der).public_key()
        curve_of(key)
        assert isinstance(key, PublicKey)  # noqa: S101  # that is what curve_of lets pass
        if old.usage is Usage.SERVER:
            return await self.issue_to_server(tx, tenant, old.authority, old.names, key, lifetime=lifetime, by=by)
        return await self.issue_to_device(
            tx, tenant, old.authority, old.subject, key, uris=old.names, lifetime=lifetime, by=by
        )

    async def revoke(self, tx: Transaction, tenant: TenantId, id_: str, reason: Reason) -> IssuedCertificate:
        """It counts no more, from now on and for ever. Once more changes nothing.

        Raises:
            NotFound: no such certificate.
        """
        old = await self._to_change(tx, tenant, id_)
        if old.revoked_at is not None:
            return old
        now = self._clock.now()
        await tx.execute(
            update(issued_certificates).where(issued_certificates.c.id == id_).values(revoked_at=now, reason=reason)
        )
        tx.poke(issued_certificates.name)
        return replace(old, revoked_at=now, reason=reason)

    async def one(self, tenant: TenantId, id_: str) -> IssuedCertificate:
        """One certificate. Raises NotFound: the tenant has none of that id."""
        async with self._database.reading() as connection:
            return _found((await connection.execute(_one(tenant, id_))).first(), id_)

    async def of_fingerprint(self, tx: Transaction, fingerprint: str) -> IssuedCertificate | None:
        """The certificate with this SHA-256, of any tenant, while its authority vouches for it.

        Nobody revokes it from here to the commit.
        """
        query = (
            select(issued_certificates)
            .join(authorities, authorities.c.id == issued_certificates.c.authority_id)
            .where(issued_certificates.c.fingerprint == fingerprint, authorities.c.state != State.RETIRED)
            .with_for_update(of=issued_certificates)
        )
        row = (await tx.execute(query)).first()
        return None if row is None else _certificate(row)

    async def several(
        self,
        tenant: TenantId,
        *,
        authority: str | None = None,
        subject: str | None = None,
        expires_after: datetime | None = None,
        expires_before: datetime | None = None,
        after: tuple[datetime, str] | None = None,
        limit: int = ITEMS_PER_PAGE_MAX,
    ) -> list[IssuedCertificate]:
        """Certificates in the order in which they end; the next page is `after` the last one's end and id.

        Raises:
            Rejected: a limit that is none.
        """
        if not 1 <= limit <= ITEMS_PER_PAGE_MAX:
            raise Rejected("limit", f"{limit}, expected 1 to {ITEMS_PER_PAGE_MAX}")
        of = issued_certificates.c
        query = select(issued_certificates).where(of.tenant_id == tenant).order_by(of.not_after, of.id).limit(limit)
        if authority is not None:
            query = query.where(of.authority_id == authority)
        if subject is not None:
            query = query.where(of.subject == subject)
        if expires_after is not None:
            query = query.where(of.not_after >= expires_after)
        if expires_before is not None:
            query = query.where(of.not_after < expires_before)
        if after is not None:
            # In a tuple a bare moment would not take the type of its column.
            query = query.where(tuple_(of.not_after, of.id) > tuple_(literal(after[0], Timestamp()), literal(after[1])))
        async with self._database.reading() as connection:
            return [_certificate(row) for row in await connection.execute(query)]

    async def issued_since(self, tx: Transaction, tenant: TenantId, endpoint: str, since: datetime) -> int:
        """How many certificates this device has got since then."""
        of = issued_certificates.c
        query = select(func.count()).where(of.tenant_id == tenant, of.subject == endpoint, of.issued_at >= since)
        return int(await tx.scalar(query.where(of.usage == Usage.DEVICE)) or 0)

    async def names_of(self, tx: Transaction, tenant: TenantId, endpoint: str) -> set[str]:
        """The further names in what this device has and what still counts."""
        of = issued_certificates.c
        mine = (of.tenant_id == tenant) & (of.subject == endpoint) & (of.usage == Usage.DEVICE)
        query = select(of.names).where(mine, of.revoked_at.is_(None), of.not_after > self._clock.now())
        return {name for row in await tx.rows(query) for name in row.names}

    async def revocation_list(self, tenant: TenantId, authority: str) -> bytes:
        """The list, in DER, of what this authority took back and what would else still count.

        Raises:
            NotFound: no such authority.
            Conflict: its key is lost, or more is revoked than fits a list.
        """
        now = self._clock.now()
        of = issued_certificates.c
        query = (
            select(of.serial, of.revoked_at, of.reason)
            .where(of.authority_id == authority, of.revoked_at.is_not(None), of.not_after > now)
            .order_by(of.revoked_at, of.id)
            .limit(REVOKED_MAX + 1)
        )
        async with self._database.transaction() as tx:
            known = await self._authorities.to_change(tx, tenant, authority)
            signer = await self._authorities.signer(tx, known)
            rows = await tx.rows(query)
        if len(rows) > REVOKED_MAX:
            raise Conflict(authority, f"has revoked more than {REVOKED_MAX}: roll it over")
        revoked = ((int(row.serial, 16), row.revoked_at, row.reason) for row in rows)
        return issuing.revocation_list(signer, revoked, now).public_bytes(Encoding.DER)

    async def trusted(self, tenant: TenantId) -> list[bytes]:
        """What the devices of a tenant are to trust, in DER: every authority that counts, and those above it."""
        known = [one for one in await self._authorities.several(tenant) if one.state is not State.RETIRED]
        # The newest first: that is who issues.
        return list(dict.fromkeys(der for one in reversed(known) for der in one.chain))

    async def _keep(
        self,
        tx: Transaction,
        issuer: Authority,
        usage: Usage,
        subject: str,
        names: Sequence[str],
        made: x509.Certificate,
        by: str | None,
    ) -> Issued:
        der = made.public_bytes(Encoding.DER)
        kept = IssuedCertificate(
            id=new_id(Prefix.CERTIFICATE),
            tenant=issuer.tenant,
            authority=issuer.id,
            usage=usage,
            subject=subject,
            names=tuple(names),
            serial=f"{made.serial_number:x}",
            fingerprint=fingerprint_of(der),
            der=der,
            not_before=made.not_valid_before_utc,
            not_after=made.not_valid_after_utc,
            issued_at=self._clock.now(),
            issued_by=by,
        )
        row = {name: getattr(kept, name) for name in IssuedCertificate.__slots__}
        row |= {"tenant_id": row.pop("tenant"), "authority_id": row.pop("authority")}
        await tx.execute(insert(issued_certificates).values(**row))
        return Issued(kept, issuer.issuers)

    async def _to_change(self, tx: Transaction, tenant: TenantId, id_: str) -> IssuedCertificate:
        return _found((await tx.execute(_one(tenant, id_).with_for_update())).first(), id_)


def _texts(names: Sequence[ServerName]) -> tuple[str, ...]:
    return tuple(str(name) for name in names)


def _one(tenant: TenantId, id_: str) -> Any:
    of = issued_certificates.c
    return select(issued_certificates).where(of.tenant_id == tenant, of.id == id_)


def _found(row: Row[Any] | None, id_: str) -> IssuedCertificate:
    if row is None:
        raise NotFound(id_, "no such certificate")
    return _certificate(row)


def _certificate(row: Row[Any]) -> IssuedCertificate:
    members = dict(row._mapping)  # noqa: SLF001  # public in SQLAlchemy, in spite of its name
    return IssuedCertificate(
        **members
        | {
            "tenant": members.pop("tenant_id"),
            "authority": members.pop("authority_id"),
            "usage": Usage(row.usage),
            "names": tuple(row.names),
            "reason": None if row.reason is None else Reason(row.reason),
        }
    )


async def revoked(database: Database, now: datetime, at_most: int) -> list[bytes]:
    """SHA-256 of the certificates that were taken back and have not ended by themselves, the last first."""
    columns = issued_certificates.c
    query = (
        select(columns.fingerprint)
        .where(columns.revoked_at.is_not(None), columns.not_after > now)
        .order_by(columns.revoked_at.desc(), columns.id)
        .limit(at_most)
    )
    async with database.reading() as connection:
        return [bytes.fromhex(fingerprint) for fingerprint in await connection.scalars(query)]
