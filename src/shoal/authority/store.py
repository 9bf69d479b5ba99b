"""Certificate authorities in the database: their keys encrypted, all that hangs on them in the same transaction."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import Row, func, insert, select, update

from shoal.authority import issuing
from shoal.authority.authority import Authority, DeviceTrust, State, Trigger, after, pem_of
from shoal.authority.issuing import ROOT_LIFETIME, ROOT_LIFETIME_MAX, Curve, PrivateKey, Signer, checked_lifetime
from shoal.authority.request import parse_chain, parse_name
from shoal.authority.tables import authorities
from shoal.clock import Clock
from shoal.errors import Conflict, NotFound, Rejected
from shoal.ids import Prefix, TenantId, new_id
from shoal.storage.database import Database, Transaction
from shoal.storage.secrets import Vault

# A root, an intermediate and their successors for twenty years of yearly changes.
AUTHORITIES_PER_TENANT_MAX: Final = 50


class Authorities:
    """The authorities of all tenants. Methods that write take the transaction to write in.

    `trust` is told whose word counts; without it nobody is let in by certificates.
    """

    def __init__(self, database: Database, vault: Vault, clock: Clock, trust: DeviceTrust | None = None) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self.trust: Final = trust

    async def create(
        self,
        tx: Transaction,
        tenant: TenantId,
        name: str,
        *,
        curve: Curve = Curve.P256,
        lifetime: timedelta | None = None,
        under: str | None = None,
        by: str | None = None,
    ) -> Authority:
        """A new root; or, `under` another one, an intermediate on its curve that lives no longer than it.

        Raises:
            Rejected: a name or a lifetime that is none.
            NotFound: the tenant has no authority to put it under.
            Conflict: that one may not issue, or is an intermediate itself; or there are very many.
        """
        called, now = parse_name(name), self._clock.now()
        long = checked_lifetime(lifetime, ROOT_LIFETIME, ROOT_LIFETIME_MAX)
        id_ = new_id(Prefix.AUTHORITY)
        if under is None:
            return await self._add(tx, tenant, id_, called, issuing.root(called, id_, curve, long, now), (), None, by)
        above = await self.to_issue(tx, tenant, under)
        signer = self._beneath(above, await self.signer(tx, above), called, id_, long)
        return await self._add(tx, tenant, id_, called, signer, above.chain, None, by)

    async def take_in(
        self, tx: Transaction, tenant: TenantId, name: str, certificate: str, key: str, *, by: str | None = None
    ) -> Authority:
        """An authority that was made elsewhere, as a rule beneath a root whose key is kept away from every network.

        `certificate` is PEM, its own first, then those above it; `key` is its key in PEM, without a passphrase.

        Raises:
            Rejected: not such a chain, or another's key; or its time is over.
            Conflict: it is there already; or there are very many.
        """
        chain, private = parse_chain(certificate, key)
        now = self._clock.now()
        if not all(one.not_valid_before_utc <= now < one.not_valid_after_utc for one in chain):
            raise Rejected("certificate", "not valid at this moment")
        ders = [one.public_bytes(Encoding.DER) for one in chain]
        for known in await self._of_tenant(tx, tenant):
            if known.chain[0] == ders[0]:
                raise Conflict(known.id, "is this authority")
        id_ = new_id(Prefix.AUTHORITY)
        return await self._add(tx, tenant, id_, parse_name(name), Signer(chain[0], private), tuple(ders[1:]), None, by)

    async def roll_over(
        self,
        tx: Transaction,
        tenant: TenantId,
        id_: str,
        *,
        lifetime: timedelta | None = None,
        under: str | None = None,
        by: str | None = None,
    ) -> Authority:
        """A successor with a new key takes its place: the old one vouches for what it issued, until it is retired.

        The successor stands where the old one stood: a root, or `under` another authority of the tenant.

        Raises:
            NotFound: no such authority.
            Conflict: it has a successor already, or does not issue any more.
            Rejected: an intermediate, and nothing said about where its successor stands.
        """
        old = await self.to_change(tx, tenant, id_)
        state = after(old, Trigger.ROLL_OVER)
        if under is None and len(old.chain) > 1:
            raise Rejected("under", "an intermediate: name the authority that its successor is to be under")
        curve = issuing.curve_of(old.certificate.public_key())
        now = self._clock.now()
        long, new = checked_lifetime(lifetime, ROOT_LIFETIME, ROOT_LIFETIME_MAX), new_id(Prefix.AUTHORITY)
        if under is None:
            signer, above = issuing.root(old.name, new, curve, long, now), tuple[bytes, ...]()
        else:
            parent = await self.to_issue(tx, tenant, under)
            signer = self._beneath(parent, await self.signer(tx, parent), old.name, new, long)
            above = parent.chain
        await tx.execute(update(authorities).where(authorities.c.id == id_).values(state=state))
        return await self._add(tx, tenant, new, old.name, signer, above, id_, by)

    async def retire(self, tx: Transaction, tenant: TenantId, id_: str) -> Authority:
        """Nothing that it issued counts any more, from now on.

        Raises:
            NotFound: no such authority.
            Conflict: it is retired already.
        """
        old = await self.to_change(tx, tenant, id_)
        state = after(old, Trigger.RETIRE)
        await tx.execute(update(authorities).where(authorities.c.id == id_).values(state=state))
        if self.trust is not None:
            await self.trust.distrust(tx, old)
        return await self.to_change(tx, tenant, id_)

    async def several(self, tenant: TenantId) -> list[Authority]:
        """All authorities of a tenant, oldest first."""
        async with self._database.reading() as connection:
            return _in_order(list(await connection.execute(_of(tenant))))

    async def one(self, tenant: TenantId, id_: str) -> Authority:
        """One authority. Raises NotFound: the tenant has none of that id."""
        async with self._database.reading() as connection:
            return _found((await connection.execute(_one(tenant, id_))).first(), id_)

    async def tenant_of(self, id_: str) -> TenantId | None:
        """Whose authority that is, None when there is none of that id."""
        async with self._database.reading() as connection:
            found = await connection.scalar(select(authorities.c.tenant_id).where(authorities.c.id == id_))
            return None if found is None else TenantId(found)

    async def trusted_everywhere(self) -> list[bytes]:
        """The certificates in DER of all authorities, of all tenants, that vouch for devices now."""
        query = select(authorities).where(authorities.c.state != State.RETIRED).order_by(authorities.c.id)
        async with self._database.reading() as connection:
            return [_authority(row).chain[0] for row in await connection.execute(query)]

    async def to_change(self, tx: Transaction, tenant: TenantId, id_: str) -> Authority:
        """One authority, which nobody else changes from here to the commit. Raises NotFound."""
        return _found((await tx.execute(_one(tenant, id_).with_for_update())).first(), id_)

    async def to_issue(self, tx: Transaction, tenant: TenantId, id_: str | None) -> Authority:
        """The authority that issues for this one: itself, or the last of its successors.

        None: the tenant's newest intermediate, or where it has none, its newest root.

        Raises:
            NotFound: the tenant has no such authority, or none at all.
            Conflict: it is retired, without a successor.
        """
        known = await self._of_tenant(tx, tenant)
        if id_ is None:
            able = [one for one in known if one.state is State.CURRENT and one.has_key]
            if not able:
                raise NotFound("authority", "there is none that issues")
            return max(able, key=lambda one: (len(one.chain) > 1, one.created_at, one.id))
        found = next((one for one in known if one.id == id_), None)
        if found is None:
            raise NotFound(id_, "no such authority")
        # A line of successors has no more members than there are authorities.
        for _ in known:
            if found.state is State.CURRENT:
                return found
            found = next((one for one in known if one.succeeds == found.id), None) or found
        raise Conflict(id_, f"is {found.state.value}: it issues nothing", state=found.state)

    async def signer(self, tx: Transaction, authority: Authority) -> Signer:
        """An authority with its key.

        Raises:
            Conflict: the key is lost.
            Unavailable: it is damaged, or under another master key.
        """
        secret = await tx.scalar(select(authorities.c.key_encrypted).where(authorities.c.id == authority.id))
        if secret is None:
            raise Conflict(authority.id, "its key was lost with an earlier master key: roll it over")
        key = serialization.load_der_private_key(self._vault.decrypt(secret, authority.id), password=None)
        issuing.curve_of(key)
        return Signer(authority.certificate, key)  # type: ignore[arg-type]  # curve_of has looked

    def _beneath(self, above: Authority, signer: Signer, name: str, id_: str, lifetime: timedelta) -> Signer:
        levels = above.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
        if levels == 0:
            raise Conflict(above.id, "signs devices and servers, and no other authorities")
        return issuing.intermediate(signer, name, id_, lifetime, self._clock.now())

    async def _add(
        self,
        tx: Transaction,
        tenant: TenantId,
        id_: str,
        name: str,
        signer: Signer,
        above: tuple[bytes, ...],
        succeeds: str | None,
        by: str | None,
    ) -> Authority:
        count = await tx.scalar(select(func.count()).where(authorities.c.tenant_id == tenant))
        if count >= AUTHORITIES_PER_TENANT_MAX:
            raise Conflict("authorities", f"there are {AUTHORITIES_PER_TENANT_MAX} already")
        authority = Authority(
            id=id_,
            tenant=tenant,
            name=name,
            state=State.CURRENT,
            chain=(signer.certificate.public_bytes(Encoding.DER), *above),
            has_key=True,
            succeeds=succeeds,
            created_at=self._clock.now(),
            created_by=by,
        )
        await tx.execute(
            insert(authorities).values(
                id=id_,
                tenant_id=tenant,
                name=name,
                state=authority.state,
                chain=pem_of(*authority.chain),
                key_encrypted=self._vault.encrypt(_der_of(signer.key), id_),
                succeeds=succeeds,
                created_at=authority.created_at,
                created_by=by,
            )
        )
        tx.poke(authorities.name)
        if self.trust is not None:
            await self.trust.trust(tx, authority)
        return authority

    async def _of_tenant(self, tx: Transaction, tenant: TenantId) -> list[Authority]:
        return _in_order(await tx.rows(_of(tenant)))


def _of(tenant: TenantId) -> Any:
    return select(authorities).where(authorities.c.tenant_id == tenant).limit(AUTHORITIES_PER_TENANT_MAX)


def _in_order(rows: Sequence[Row[Any]]) -> list[Authority]:
    """Oldest first; of those of one moment, the one that stands above the other."""
    return sorted(map(_authority, rows), key=lambda one: (one.created_at, len(one.chain), one.id))


def _one(tenant: TenantId, id_: str) -> Any:
    return select(authorities).where(authorities.c.tenant_id == tenant, authorities.c.id == id_)


def _found(row: Row[Any] | None, id_: str) -> Authority:
    if row is None:
        raise NotFound(id_, "no such authority")
    return _authority(row)


def _authority(row: Row[Any]) -> Authority:
    chain = x509.load_pem_x509_certificates(row.chain.encode())
    return Authority(
        id=row.id,
        tenant=row.tenant_id,
        name=row.name,
        state=State(row.state),
        chain=tuple(one.public_bytes(Encoding.DER) for one in chain),
        has_key=row.key_encrypted is not None,
        succeeds=row.succeeds,
        created_at=row.created_at,
        created_by=row.created_by,
    )


def _der_of(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
