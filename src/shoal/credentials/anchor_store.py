"""Trust anchors in the database. The gateway follows them by their version, and hears only of those that are proved."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from sqlalchemy import JSON, ColumnElement, Row, Text, case, cast, exists, func, insert, select, type_coerce, update

from shoal.clock import Clock
from shoal.credentials.anchor import (
    ANCHORS_PER_NAME_MAX,
    ANCHORS_PER_TENANT_MAX,
    CHALLENGE_LASTS,
    AnchorState,
    TrustAnchor,
    ZeroTouch,
    check_certificate,
    check_signature,
    new_challenge,
)
from shoal.credentials.credential import LIVING, Mode
from shoal.credentials.tables import trust_anchors
from shoal.credentials.x509 import Certificate, check_authority, parse_certificate, read_certificate
from shoal.errors import Conflict, NotFound, Rejected
from shoal.ids import Prefix, TenantId, TrustAnchorId, new_id
from shoal.storage.database import Database, Transaction
from shoal.storage.directory import credentials

# What stands on a screen beside it.
NAME_CHARACTERS_MAX: Final = 80
_IS_LIVING: Final = trust_anchors.c.state != AnchorState.RETIRED.value
# Who signed the certificate of a credential. Facts are kept as text, in which SQLite finds a member as it is.
_CERTIFICATE: Final = cast(credentials.c.certificate, JSON().with_variant(Text(), "sqlite"))
_ISSUER: Final = type_coerce(_CERTIFICATE, JSON)["issuer"].as_string()
_OTHER_ISSUER: Final = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A proved anchor as the gateway needs it."""

    id: TrustAnchorId
    tenant: TenantId
    der: bytes
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorUse:
    """How many devices stand on which trust anchor, by the certificates that are pinned or that they showed last.

    `devices` counts those whose certificate names the anchor as its issuer; anchors of one name have the same number.
    `elsewhere`: an issuer that is no anchor, as an intermediate is; which anchor is above it was not kept. `unseen`: no
    certificate yet.
    """

    devices: dict[TrustAnchorId, int]
    elsewhere: int
    unseen: int


class TrustAnchors:
    """Whom tenants trust. Methods that write take the transaction to write in."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def anchor(self, tenant: TenantId, anchor: TrustAnchorId) -> TrustAnchor:
        """One of the tenant's. Raises NotFound, also for another tenant's."""
        query = select(trust_anchors).where(trust_anchors.c.tenant_id == tenant, trust_anchors.c.id == anchor)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(anchor, "no such trust anchor")
        return _anchor(row)

    async def anchors(self, tenant: TenantId) -> list[TrustAnchor]:
        """All of the tenant's, the newest first; those that are retired, too."""
        query = select(trust_anchors).where(trust_anchors.c.tenant_id == tenant)
        async with self._database.reading() as connection:
            rows = await connection.execute(query.order_by(trust_anchors.c.created_at.desc(), trust_anchors.c.id))
            return [_anchor(row) for row in rows]

    async def use(self, tenant: TenantId) -> AnchorUse:
        """How many of the tenant's devices stand on which of its anchors."""
        names = {anchor.id: anchor.certificate.subject for anchor in await self.anchors(tenant)}
        signer = case((_ISSUER.in_(sorted(set(names.values()))), _ISSUER), (_ISSUER.is_not(None), _OTHER_ISSUER))
        living = (
            select(credentials.c.device_id, signer.label("signer"))
            .where(
                credentials.c.tenant_id == tenant,
                credentials.c.mode == Mode.X509.value,
                credentials.c.state.in_(sorted(LIVING)),
            )
            .subquery()
        )
        counted = select(living.c.signer, func.count(living.c.device_id.distinct()).label("devices"))
        async with self._database.reading() as connection:
            rows = await connection.execute(counted.group_by(living.c.signer))
            found = {row.signer: row.devices for row in rows}
        return AnchorUse(
            devices={id_: found.get(name, 0) for id_, name in names.items()},
            elsewhere=found.get(_OTHER_ISSUER, 0),
            unseen=found.get(None, 0),
        )

    async def create(
        self,
        tx: Transaction,
        tenant: TenantId,
        *,
        name: str,
        certificate: str,
        zero_touch: ZeroTouch = ZeroTouch.OFF,
        kind: str = "sensor",
        is_ours: bool = False,
        by: str | None = None,
    ) -> TrustAnchor:
        """Takes an authority in: trusted at once when it `is_ours`, made by our own CA, and otherwise when it is proved.

        Raises:
            Rejected: no certificate of an authority, or it has expired; a name that cannot be one.
            Conflict: the tenant has it already, or has enough; another tenant has this authority.
        """
        given = parse_certificate(certificate)
        check_authority(given)
        now = self._clock.now()
        if given.facts.not_after <= now:
            raise Rejected("certificate", "it has expired", not_after=given.facts.not_after.isoformat())
        version = await _next_version(tx)
        mine = (trust_anchors.c.tenant_id == tenant) & _IS_LIVING
        if await _is_there(tx, mine & (trust_anchors.c.der == given.der)):
            raise Conflict("certificate", "is a trust anchor already")
        if await _count(tx, mine) >= ANCHORS_PER_TENANT_MAX:
            raise Conflict("trust anchors", f"at most {ANCHORS_PER_TENANT_MAX}: retire one")
        if await _count(tx, mine & (trust_anchors.c.subject_digest == given.subject_digest)) >= ANCHORS_PER_NAME_MAX:
            raise Conflict("certificate", f"{ANCHORS_PER_NAME_MAX} trust anchors have this name: retire one")
        if is_ours:
            await _check_nobody_elses(tx, tenant, given)
        id_ = TrustAnchorId(new_id(Prefix.TRUST_ANCHOR))
        await tx.execute(
            insert(trust_anchors).values(
                id=id_,
                tenant_id=tenant,
                name=parse_name(name),
                state=(AnchorState.TRUSTED if is_ours else AnchorState.UNPROVED).value,
                der=given.der,
                certificate=given.facts,
                subject_digest=given.subject_digest,
                authority_digest=given.authority_digest,
                challenge=None if is_ours else new_challenge(),
                challenge_expires_at=None if is_ours else now + CHALLENGE_LASTS,
                zero_touch=zero_touch.value,
                kind=kind,
                created_at=now,
                created_by=by,
                version=version,
            )
        )
        return _anchor(await _held(tx, tenant, id_))

    async def prove(
        self,
        tx: Transaction,
        tenant: TenantId,
        anchor: TrustAnchorId,
        *,
        certificate: str | None = None,
        signature: str | None = None,
    ) -> TrustAnchor:
        """The anchor is trusted from now on: its key has answered the challenge, by a certificate or by a signature.

        Raises:
            Rejected: neither or both, or not by its key.
            NotFound: no such anchor.
            Conflict: it is retired, the challenge is too old, or another tenant has proved this authority.
        """
        version = await _next_version(tx)
        row = await _held(tx, tenant, anchor)
        if row.state == AnchorState.TRUSTED.value:
            return _anchor(row)
        now = self._clock.now()
        if row.state == AnchorState.RETIRED.value or row.challenge is None or row.challenge_expires_at <= now:
            raise Conflict(anchor, "its challenge is over: take the certificate in again")
        given = read_certificate(x509.load_der_x509_certificate(row.der))
        if (certificate is None) == (signature is None):
            raise Rejected("proof", "either a certificate or a signature")
        if certificate is not None:
            check_certificate(given, row.challenge, parse_certificate(certificate), now)
        if signature is not None:
            check_signature(given, row.challenge, signature)
        await _check_nobody_elses(tx, tenant, given)
        await _change(tx, anchor, version, state=AnchorState.TRUSTED.value, challenge=None, challenge_expires_at=None)
        return _anchor(await _held(tx, tenant, anchor))

    async def change(
        self,
        tx: Transaction,
        tenant: TenantId,
        anchor: TrustAnchorId,
        *,
        name: str | None = None,
        zero_touch: ZeroTouch | None = None,
        kind: str | None = None,
    ) -> TrustAnchor:
        """Another name, or other ways with unknown devices; None leaves one as it is. Raises Rejected and NotFound."""
        version = await _next_version(tx)
        row = await _held(tx, tenant, anchor)
        await _change(
            tx,
            anchor,
            version,
            name=row.name if name is None else parse_name(name),
            zero_touch=row.zero_touch if zero_touch is None else zero_touch.value,
            kind=row.kind if kind is None else kind,
        )
        return _anchor(await _held(tx, tenant, anchor))

    async def of_certificate(self, tx: Transaction, tenant: TenantId, der: bytes) -> TrustAnchorId | None:
        """The tenant's living anchor with this certificate."""
        mine = (trust_anchors.c.tenant_id == tenant) & _IS_LIVING & (trust_anchors.c.der == der)
        found = await tx.scalar(select(trust_anchors.c.id).where(mine))
        return None if found is None else TrustAnchorId(found)

    async def retire(self, tx: Transaction, tenant: TenantId, anchor: TrustAnchorId) -> None:
        """Nobody is let in by it any more: sessions that began with it end. Raises NotFound."""
        version = await _next_version(tx)
        row = await _held(tx, tenant, anchor)
        if row.state != AnchorState.RETIRED.value:
            await _change(
                tx, anchor, version, state=AnchorState.RETIRED.value, challenge=None, retired_at=self._clock.now()
            )


async def trusted(tx: Transaction, tenant: TenantId, anchor: TrustAnchorId) -> TrustAnchor | None:
    """That anchor of the tenant's, if it is trusted at this moment."""
    query = select(trust_anchors).where(
        trust_anchors.c.tenant_id == tenant,
        trust_anchors.c.id == anchor,
        trust_anchors.c.state == AnchorState.TRUSTED.value,
    )
    row = (await tx.execute(query)).first()
    return None if row is None else _anchor(row)


async def version_of(database: Database) -> int:
    """Rises with every change of any anchor."""
    async with database.reading() as connection:
        return int(await connection.scalar(select(func.coalesce(func.max(trust_anchors.c.version), 0))) or 0)


async def authorities(database: Database) -> list[Authority]:
    """The trusted anchors of everybody, oldest first."""
    query = select(trust_anchors).where(trust_anchors.c.state == AnchorState.TRUSTED.value)
    async with database.reading() as connection:
        rows = await connection.execute(query.order_by(trust_anchors.c.created_at, trust_anchors.c.id))
        return [
            Authority(id=row.id, tenant=row.tenant_id, der=row.der, not_after=row.certificate.not_after) for row in rows
        ]


def parse_name(raw: str) -> str:
    """A name as people give it. Raises Rejected: empty or too long."""
    name = " ".join(raw.split())
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        raise Rejected("name", f"{len(name)} characters, expected 1 to {NAME_CHARACTERS_MAX} that can be seen")
    return name


async def _check_nobody_elses(tx: Transaction, tenant: TenantId, given: Certificate) -> None:
    """Which of two tenants a device of a shared authority belongs to could not be told. Whose it is remains theirs."""
    others = (trust_anchors.c.tenant_id != tenant) & (trust_anchors.c.authority_digest == given.authority_digest)
    if await _is_there(tx, others & (trust_anchors.c.state == AnchorState.TRUSTED.value)):
        raise Conflict("certificate", "this authority is in use elsewhere in this installation")


async def _held(tx: Transaction, tenant: TenantId, anchor: TrustAnchorId) -> Row[Any]:
    query = select(trust_anchors).where(trust_anchors.c.tenant_id == tenant, trust_anchors.c.id == anchor)
    row = (await tx.execute(query)).first()
    if row is None:
        raise NotFound(anchor, "no such trust anchor")
    return row


async def _change(tx: Transaction, anchor: TrustAnchorId, version: int, **values: object) -> None:
    await tx.execute(update(trust_anchors).where(trust_anchors.c.id == anchor).values(version=version, **values))


async def _is_there(tx: Transaction, which: ColumnElement[bool]) -> bool:
    return bool(await tx.scalar(select(exists().where(which))))


async def _count(tx: Transaction, which: ColumnElement[bool]) -> int:
    return int(await tx.scalar(select(func.count()).select_from(trust_anchors).where(which)) or 0)


async def _next_version(tx: Transaction) -> int:
    """From here to the commit nobody else changes an anchor: what was looked at stays true."""
    await tx.in_order(trust_anchors.name)
    tx.poke(trust_anchors.name)
    return int(await tx.scalar(select(func.coalesce(func.max(trust_anchors.c.version), 0)))) + 1


def _anchor(row: Row[Any]) -> TrustAnchor:
    return TrustAnchor(
        id=row.id,
        tenant=row.tenant_id,
        name=row.name,
        state=AnchorState(row.state),
        certificate=row.certificate,
        zero_touch=ZeroTouch(row.zero_touch),
        kind=row.kind,
        created_at=row.created_at,
        created_by=row.created_by,
        challenge=row.challenge,
        challenge_expires_at=row.challenge_expires_at,
        retired_at=row.retired_at,
    )
