"""Credentials in the database: keys are encrypted for the device they belong to, and the gateway is told of each change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, delete, exists, insert, select, update

from shoal.clock import Clock
from shoal.credentials.credential import (
    ENDED_SHOWN_MAX,
    LIVING,
    LIVING_MAX,
    OVERLAP_USUAL,
    Credential,
    Mode,
    NewCredential,
    Pin,
    Rotation,
    State,
    Until,
)
from shoal.credentials.psk import generate_key, parse_identity, parse_key
from shoal.credentials.x509 import Certificate, common_name, parse_certificate
from shoal.errors import Conflict, NotFound, Rejected
from shoal.ids import CredentialId, DeviceId, Prefix, TenantId, new_id
from shoal.storage import directory
from shoal.storage.database import Database, Transaction
from shoal.storage.directory import CertificateFacts, DirectoryEntry, credentials, psk_mark
from shoal.storage.secrets import Vault

# As many as a page of devices.
DEVICES_PER_QUERY_MAX: Final = 500
_IS_LIVING: Final = credentials.c.state.in_(sorted(LIVING))


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A device registered with a credential. `certificate` is what it showed, None for a key."""

    device: str
    at: datetime
    certificate: CertificateFacts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A credential that is about to be written. `mark` tells it apart from all others."""

    mode: Mode
    identity: str
    mark: str
    key: bytes | None = None
    pin: bytes | None = None
    certificate: Certificate | None = None
    is_from_bootstrap: bool = False


class Credentials:
    """What devices prove themselves with. Methods that write take the transaction to write in."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock

    # -- reading ---------------------------------------------------------------------------------------------------

    async def of_device(self, tenant: TenantId, device: DeviceId) -> list[Credential]:
        """All that a device has, the newest first, and some that are over."""
        return (await self.credentials_for(tenant, [device])).get(device, [])

    async def credentials_for(self, tenant: TenantId, devices: Sequence[DeviceId]) -> dict[DeviceId, list[Credential]]:
        """The credentials of these devices, each newest first; at most 500 devices are asked for at once."""
        if len(devices) > DEVICES_PER_QUERY_MAX:
            raise Rejected("devices", f"{len(devices)}, at most {DEVICES_PER_QUERY_MAX}")
        query = (
            select(credentials)
            .where(credentials.c.tenant_id == tenant, credentials.c.device_id.in_(devices))
            .order_by(credentials.c.created_at.desc(), credentials.c.id)
        )
        found: dict[DeviceId, list[Credential]] = {}
        now = self._clock.now()
        async with self._database.reading() as connection:
            for row in await connection.execute(query):
                found.setdefault(row.device_id, []).append(_credential(row, now))
        return found

    async def ending(
        self,
        tenant: TenantId,
        *,
        before: datetime | None,
        state: State | None,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> list[Credential]:
        """The tenant's credentials that end by themselves, the soonest first: the living ones, or those of a state.

        Those that wait for approval do not end: they come in the order in which they were made.
        """
        column = credentials.c.created_at if state is State.WAITING else credentials.c.expires_at
        query = (
            select(credentials)
            .where(credentials.c.tenant_id == tenant, column.is_not(None), _IS_LIVING if state is None else _is(state))
            .order_by(column, credentials.c.id)
            .limit(limit)
        )
        if before is not None:
            query = query.where(column < before)
        if after is not None:
            query = query.where((column > after[0]) | ((column == after[0]) & (credentials.c.id > after[1])))
        now = self._clock.now()
        async with self._database.reading() as connection:
            return [_credential(row, now) for row in await connection.execute(query)]

    async def one(self, tenant: TenantId, credential: CredentialId) -> Credential:
        """One credential, of whichever device. Raises NotFound, also for another tenant's."""
        query = select(credentials).where(credentials.c.tenant_id == tenant, credentials.c.id == credential)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(credential, "no such credential")
        return _credential(row, self._clock.now())

    async def holders(self, identities: Sequence[str]) -> dict[str, DeviceId]:
        """Which devices, of any tenant, go by these PSK identities now; at most 500 are asked for at once."""
        marks = {psk_mark(identity): identity for identity in identities[:DEVICES_PER_QUERY_MAX]}
        query = select(credentials.c.mark, credentials.c.device_id).where(credentials.c.mark.in_(marks))
        async with self._database.reading() as connection:
            return {marks[row.mark]: row.device_id for row in await connection.execute(query)}

    # -- writing ---------------------------------------------------------------------------------------------------

    async def create(
        self,
        tx: Transaction,
        tenant: TenantId,
        device: DeviceId,
        *,
        identity: str | None = None,
        key: str | None = None,
        rotation: Rotation | None = None,
        is_from_bootstrap: bool = False,
        by: str | None = None,
    ) -> NewCredential:
        """Gives a device a pre-shared key, a generated one unless it is given in hexadecimal.

        Without an identity it is the device's id, or the credential's while an older key goes by that. The inventory has
        created the device with `psk` or `x509` before, in this transaction or an earlier one.

        Raises:
            Rejected: an identity or key that cannot be one, or an overlap that cannot be.
            NotFound: no such device.
            Conflict: the identity is another device's; the device is to speak without security, or has enough.
        """
        rotation = rotation or Rotation()
        secret = generate_key() if key is None else parse_key(key)
        await self._entry(tx, tenant, device)
        id_ = await _fresh_id(tx)
        name = await self._usual_identity(tx, device, id_, rotation) if identity is None else parse_identity(identity)
        made = _Made(
            mode=Mode.PSK,
            identity=name,
            mark=psk_mark(name),
            key=self._vault.encrypt(secret, device),
            is_from_bootstrap=is_from_bootstrap,
        )
        return NewCredential(
            credential=await self._write(tx, tenant, device, id_, made, rotation, by), key=secret.hex()
        )

    async def admit(
        self,
        tx: Transaction,
        tenant: TenantId,
        device: DeviceId,
        *,
        certificate: str | None = None,
        pin: Pin = Pin.CERTIFICATE,
        rotation: Rotation | None = None,
        by: str | None = None,
    ) -> NewCredential:
        """Lets a device in by a certificate that one of the tenant's trust anchors issued.

        Without one, by any that bears the endpoint name; with one (in PEM), by this one, or by all with its names of
        issuer and subject.

        Raises:
            Rejected: what was given is no certificate that could be.
            NotFound: no such device.
            Conflict: another device goes by it; the device is to speak without security, or has enough.
        """
        entry = await self._entry(tx, tenant, device)
        given = None if certificate is None else parse_certificate(certificate)
        if given is None:
            made = _Made(mode=Mode.X509, identity=entry.endpoint, mark=f"named:{device}")
        else:
            digest = bytes.fromhex(given.facts.fingerprint)
            if pin is Pin.SUBJECT:
                digest = given.issuer_digest + given.subject_digest
            made = _Made(
                mode=Mode.X509,
                identity=common_name(given) or given.facts.subject,
                mark=f"{pin.value}:{tenant}:{digest.hex()}",
                pin=digest,
                certificate=given,
            )
        id_ = await _fresh_id(tx)
        return NewCredential(
            credential=await self._write(tx, tenant, device, id_, made, rotation or Rotation(), by), key=None
        )

    async def introduce(self, tx: Transaction, tenant: TenantId, device: DeviceId, *, is_approved: bool) -> None:
        """A device that nobody made and whose certificate is good: it is let in by its name, if that is approved already.

        The inventory has created the device with `x509` before, in this transaction.
        """
        made = await self.admit(tx, tenant, device)
        if not is_approved:
            await tx.execute(
                update(credentials).where(credentials.c.id == made.credential.id).values(state=State.WAITING.value)
            )

    async def approve(
        self, tx: Transaction, tenant: TenantId, device: DeviceId, credential: CredentialId
    ) -> Credential:
        """A device that waited is let in from now on.

        Raises:
            NotFound: no such device or credential.
            Conflict: it does not wait.
        """
        await self._entry(tx, tenant, device)
        which = (credentials.c.id == credential) & (credentials.c.device_id == device)
        row = (await tx.execute(select(credentials).where(which))).first()
        if row is None:
            raise NotFound(credential, "no such credential")
        if row.state != State.WAITING.value:
            raise Conflict(credential, "does not wait for approval", state=row.state)
        await tx.execute(update(credentials).where(which).values(state=State.CURRENT.value))
        await directory.touch(tx, [device])
        return _credential((await tx.execute(select(credentials).where(which))).one(), self._clock.now())

    async def revoke(
        self, tx: Transaction, tenant: TenantId, device: DeviceId, credential: CredentialId, *, even_last: bool = False
    ) -> None:
        """A credential is void from now on: its session ends. One that is over already stays so.

        When the next one is revoked before it was used, the one before it is current again.

        Raises:
            NotFound: no such device or credential.
            Conflict: it is the last one of the device, and nobody said that this is meant.
        """
        await self._entry(tx, tenant, device)
        living = [row for row in await self._living(tx, device) if row.id != credential]
        row = (
            await tx.execute(
                select(credentials).where(credentials.c.id == credential, credentials.c.device_id == device)
            )
        ).first()
        if row is None:
            raise NotFound(credential, "no such credential")
        if State(row.state) in {State.REVOKED, State.EXPIRED}:
            return
        if not living and not even_last:
            raise Conflict(credential, "is the last one of the device, which cannot connect without it")
        await _end(tx, credentials.c.id == credential, State.REVOKED, self._clock.now())
        if row.state == State.NEXT.value and (before := [one for one in living if one.state == State.RETIRING.value]):
            lasts = before[0].certificate.not_after if before[0].certificate and before[0].pin else None
            await tx.execute(
                update(credentials)
                .where(credentials.c.id == before[0].id)
                .values(state=State.CURRENT.value, expires_at=lasts, ends_when_seen=False)
            )
        await directory.touch(tx, [device])

    async def revoke_unused(self, tx: Transaction, tenant: TenantId, device: DeviceId) -> None:
        """What a bootstrap handed out to the device, and what it never used, is void; the one before is current again."""
        for row in await self._living(tx, device):
            if row.state == State.NEXT.value and row.is_from_bootstrap and row.last_used_at is None:
                await self.revoke(tx, tenant, device, row.id, even_last=True)

    async def remove(self, tx: Transaction, tenant: TenantId, device: DeviceId) -> None:
        """Forgets all that the device had: its session ends. Nothing when it had none."""
        await directory.in_turn(tx)
        removed = await tx.execute(
            delete(credentials).where(credentials.c.tenant_id == tenant, credentials.c.device_id == device)
        )
        if removed.rowcount:
            await directory.touch(tx, [device])

    async def used(self, tx: Transaction, uses: Mapping[str, Use]) -> None:
        """Devices registered with these credentials: a next one is current now, and those wait no longer that it replaces."""
        now = self._clock.now()
        query = select(credentials).where(credentials.c.id.in_(sorted(uses)))
        rows = [row for row in await tx.execute(query) if row.device_id == uses[row.id].device]
        first = [row.id for row in rows if row.state == State.NEXT.value]
        if first:
            # Read again where nobody else changes them; what was revoked meanwhile stays so.
            await directory.in_turn(tx)
            await tx.execute(
                update(credentials)
                .where(credentials.c.id.in_(first), _is(State.NEXT))
                .values(state=State.CURRENT.value)
            )
            devices = sorted({row.device_id for row in rows if row.id in first})
            over = credentials.c.device_id.in_(devices) & _is(State.RETIRING) & credentials.c.ends_when_seen
            await _end(tx, over, State.REVOKED, now)
            await directory.touch(tx, devices)
        for row in sorted(rows, key=lambda row: str(row.id)):
            use = uses[row.id]
            # Any certificate of the name will do: what is shown is the last one, whose end is not the end of the credential.
            shown = row.certificate if row.pin else use.certificate
            await tx.execute(
                update(credentials).where(credentials.c.id == row.id).values(last_used_at=use.at, certificate=shown)
            )

    async def has_due(self) -> bool:
        """Whether `sweep` has something to do."""
        due = select(exists().where(_IS_LIVING, credentials.c.expires_at <= self._clock.now()))
        async with self._database.reading() as connection:
            return bool(await connection.scalar(due))

    async def sweep(self, tx: Transaction, limit: int) -> int:
        """Ends what is due now; how many those were, at most `limit`."""
        now = self._clock.now()
        due = _IS_LIVING & (credentials.c.expires_at <= now)
        await directory.in_turn(tx)
        rows = (await tx.execute(select(credentials.c.id, credentials.c.device_id).where(due).limit(limit))).all()
        if rows:
            await _end(tx, credentials.c.id.in_([row.id for row in rows]), State.EXPIRED, now)
            await directory.touch(tx, sorted({row.device_id for row in rows}))
        return len(rows)

    # -- how -------------------------------------------------------------------------------------------------------

    async def _write(
        self,
        tx: Transaction,
        tenant: TenantId,
        device: DeviceId,
        id_: CredentialId,
        made: _Made,
        rotation: Rotation,
        by: str | None,
    ) -> Credential:
        now = self._clock.now()
        facts = made.certificate.facts if made.certificate else None
        if facts is not None and facts.not_after <= now:
            raise Rejected("certificate", "it has expired", not_after=facts.not_after.isoformat())
        has_older = await self._make_room(tx, device, made, rotation, now)
        holder = await tx.scalar(select(credentials.c.device_id).where(credentials.c.mark == made.mark))
        if holder is not None:
            # Whose it is may be another tenant's business.
            subject = "identity" if made.mode is Mode.PSK else "certificate"
            raise Conflict(subject, f"another device has this {subject}")
        row = {
            "id": id_,
            "device_id": device,
            "tenant_id": tenant,
            "mode": made.mode.value,
            "identity": made.identity,
            "state": (State.NEXT if has_older else State.CURRENT).value,
            "mark": made.mark,
            "key_encrypted": made.key,
            "pin": made.pin,
            "certificate": facts,
            "created_at": now,
            "created_by": by,
            "is_from_bootstrap": made.is_from_bootstrap,
            "expires_at": facts.not_after if facts else None,
            "ends_when_seen": False,
        }
        await tx.execute(insert(credentials).values(row))
        await _forget_old(tx, device)
        await directory.touch(tx, [device])
        written = await tx.execute(select(credentials).where(credentials.c.id == id_))
        return _credential(written.one(), now)

    async def _make_room(
        self, tx: Transaction, device: DeviceId, made: _Made, rotation: Rotation, now: datetime
    ) -> bool:
        """What becomes of the older ones; whether there still are any."""
        living = await self._living(tx, device)
        is_same = any(row.mark == made.mark for row in living)
        overlap = rotation.overlap
        if overlap is None:
            overlap = OVERLAP_USUAL * (not is_same)
        if overlap and is_same:
            what = "identity" if made.mode is Mode.PSK else "certificate"
            raise Rejected(what, "the one before goes by it until the overlap ends: choose another, or no overlap")
        mine = credentials.c.device_id == device
        # A key that was lost lets nobody in.
        lost = [row.id for row in living if row.mode == Mode.PSK.value and row.key_encrypted is None]
        if not overlap:
            await _end(tx, mine & _IS_LIVING, State.REVOKED, now)
            return False
        await _end(tx, credentials.c.id.in_(lost), State.REVOKED, now)
        kept = [row for row in living if row.id not in lost]
        if len(kept) >= LIVING_MAX:
            raise Conflict(device, f"has {len(kept)} credentials already: revoke one", credentials_max=LIVING_MAX)
        for row in kept:
            ends = min(now + overlap, row.expires_at) if row.expires_at else now + overlap
            await tx.execute(
                update(credentials)
                .where(credentials.c.id == row.id)
                .values(state=State.RETIRING.value, expires_at=ends, ends_when_seen=rotation.until is Until.SEEN)
            )
        return bool(kept)

    async def _usual_identity(self, tx: Transaction, device: DeviceId, id_: CredentialId, rotation: Rotation) -> str:
        taken = select(exists().where(credentials.c.mark == psk_mark(device), credentials.c.key_encrypted.is_not(None)))
        is_at_once = rotation.overlap is not None and not rotation.overlap
        return id_ if not is_at_once and await tx.scalar(taken) else device

    async def _living(self, tx: Transaction, device: DeviceId) -> list[Row[Any]]:
        """Newest first."""
        query = select(credentials).where(credentials.c.device_id == device, _IS_LIVING)
        return list(await tx.execute(query.order_by(credentials.c.created_at.desc(), credentials.c.id)))

    async def _entry(self, tx: Transaction, tenant: TenantId, device: DeviceId) -> DirectoryEntry:
        """The device, whose credentials nobody else changes from here to the commit."""
        entry = await directory.find(tx, device)
        if entry is None or entry.removed or entry.tenant_id != tenant:
            raise NotFound(device, "no such device")
        if entry.security == "none":
            raise Conflict(device, "is to speak without security", security=entry.security)
        return entry


async def _end(tx: Transaction, which: ColumnElement[bool], state: State, now: datetime) -> None:
    await tx.execute(
        update(credentials).where(which).values(state=state.value, mark=None, key_encrypted=None, ended_at=now)
    )


async def _forget_old(tx: Transaction, device: DeviceId) -> None:
    old = (
        select(credentials.c.id)
        .where(credentials.c.device_id == device, credentials.c.ended_at.is_not(None))
        .order_by(credentials.c.ended_at.desc(), credentials.c.id)
        .offset(ENDED_SHOWN_MAX)
        .limit(LIVING_MAX)
    )
    ids = [row.id for row in await tx.execute(old)]
    if ids:
        await tx.execute(delete(credentials).where(credentials.c.id.in_(ids)))


async def _fresh_id(tx: Transaction) -> CredentialId:
    """An id that nobody has; the primary key stands behind it."""
    while True:
        drawn = CredentialId(new_id(Prefix.CREDENTIAL))
        if not await tx.scalar(select(exists().where(credentials.c.id == drawn))):
            return drawn


def _is(state: State) -> ColumnElement[bool]:
    return credentials.c.state == state.value


def _credential(row: Row[Any], now: datetime) -> Credential:
    state = State(row.state)
    if state.is_living and row.expires_at is not None and row.expires_at <= now:
        state = State.EXPIRED  # the sweep is about to say so
    mode = Mode(row.mode)
    return Credential(
        id=row.id,
        device=row.device_id,
        tenant=row.tenant_id,
        mode=mode,
        identity=row.identity,
        state=state,
        created_at=row.created_at,
        created_by=row.created_by,
        is_from_bootstrap=row.is_from_bootstrap,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        certificate=row.certificate,
        needs_key=state.is_living and mode is Mode.PSK and row.key_encrypted is None,
    )
